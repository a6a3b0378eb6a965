#version 450
// Reads and writes where the input says, beyond the buffers too.
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer Indices { uint indices[]; };
layout(std430, binding = 1) readonly buffer Source { uint source[]; };
layout(std430, binding = 2) buffer Target { uint target[]; };
layout(std430, binding = 3) writeonly buffer Output { uvec4 results[]; };
layout(std140, binding = 4) uniform Uniforms { uvec4 uniforms[4096]; };

void main() {
  uint i = gl_LocalInvocationIndex;
  uint at = indices[i];
  uvec4 wide = uvec4(source[at], source[at + 1], source[at + 2], source[at + 3]);
  results[i * 3] = wide;
  results[i * 3 + 1] = uniforms[at & 4095];
  results[i * 3 + 2] = uvec4(source.length(), target.length(), 0, 0);
  target[at] = i + 1000;
}
