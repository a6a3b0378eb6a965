/* What generated programs use, for the host and for gfx1030. */
#ifndef GENERATED_PRELUDE_H
#define GENERATED_PRELUDE_H

#ifdef __OPENCL_C_VERSION__
#pragma OPENCL FP_CONTRACT OFF
#define TABLE __constant
#define GLOBAL global
#define LOCAL local
typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long u64;
typedef long i64;
#else
#include <stdint.h>
#define TABLE static const
#define GLOBAL
#define LOCAL
typedef uint8_t u8;
typedef int8_t i8;
typedef uint16_t u16;
typedef int16_t i16;
typedef uint32_t u32;
typedef int32_t i32;
typedef unsigned long u64;
typedef long i64;
#endif
typedef float f32;
typedef double f64;

#define NOINLINE __attribute__((noinline))
#define FMA(a, b, c) __builtin_fma(a, b, c)
#define FMAF(a, b, c) __builtin_fmaf(a, b, c)

TABLE u32 table[16] = {0,          1,          0xffffffff, 0x80000000, 7,      0x12345678, 0xdeadbeef, 255,
                       0x7fffffff, 0x3f800000, 65536,      31,         0xff00, 1000003,    0x55555555, 12};

static u32 hash_u8(u8 v) {
  return v;
}
static u32 hash_i8(i8 v) {
  return (u32)v;
}
static u32 hash_u16(u16 v) {
  return v;
}
static u32 hash_i16(i16 v) {
  return (u32)v;
}
static u32 hash_u32(u32 v) {
  return v;
}
static u32 hash_i32(i32 v) {
  return (u32)v;
}
static u32 hash_u64(u64 v) {
  return (u32)(v ^ v >> 32);
}
static u32 hash_i64(i64 v) {
  return hash_u64((u64)v);
}

/* Which NaN it is does not count. */
static u32 hash_f32(f32 v) {
  union {
    f32 value;
    u32 bits;
  } u;
  u.value = v;
  return v != v ? 0x7fc00000u : u.bits;
}
static u32 hash_f64(f64 v) {
  union {
    f64 value;
    u64 bits;
  } u;
  u.value = v;
  return v != v ? 0x7ff80000u : hash_u64(u.bits);
}

static NOINLINE u32 hash_memory(u32 result, const GLOBAL u32* words, u32 count) {
  for (u32 i = 0; i < count; ++i)
    result = result * 31 + words[i];
  return result;
}
static NOINLINE u32 hash_shared(u32 result, const LOCAL u32* words, u32 count) {
  for (u32 i = 0; i < count; ++i)
    result = result * 31 + words[i];
  return result;
}

/* Floats as integers, where they fit any type well enough. */
static i64 whole_f32(f32 v) {
  return v > -1e9f && v < 1e9f ? (i64)v : 77;
}
static i64 whole_f64(f64 v) {
  return v > -1e17 && v < 1e17 ? (i64)v : 78;
}

/* Not inlined: LLVM 19 takes an unsigned division of sign-extended numbers (0xffffffea / 0xffffffeb, out of
   16 bits) for one of small numbers, on gfx1030. */
static NOINLINE u32 quotient_u32(u32 a, u32 b) {
  return a / b;
}
static NOINLINE u32 remainder_u32(u32 a, u32 b) {
  return a % b;
}
static NOINLINE u64 quotient_u64(u64 a, u64 b) {
  return a / b;
}
static NOINLINE u64 remainder_u64(u64 a, u64 b) {
  return a % b;
}

/* Not inlined either: LLVM 19 turns 0 - x into -x, which is another zero for x = 0, where it is an operand on
 * gfx1030. */
static NOINLINE f32 difference_f32(f32 a, f32 b) {
  return a - b;
}
static NOINLINE f64 difference_f64(f64 a, f64 b) {
  return a - b;
}

static u32 rotated_u32(u32 v, u32 by) {
  return v << by | v >> (32 - by);
}
static u64 rotated_u64(u64 v, u32 by) {
  return v << by | v >> (64 - by);
}

#endif
