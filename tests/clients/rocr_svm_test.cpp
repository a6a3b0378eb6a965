// Debian's ROCr upon a kernel with shared virtual memory: attributes, prefetches, kernels and copies on the
// program's own memory.
#include "rocr_client.hpp"

#include <numeric>
#include <sys/mman.h>

namespace {

using namespace rocr_client;

using Attributes = std::vector<hsa_amd_svm_attribute_pair_t>;

class RocrSvm : public RocrTest {
protected:
  static constexpr std::size_t page = 4096;

  static std::uint32_t* memory_of(std::size_t bytes) {
    return static_cast<std::uint32_t*>(
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }
  static hsa_status_t set(void* at, std::size_t bytes, Attributes attributes) {
    return hsa_amd_svm_attributes_set(at, bytes, attributes.data(), attributes.size());
  }
  static std::uint64_t get(void* at, std::size_t bytes, std::uint64_t attribute, std::uint64_t value = 0) {
    hsa_amd_svm_attribute_pair_t pair{attribute, value};
    EXPECT_EQ(hsa_amd_svm_attributes_get(at, bytes, &pair, 1), HSA_STATUS_SUCCESS) << attribute;
    return attribute == HSA_AMD_SVM_ATTRIB_ACCESS_QUERY ? pair.attribute : pair.value;
  }
  std::uint64_t access(void* at, std::size_t bytes) {
    return get(at, bytes, HSA_AMD_SVM_ATTRIB_ACCESS_QUERY, gpu_.handle);
  }
  void prefetch(void* at, std::size_t bytes, hsa_agent_t agent) {
    const hsa_signal_t done = make_signal(1);
    EXPECT_EQ(hsa_amd_svm_prefetch_async(at, bytes, agent, 0, nullptr, done), HSA_STATUS_SUCCESS);
    EXPECT_EQ(wait_for_zero(done), 0);
    hsa_signal_destroy(done);
  }
  void add_index(const Program& program, hsa_queue_t* queue, std::uint32_t* data, std::uint32_t n) {
    const struct {
      void* data;
      std::uint32_t n;
    } arguments = {data, n};
    const hsa_signal_t done = make_signal(1);
    dispatch(queue, program.kernel("add_index"), {{(n + 63) / 64 * 64, 1, 1}, {64, 1, 1}}, arguments, done);
    EXPECT_EQ(wait_for_zero(done), 0);
    hsa_signal_destroy(done);
  }
};

TEST_F(RocrSvm, the_runtime_offers_it) {
  bool supported = false, by_default = true;
  ASSERT_EQ(hsa_system_get_info(HSA_AMD_SYSTEM_INFO_SVM_SUPPORTED, &supported), HSA_STATUS_SUCCESS);
  ASSERT_EQ(hsa_system_get_info(HSA_AMD_SYSTEM_INFO_SVM_ACCESSIBLE_BY_DEFAULT, &by_default),
            HSA_STATUS_SUCCESS);
  EXPECT_TRUE(supported);
  EXPECT_FALSE(by_default) << "that wants XNACK";
}

TEST_F(RocrSvm, attributes_are_answered_as_they_were_set) {
  std::uint32_t* memory = memory_of(4 * page);
  const std::size_t bytes = 4 * page;
  EXPECT_EQ(access(memory, bytes), HSA_AMD_SVM_ATTRIB_AGENT_NO_ACCESS);
  EXPECT_EQ(get(memory, bytes, HSA_AMD_SVM_ATTRIB_GLOBAL_FLAG), HSA_AMD_SVM_GLOBAL_FLAG_FINE_GRAINED);
  EXPECT_EQ(get(memory, bytes, HSA_AMD_SVM_ATTRIB_PREFERRED_LOCATION), 0u);
  ASSERT_EQ(set(memory, bytes,
                {{HSA_AMD_SVM_ATTRIB_GLOBAL_FLAG, HSA_AMD_SVM_GLOBAL_FLAG_COARSE_GRAINED},
                 {HSA_AMD_SVM_ATTRIB_READ_ONLY, 1},
                 {HSA_AMD_SVM_ATTRIB_HIVE_LOCAL, 1},
                 {HSA_AMD_SVM_ATTRIB_READ_MOSTLY, 1},
                 {HSA_AMD_SVM_ATTRIB_MIGRATION_GRANULARITY, 6},
                 {HSA_AMD_SVM_ATTRIB_PREFERRED_LOCATION, gpu_.handle},
                 {HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE_IN_PLACE, gpu_.handle}}),
            HSA_STATUS_SUCCESS);
  EXPECT_EQ(get(memory, bytes, HSA_AMD_SVM_ATTRIB_GLOBAL_FLAG), HSA_AMD_SVM_GLOBAL_FLAG_COARSE_GRAINED);
  EXPECT_NE(get(memory, bytes, HSA_AMD_SVM_ATTRIB_READ_ONLY), 0u);   // ROCr answers with the bit
  EXPECT_NE(get(memory, bytes, HSA_AMD_SVM_ATTRIB_HIVE_LOCAL), 0u);  // ROCr answers with the bit
  EXPECT_NE(get(memory, bytes, HSA_AMD_SVM_ATTRIB_READ_MOSTLY), 0u); // ROCr answers with the bit
  EXPECT_EQ(get(memory, bytes, HSA_AMD_SVM_ATTRIB_MIGRATION_GRANULARITY), 6u);
  EXPECT_EQ(get(memory, bytes, HSA_AMD_SVM_ATTRIB_PREFERRED_LOCATION), gpu_.handle);
  EXPECT_EQ(access(memory, bytes), HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE_IN_PLACE);
  ASSERT_EQ(set(memory, bytes,
                {{HSA_AMD_SVM_ATTRIB_READ_ONLY, 0},
                 {HSA_AMD_SVM_ATTRIB_PREFERRED_LOCATION, cpu_.handle},
                 {HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE, gpu_.handle}}),
            HSA_STATUS_SUCCESS);
  EXPECT_EQ(get(memory, bytes, HSA_AMD_SVM_ATTRIB_READ_ONLY), 0u);
  EXPECT_EQ(get(memory, bytes, HSA_AMD_SVM_ATTRIB_PREFERRED_LOCATION), cpu_.handle);
  EXPECT_EQ(access(memory, bytes), HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE);
  munmap(memory, bytes);
}

TEST_F(RocrSvm, parts_that_differ_are_told_apart) {
  std::uint32_t* memory = memory_of(4 * page);
  const std::size_t bytes = 4 * page;
  ASSERT_EQ(set(memory, bytes,
                {{HSA_AMD_SVM_ATTRIB_GLOBAL_FLAG, HSA_AMD_SVM_GLOBAL_FLAG_COARSE_GRAINED},
                 {HSA_AMD_SVM_ATTRIB_MIGRATION_GRANULARITY, 5},
                 {HSA_AMD_SVM_ATTRIB_PREFERRED_LOCATION, gpu_.handle},
                 {HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE, gpu_.handle}}),
            HSA_STATUS_SUCCESS);
  std::uint32_t* second = memory + page / 4;
  ASSERT_EQ(set(second, page,
                {{HSA_AMD_SVM_ATTRIB_GLOBAL_FLAG, HSA_AMD_SVM_GLOBAL_FLAG_FINE_GRAINED},
                 {HSA_AMD_SVM_ATTRIB_MIGRATION_GRANULARITY, 2},
                 {HSA_AMD_SVM_ATTRIB_PREFERRED_LOCATION, cpu_.handle},
                 {HSA_AMD_SVM_ATTRIB_AGENT_NO_ACCESS, gpu_.handle}}),
            HSA_STATUS_SUCCESS);
  EXPECT_EQ(get(memory, bytes, HSA_AMD_SVM_ATTRIB_GLOBAL_FLAG), HSA_AMD_SVM_GLOBAL_FLAG_INDETERMINATE);
  EXPECT_EQ(get(memory, bytes, HSA_AMD_SVM_ATTRIB_MIGRATION_GRANULARITY), 2u);
  EXPECT_EQ(get(memory, bytes, HSA_AMD_SVM_ATTRIB_PREFERRED_LOCATION), 0u);
  EXPECT_EQ(access(memory, bytes), HSA_AMD_SVM_ATTRIB_AGENT_NO_ACCESS);
  EXPECT_EQ(get(second, page, HSA_AMD_SVM_ATTRIB_PREFERRED_LOCATION), cpu_.handle);
  EXPECT_EQ(access(memory, page), HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE);
  munmap(memory, bytes);
}

// On the heap, which is none of ROCr's business.
TEST_F(RocrSvm, kernels_run_on_memory_that_nobody_allocated_for_them) {
  const Program program(gpu_);
  hsa_queue_t* queue = make_queue();
  for (const std::size_t words : {1'000ul, 100'003ul, 1'000'003ul}) {
    std::vector<std::uint32_t> data(words);
    std::iota(data.begin(), data.end(), 7);
    ASSERT_EQ(set(data.data(), words * 4, {{HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE, gpu_.handle}}),
              HSA_STATUS_SUCCESS);
    add_index(program, queue, data.data(), static_cast<std::uint32_t>(words));
    for (std::size_t i = 0; i < words; ++i)
      ASSERT_EQ(data[i], 7 + 2 * i) << i;
  }
  hsa_queue_destroy(queue);
}

TEST_F(RocrSvm, prefetches_move_memory_to_and_fro) {
  const Program program(gpu_);
  hsa_queue_t* queue = make_queue();
  constexpr std::size_t words = 300'000, bytes = (words * 4 + page - 1) / page * page;
  std::uint32_t* data = memory_of(bytes);
  ASSERT_EQ(set(data, bytes, {{HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE, gpu_.handle}}), HSA_STATUS_SUCCESS);
  EXPECT_EQ(get(data, bytes, HSA_AMD_SVM_ATTRIB_PREFETCH_LOCATION), 0u);
  for (std::uint32_t round = 1; round <= 3; ++round) {
    prefetch(data, bytes, gpu_);
    EXPECT_EQ(get(data, bytes, HSA_AMD_SVM_ATTRIB_PREFETCH_LOCATION), gpu_.handle);
    add_index(program, queue, data, words);
    prefetch(data, bytes, cpu_);
    EXPECT_EQ(get(data, bytes, HSA_AMD_SVM_ATTRIB_PREFETCH_LOCATION), cpu_.handle);
    for (std::size_t i = 0; i < words; ++i)
      ASSERT_EQ(data[i], round * i) << i;
  }
  munmap(data, bytes);
  hsa_queue_destroy(queue);
}

TEST_F(RocrSvm, copies_reach_it) {
  constexpr std::size_t bytes = 64 * page;
  std::uint32_t* host = memory_of(bytes);
  std::iota(host, host + bytes / 4, 3);
  ASSERT_EQ(set(host, bytes, {{HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE_IN_PLACE, gpu_.handle}}),
            HSA_STATUS_SUCCESS);
  auto* device = allocate<std::uint32_t>(device_pool_, bytes / 4);
  const hsa_signal_t done = make_signal(1);
  ASSERT_EQ(hsa_amd_memory_async_copy(device, gpu_, host, cpu_, bytes / 2, 0, nullptr, done),
            HSA_STATUS_SUCCESS);
  EXPECT_EQ(wait_for_zero(done), 0);
  hsa_signal_store_screlease(done, 1);
  ASSERT_EQ(hsa_amd_memory_async_copy(host + bytes / 8, cpu_, device, gpu_, bytes / 2, 0, nullptr, done),
            HSA_STATUS_SUCCESS);
  EXPECT_EQ(wait_for_zero(done), 0);
  EXPECT_EQ(std::memcmp(host, host + bytes / 8, bytes / 2), 0);
  EXPECT_EQ(host[bytes / 8 + 5], 8u);
  hsa_signal_destroy(done);
  munmap(host, bytes);
}

TEST_F(RocrSvm, what_makes_no_sense_is_refused) {
  std::uint32_t* memory = memory_of(page);
  EXPECT_NE(set(memory, page, {{99, 0}}), HSA_STATUS_SUCCESS);
  EXPECT_NE(set(memory, page, {{HSA_AMD_SVM_ATTRIB_PREFETCH_LOCATION, gpu_.handle}}), HSA_STATUS_SUCCESS);
  EXPECT_NE(set(allocate(device_pool_, page), page, {{HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE, gpu_.handle}}),
            HSA_STATUS_SUCCESS)
      << "a buffer";
  munmap(memory, page);
  EXPECT_NE(set(memory, page, {{HSA_AMD_SVM_ATTRIB_AGENT_ACCESSIBLE, gpu_.handle}}), HSA_STATUS_SUCCESS)
      << "a hole";
}

} // namespace
