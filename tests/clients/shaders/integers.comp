#version 460
// Integer operations of one width.
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_16bit_storage : require
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer A { UNSIGNED a_values[]; };
layout(std430, binding = 1) readonly buffer B { UNSIGNED b_values[]; };
layout(std430, binding = 2) writeonly buffer Output { UNSIGNED results[]; };
layout(push_constant) uniform Push { uint count; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i >= count)
    return;
  UNSIGNED a = a_values[i], b = b_values[i];
  SIGNED sa = SIGNED(a), sb = SIGNED(b);
  UNSIGNED shift = b & UNSIGNED(WIDTH - 1);
  results[0 * count + i] = a + b;
  results[1 * count + i] = a - b;
  results[2 * count + i] = a * b;
  results[3 * count + i] = b == UNSIGNED(0) ? UNSIGNED(0) : a / b;
  results[4 * count + i] = b == UNSIGNED(0) ? UNSIGNED(0) : a % b;
  results[5 * count + i] = sb == SIGNED(0) || sb == SIGNED(-1) ? UNSIGNED(0) : UNSIGNED(sa / sb);
  results[6 * count + i] = a << shift;
  results[7 * count + i] = a >> shift;
  results[8 * count + i] = UNSIGNED(sa >> SIGNED(shift));
  results[9 * count + i] = (a & b) ^ ~(a | b);
  results[10 * count + i] = min(a, b);
  results[11 * count + i] = UNSIGNED(max(sa, sb));
  results[12 * count + i] = UNSIGNED(a < b ? 1 : 0) + UNSIGNED(sa < sb ? 2 : 0) + UNSIGNED(a == b ? 4 : 0);
  results[13 * count + i] = UNSIGNED(abs(sa)) + UNSIGNED(sign(sb));
  results[14 * count + i] = UNSIGNED(uint8_t(a)) + UNSIGNED(int8_t(b)) + UNSIGNED(int16_t(a)) * UNSIGNED(3);
  results[15 * count + i] = UNSIGNED(floatBitsToUint(float(sa)));
}
