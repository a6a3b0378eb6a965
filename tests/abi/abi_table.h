/*
 * The header's constants, layouts, prototypes and names against those of CUDA 10.1, as rows of numbers and
 * strings. C and C++ compile the same rows; abi_test.cpp looks at them.
 */
#ifndef ABI_TABLE_H
#define ABI_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include <cuda.h>

#include <cudaGL.h>
#include <cudaProfiler.h>

#ifdef __cplusplus
#include <type_traits>
#define ABI_SAME_FUNCTION(name, ...) std::is_same_v<decltype(name), CUresult(__VA_ARGS__)>
#else
#define ABI_SAME_FUNCTION(name, ...) _Generic(&name, CUresult(*)(__VA_ARGS__) : 1, default : 0)
#endif

struct AbiNumber {
  const char* what;
  long long actual;
  long long expected;
};

struct AbiName {
  const char* written;
  const char* linked;
  const char* expected;
};

/* The rows of one language and mode. */
struct AbiTable {
  const struct AbiNumber* numbers;
  size_t number_count;
  const struct AbiName* names;
  size_t name_count;
};

#define ABI_VALUE(name, value) {#name, (long long)(name), value},
#define ABI_SIZE(type, value) {"sizeof(" #type ")", (long long)sizeof(type), value},
#define ABI_MEMBER(type, member, offset, size)                                                               \
  {"offset of " #type "::" #member, (long long)offsetof(type, member), offset},                              \
      {"size of " #type "::" #member, (long long)sizeof(((type*)0)->member), size},
#define ABI_FUNCTION(name, ...) {"type of " #name, ABI_SAME_FUNCTION(name, __VA_ARGS__), 1},

static const struct AbiNumber abi_numbers[] = {
#include "layouts.inc"
#include "values.inc"
#if !defined(CUDA_API_PER_THREAD_DEFAULT_STREAM)
#include "functions.inc"
#endif
};

#define ABI_STRING(text) #text
#if defined(CUDA_API_PER_THREAD_DEFAULT_STREAM)
#define ABI_NAME(written, plain, per_thread) {#written, ABI_STRING(written), #per_thread},
#else
#define ABI_NAME(written, plain, per_thread) {#written, ABI_STRING(written), #plain},
#endif

static const struct AbiName abi_names[] = {
#include "names.inc"
};

static const struct AbiTable abi_table = {abi_numbers, sizeof(abi_numbers) / sizeof(abi_numbers[0]),
                                          abi_names, sizeof(abi_names) / sizeof(abi_names[0])};

#endif
