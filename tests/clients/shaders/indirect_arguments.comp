#version 450
// Writes the arguments of the next dispatch.
layout(local_size_x = 1) in;
layout(std430, binding = 0) writeonly buffer Arguments { uvec3 groups; };
layout(push_constant) uniform Push { uvec3 wanted; };

void main() {
  groups = wanted;
}
