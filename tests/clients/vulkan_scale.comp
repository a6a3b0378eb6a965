#version 450
// out[i] = in[i] * factor + i
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer Input { uint input_values[]; };
layout(std430, binding = 1) writeonly buffer Output { uint output_values[]; };
layout(push_constant) uniform Push { uint factor; uint count; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i < count)
    output_values[i] = input_values[i] * factor + i;
}
