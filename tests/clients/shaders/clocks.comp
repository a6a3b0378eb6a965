#version 460
// Clocks.
#extension GL_ARB_gpu_shader_int64 : require
#extension GL_ARB_shader_clock : require
#extension GL_EXT_shader_realtime_clock : require
layout(local_size_x = 64) in;
layout(std430, binding = 0) buffer Clocks { uint64_t clocks[]; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  clocks[i * 4] = clockRealtimeEXT();
  clocks[i * 4 + 1] = clockARB();
  uint work = 0;
  for (uint k = 0; k < 100; ++k)
    work = work * 1664525u + uint(clocks[i * 4 + 2]);
  clocks[i * 4 + 2] = clockARB() + (work == 12345 ? 1 : 0);
  clocks[i * 4 + 3] = clockRealtimeEXT();
}
