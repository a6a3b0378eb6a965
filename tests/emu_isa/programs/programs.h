/* Functions that mean the same on the host and on gfx1030. Each maps two numbers to one; compiled for both
   sides. No undefined behaviour, and of floating point only what IEEE 754 defines exactly. */
#ifndef PROGRAMS_H
#define PROGRAMS_H

#ifdef __OPENCL_C_VERSION__
typedef unsigned int u32;
typedef int i32;
typedef unsigned long u64;
typedef long i64;
typedef unsigned short u16;
typedef unsigned char u8;
#define TABLE __constant
#define NOINLINE __attribute__((noinline))
#define FMA(a, b, c) __builtin_fma(a, b, c)
#define FMAF(a, b, c) __builtin_fmaf(a, b, c)
#pragma OPENCL FP_CONTRACT OFF
#else
#include <math.h>
#include <stdint.h>
typedef uint32_t u32;
typedef int32_t i32;
typedef uint64_t u64;
typedef int64_t i64;
typedef uint16_t u16;
typedef uint8_t u8;
#define TABLE static const
#define NOINLINE __attribute__((noinline))
#define FMA(a, b, c) fma(a, b, c)
#define FMAF(a, b, c) fmaf(a, b, c)
#endif

union float_bits {
  float value;
  u32 bits;
};
union double_bits {
  double value;
  u64 bits;
};

static u32 bits_of(float value) {
  union float_bits u;
  u.value = value;
  return u.value != u.value ? 0x7fc00000u : u.bits;
}

static u32 bits_of_double(double value) {
  union double_bits u;
  u.value = value;
  return value != value ? 0x7ff80000u : (u32)(u.bits ^ u.bits >> 32);
}

TABLE u32 primes[16] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53};

/* Arrays in private memory, indexed by values. */
static u32 sort_and_pick(u32 x, u32 y) {
  u32 values[24];
  u32 i, j;
  for (i = 0; i < 24; ++i) {
    x = x * 1664525u + 1013904223u;
    values[i] = x >> 7;
  }
  for (i = 1; i < 24; ++i) {
    const u32 value = values[i];
    for (j = i; j > 0 && values[j - 1] > value; --j)
      values[j] = values[j - 1];
    values[j] = value;
  }
  return values[y % 24] ^ values[(y >> 8) % 24] * 3;
}

/* Division and remainder of every width and sign. */
static u32 divide(u32 x, u32 y) {
  const u32 d = y | 1;
  const i32 sd = (i32)(d >> 1) + 1;
  const u64 wide = (u64)x << 32 | y;
  const i64 swide = (i64)(wide ^ 0x8000000000000001ul);
  u32 r = x / d + x % d * 3;
  r ^= (u32)((i32)x / sd) + (u32)((i32)x % sd) * 5;
  r ^= (u32)(wide / d) + (u32)(wide % (wide >> 17 | 1));
  r ^= (u32)(swide / sd) + (u32)(swide % ((i64)x + 0x100000001l));
  r ^= (u32)((u16)x / (u16)(y | 1)) + (u32)((u8)x % (u8)(y | 1));
  return r;
}

static u32 branches(u32 x, u32 y) {
  u32 steps = 0;
  while (x != 1 && steps < 200) {
    x = x == 0 ? y | 1 : x % 2 ? (x & 0xffffff) * 3 + 1 : x / 2;
    switch ((x ^ y) % 7) {
    case 0:
      steps += 1;
      break;
    case 1:
      y += steps;
      /* fall through */
    case 2:
      steps += 2;
      continue;
    case 5:
      if (y % 3 == 0)
        return steps ^ y;
      y = y >> 1 | y << 31;
      break;
    default:
      steps += 3;
    }
  }
  return steps * 2654435761u ^ y;
}

static NOINLINE u32 mix(u32 a, u32 b, u32 depth) {
  u32 frame[5];
  u32 i;
  for (i = 0; i < 5; ++i)
    frame[i] = (a >> i) * primes[(b + i) % 16];
  return frame[depth % 5] + frame[(depth + b) % 5];
}

static u32 calls(u32 x, u32 y) {
  u32 i, r = 0;
  for (i = 0; i < (y & 15); ++i)
    r = mix(r + x, y, i) ^ r << 3;
  return r;
}

