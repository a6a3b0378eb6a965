#version 460
// Every integer atomic of one type on counters that all invocations share, in a buffer or in shared memory.
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_shader_atomic_int64 : require
layout(local_size_x = 256) in;
layout(std430, binding = 0) readonly buffer Input { TYPE input_values[]; };
layout(std430, binding = 1) buffer Counters { TYPE counters[]; };
layout(std430, binding = 2) writeonly buffer Returned { TYPE returned[]; };
#ifdef IN_LDS
shared TYPE local_counters[10];
#define AT(n) local_counters[n]
#else
#define AT(n) counters[n]
#endif

void main() {
  uint i = gl_GlobalInvocationID.x;
  TYPE v = input_values[i];
#ifdef IN_LDS
  if (gl_LocalInvocationIndex < 10)
    local_counters[gl_LocalInvocationIndex] = counters[gl_LocalInvocationIndex];
  barrier();
#endif
  returned[i] = atomicAdd(AT(0), TYPE(1));
  atomicAdd(AT(1), v);
  atomicMin(AT(2), v);
  atomicMax(AT(3), v);
  atomicAnd(AT(4), v);
  atomicOr(AT(5), v);
  atomicXor(AT(6), v);
  TYPE before = atomicExchange(AT(7), v); // whatever order: the sum of what came out and what stays
  atomicAdd(AT(8), before);
  TYPE seen = AT(9), expected;
  do {
    expected = seen;
    seen = atomicCompSwap(AT(9), expected, expected * TYPE(3) + TYPE(1));
  } while (seen != expected);
#ifdef IN_LDS
  barrier();
  if (gl_LocalInvocationIndex < 10)
    counters[gl_LocalInvocationIndex] = local_counters[gl_LocalInvocationIndex];
#endif
}
