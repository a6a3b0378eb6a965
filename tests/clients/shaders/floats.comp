#version 460
// Float operations of one width, those that are exact or correctly rounded.
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_shader_16bit_storage : require
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer A { FLOAT a_values[]; };
layout(std430, binding = 1) readonly buffer B { FLOAT b_values[]; };
layout(std430, binding = 2) writeonly buffer Output { FLOAT results[]; };
layout(push_constant) uniform Push { uint count; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i >= count)
    return;
  FLOAT a = a_values[i], b = b_values[i];
  precise FLOAT sum = a + b, difference = a - b, product = a * b;
  results[0 * count + i] = sum;
  results[1 * count + i] = difference;
  results[2 * count + i] = product;
  results[3 * count + i] = floor(a);
  results[4 * count + i] = ceil(a);
  results[5 * count + i] = trunc(a);
  results[6 * count + i] = roundEven(a);
  results[7 * count + i] = min(a, b);
  results[8 * count + i] = max(a, b);
  results[9 * count + i] = abs(a) - FLOAT(1);
  results[10 * count + i] = FLOAT(int(a));
  results[11 * count + i] = FLOAT(uint(abs(b)));
  results[12 * count + i] = FLOAT(float(a));
  results[13 * count + i] = a < b ? FLOAT(1) : a == b ? FLOAT(2) : FLOAT(3);
  results[14 * count + i] = fma(a, b, FLOAT(1));
  results[15 * count + i] = a / b;
  results[16 * count + i] = sqrt(abs(a));
}
