#version 460
// A scan, a transposition and a message through shared memory of several types, with barriers between.
#extension GL_EXT_shader_explicit_arithmetic_types : require
layout(local_size_x = 256) in;
layout(std430, binding = 0) buffer Values { uint values[]; };
layout(std430, binding = 1) buffer Wide { uint64_t wide_values[]; };
shared uint scan[256];
shared uint tile[8192]; // 32 KiB
shared uint64_t wide[256];
shared uint16_t narrow[256];
shared uint8_t bytes[256];

void main() {
  uint i = gl_LocalInvocationIndex;
  uint base = gl_WorkGroupID.x * 256;
  scan[i] = values[base + i];
  barrier();
  for (uint step = 1; step < 256; step *= 2) {
    uint other = i >= step ? scan[i - step] : 0;
    barrier();
    scan[i] += other;
    barrier();
  }
  for (uint k = 0; k < 32; ++k)
    tile[k * 256 + i] = scan[i] * (k + 1);
  wide[255 - i] = uint64_t(scan[i]) << 32 | i;
  narrow[i ^ 3] = uint16_t(scan[i]);
  bytes[(i + 77) & 255] = uint8_t(scan[i]);
  barrier();
  uint sum = 0;
  for (uint k = 0; k < 32; ++k)
    sum += tile[((i * 32 + k) * 33) & 8191];
  values[base + i] = sum + narrow[i] * 3 + bytes[i] * 5;
  wide_values[base + i] = wide[i];
}
