// include/cuda.h has the ABI of CUDA 10.1, in C, in C++ and with per-thread default streams.
#include "abi_table.h"

#include <string>

#include <gtest/gtest.h>

extern "C" const AbiTable* abi_table_of_c();
extern "C" const AbiTable* abi_table_of_c_per_thread();

namespace {

void expect_table(const AbiTable& table) {
  for (size_t i = 0; i < table.number_count; ++i)
    EXPECT_EQ(table.numbers[i].actual, table.numbers[i].expected) << table.numbers[i].what;
  for (size_t i = 0; i < table.name_count; ++i)
    EXPECT_EQ(std::string(table.names[i].linked), table.names[i].expected) << table.names[i].written;
}

TEST(Abi, constants_layouts_prototypes_and_names_in_cpp) {
  expect_table(abi_table);
}

TEST(Abi, constants_layouts_prototypes_and_names_in_c) {
  expect_table(*abi_table_of_c());
}

TEST(Abi, per_thread_default_streams_link_to_their_own_names) {
  expect_table(*abi_table_of_c_per_thread());
}

TEST(Abi, enumerations_keep_any_int) {
  const auto unknown = static_cast<CUexternalMemoryHandleType>(0x7fffffff);
  EXPECT_EQ(static_cast<int>(unknown), 0x7fffffff);
  EXPECT_EQ(static_cast<int>(static_cast<CUresult>(-1)), -1);
}

} // namespace
