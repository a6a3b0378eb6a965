#version 450
// Loads through a uniform texel buffer, stores through a storage texel buffer.
layout(local_size_x = 64) in;
layout(binding = 0) uniform PREFIX(samplerBuffer) source;
layout(binding = 1) writeonly uniform PREFIX(imageBuffer) target;
layout(std430, binding = 2) writeonly buffer Loaded { VECTOR loaded[]; };
layout(std430, binding = 3) readonly buffer Stored { VECTOR stored[]; };
layout(push_constant) uniform Push { uint count; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i == 0)
    loaded[count + 1] = VECTOR(textureSize(source));
  if (i > count) // one beyond the view
    return;
  loaded[i] = texelFetch(source, int(i));
  imageStore(target, int(i), stored[i]);
}
