// Whoever builds the driver finds every exported name declared.
#define CUDA_SHIM_IMPLEMENTATION
#include <cstddef>
#include <type_traits>

#include <cuda.h>
#include <cudaGL.h>
#include <cudaProfiler.h>
#include <gtest/gtest.h>

namespace {

struct Declaration {
  const char* name;
  bool is_function;
};

#define ABI_EXPORT(name) {#name, std::is_function_v<decltype(name)>},
constexpr Declaration declarations[] = {
#include "exports.inc"
};

TEST(Exports, every_name_is_declared_as_a_function) {
  EXPECT_EQ(std::size(declarations), 415u);
  for (const Declaration& declaration : declarations)
    EXPECT_TRUE(declaration.is_function) << declaration.name;
}

TEST(Exports, structures_before_3_2_have_32_bit_sizes) {
  EXPECT_EQ(sizeof(CUDA_MEMCPY2D_v1), 96u);
  EXPECT_EQ(sizeof(CUDA_MEMCPY3D_v1), 144u);
  EXPECT_EQ(sizeof(CUDA_ARRAY_DESCRIPTOR_v1), 16u);
  EXPECT_EQ(sizeof(CUDA_ARRAY3D_DESCRIPTOR_v1), 24u);
}

TEST(Exports, older_names_take_older_arguments) {
  EXPECT_TRUE((std::is_same_v<decltype(cuMemAlloc), CUresult(unsigned int*, unsigned int)>));
  EXPECT_TRUE((std::is_same_v<decltype(cuStreamBeginCapture), CUresult(CUstream)>));
  EXPECT_TRUE((std::is_same_v<decltype(cuMemcpy_ptds), decltype(cuMemcpy)>));
}

} // namespace
