#version 450
// values[i] = values[i] * factor + addend: the order of dispatches shows.
layout(local_size_x = 64) in;
layout(std430, binding = 0) buffer Values { uint values[]; };
layout(push_constant) uniform Push { uint factor; uint addend; uint count; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i < count)
    values[i] = values[i] * factor + addend;
}
