#version 450
layout(local_size_x = 64) in;
layout(binding = 0, r32ui) uniform uimageBuffer counters;
layout(std430, binding = 1) writeonly buffer Returned { uint returned[]; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  returned[i] = imageAtomicAdd(counters, 0, 1);
  imageAtomicMax(counters, 1, i * 7 % 1000);
  imageAtomicXor(counters, 2, i);
  imageAtomicCompSwap(counters, 3, i, i + 5);
}