static u32 floats(u32 x, u32 y) {
  union float_bits a, b;
  float sum, product, quotient, root;
  a.bits = x;
  b.bits = y;
  sum = a.value + b.value;
  product = a.value * b.value;
  quotient = a.value / b.value;
  root = FMAF(a.value, b.value, sum);
  return bits_of(sum) ^ bits_of(product) * 3 ^ bits_of(quotient) * 5 ^ bits_of(root) * 7 ^
         bits_of(a.value - b.value) * 9 ^ (a.value < b.value ? 11 : 0) ^ (a.value >= b.value ? 13 : 0) ^
         (a.value == b.value ? 17 : 0);
}

static u32 small_floats(u32 x, u32 y) {
  return floats(0x3f800000u ^ (x & 0x83ffffff), 0x40000000u ^ (y & 0x80ffffff));
}

static u32 doubles(u32 x, u32 y) {
  union double_bits a, b;
  double r;
  a.bits = (u64)x << 32 | y;
  b.bits = (u64)(0x3ff00000u ^ (y & 0x80ffffffu)) << 32 | x;
  r = bits_of_double(a.value + b.value);
  return bits_of_double(a.value * b.value) ^ bits_of_double(b.value / 3.0) * 3 ^
         bits_of_double(a.value - b.value) * 5 ^ bits_of_double(FMA(b.value, b.value, -1.5)) * 7 ^
         bits_of_double((double)(i64)a.bits) * 11 ^ (u32)r ^ (a.value > b.value ? 19 : 0);
}

static u32 conversions(u32 x, u32 y) {
  union float_bits a;
  const u64 wide = (u64)x << 32 | y;
  u32 r = bits_of((float)x) ^ bits_of((float)(i32)y) * 3 ^ bits_of((float)wide) * 5 ^
          bits_of((float)(i64)wide) * 7;
  a.bits = (x & 0x807fffffu) | (0x3f800000u + (y % 30 << 23));
  r ^= (u32)(i32)a.value * 11;
  r ^= (u32)(i64)a.value * 13;
  r ^= bits_of((float)((double)a.value * 1.25)) * 17;
  return r ^ bits_of_double((double)wide) * 19;
}

static u32 wide_integers(u32 x, u32 y) {
  u64 a = (u64)x * y, b = (u64)y << 32 | x;
  i64 s = (i64)(a ^ b);
  u32 i;
  for (i = 0; i < 8; ++i) {
    a = a * 6364136223846793005ul + b;
    b = (b << (x & 63 & (i * 9))) ^ (a >> (y % 61));
    s = (i64)((u64)(s >> (i + 1)) - (a & b));
  }
  return (u32)a ^ (u32)(b >> 32) ^ (u32)s ^ (u32)(s >> 32) ^ (a < b ? 1 : 0) ^ ((i64)a < s ? 2 : 0);
}

static u32 bytes(u32 x, u32 y) {
  u8 text[40];
  u16 halves[9];
  u32 i, r = 5381;
  for (i = 0; i < 40; ++i)
    text[i] = (u8)((x >> (i % 25)) + i * y);
  for (i = 0; i < 9; ++i)
    halves[i] = (u16)(text[i * 4] * 257 + text[(x + i) % 40]);
  for (i = 0; i < 40; ++i)
    r = r * 33 + text[(i * 7 + y) % 40] + (u32)(signed char)text[i];
  for (i = 0; i < 9; ++i)
    r ^= (u32)halves[(r >> 3) % 9] << (i & 7);
  return r;
}

#define PROGRAMS(X)                                                                                          \
  X(0, sort_and_pick)                                                                                        \
  X(1, divide)                                                                                               \
  X(2, branches)                                                                                             \
  X(3, calls)                                                                                                \
  X(4, floats)                                                                                               \
  X(5, small_floats)                                                                                         \
  X(6, doubles)                                                                                              \
  X(7, conversions)                                                                                          \
  X(8, wide_integers)                                                                                        \
  X(9, bytes)
#define PROGRAM_COUNT 10

static u32 run_program(u32 which, u32 x, u32 y) {
  switch (which) {
#define CASE(number, name)                                                                                   \
  case number:                                                                                               \
    return name(x, y);
    PROGRAMS(CASE)
#undef CASE
  default:
    return 0;
  }
}

#endif
