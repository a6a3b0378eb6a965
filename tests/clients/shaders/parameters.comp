#version 450
// Everything that reaches a shader beside its buffers: uniforms, push constants, specialization.
layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint factor = 1;
layout(constant_id = 2) const float scale = 1.0;
layout(constant_id = 3) const bool invert = false;
layout(std140, binding = 0) uniform Uniforms { uvec4 words[4]; float ratio; };
layout(std430, binding = 1) readonly buffer Input { uint input_values[]; };
layout(std430, binding = 2) writeonly buffer Output { uint output_values[]; };
layout(push_constant) uniform Push { uint count; uint addend; uvec2 pairs[15]; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i >= count)
    return;
  uint value = input_values[i] * factor + words[i & 3][i >> 2 & 3] + addend + pairs[gl_WorkGroupID.x % 15].y;
  value += uint(float(i) * scale * ratio);
  output_values[i] = invert ? ~value : value;
}
