#version 460
// Float atomics that the card has: add in shared memory, extrema and exchange in buffers.
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_shader_atomic_float : require
#extension GL_EXT_shader_atomic_float2 : require
layout(local_size_x = 128) in;
layout(std430, binding = 0) readonly buffer Input { float input_values[]; };
layout(std430, binding = 1) buffer Floats { float floats[]; };
layout(std430, binding = 2) buffer Doubles { double doubles[]; };
shared float sum;
shared float smallest;
shared double largest;

void main() {
  float v = input_values[gl_GlobalInvocationID.x];
  if (gl_LocalInvocationIndex == 0) {
    sum = 0;
    smallest = 1e30;
    largest = -1e300LF;
  }
  barrier();
  atomicAdd(sum, v);
  atomicMin(smallest, v);
  atomicMax(largest, double(v) * 1e100LF);
  atomicMin(floats[0], v);
  atomicMax(floats[1], v);
  atomicMin(doubles[0], double(v) * 1e-200LF);
  atomicMax(doubles[1], double(v) * 1e200LF);
  float before = atomicExchange(floats[2], v);
  if (before == 12345.0)
    floats[3] = 1;
  barrier();
  if (gl_LocalInvocationIndex == 0) {
    floats[4 + gl_WorkGroupID.x * 2] = sum;
    floats[5 + gl_WorkGroupID.x * 2] = smallest;
    doubles[2 + gl_WorkGroupID.x] = largest;
  }
}
