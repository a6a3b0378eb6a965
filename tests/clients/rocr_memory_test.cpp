// Debian's ROCr: agents, memory pools, locked memory and copies.
#include "rocr_client.hpp"

#include <numeric>

namespace {

using namespace rocr_client;

class RocrMemory : public RocrTest {
protected:
  static std::vector<std::uint32_t> pattern(std::size_t words, std::uint32_t seed) {
    std::vector<std::uint32_t> result(words);
    for (std::size_t i = 0; i < words; ++i)
      result[i] = static_cast<std::uint32_t>((i + seed) * 2654435761u);
    return result;
  }
};

template <class T>
T agent_info(hsa_agent_t agent, std::uint32_t attribute) {
  T value{};
  EXPECT_EQ(hsa_agent_get_info(agent, static_cast<hsa_agent_info_t>(attribute), &value), HSA_STATUS_SUCCESS)
      << attribute;
  return value;
}

TEST_F(RocrMemory, agents_describe_the_card_and_the_host) {
  EXPECT_EQ(agent_info<std::uint32_t>(gpu_, HSA_AMD_AGENT_INFO_CHIP_ID), 0x73bfu);
  EXPECT_EQ(agent_info<std::uint32_t>(gpu_, HSA_AMD_AGENT_INFO_COMPUTE_UNIT_COUNT), 72u);
  EXPECT_EQ(agent_info<std::uint32_t>(gpu_, HSA_AMD_AGENT_INFO_NUM_SIMDS_PER_CU), 2u);
  // This ROCr takes the kernel's count of shader arrays, 4 engines of 2, for that of engines.
  EXPECT_EQ(agent_info<std::uint32_t>(gpu_, HSA_AMD_AGENT_INFO_NUM_SHADER_ENGINES), 8u);
  EXPECT_EQ(agent_info<std::uint32_t>(gpu_, HSA_AMD_AGENT_INFO_NUM_SHADER_ARRAYS_PER_SE), 2u);
  EXPECT_EQ(agent_info<std::uint32_t>(gpu_, HSA_AMD_AGENT_INFO_BDFID), 0x300u);
  EXPECT_EQ(agent_info<std::uint32_t>(gpu_, HSA_AMD_AGENT_INFO_DOMAIN), 0u);
  EXPECT_EQ(agent_info<std::uint32_t>(gpu_, HSA_AGENT_INFO_WAVEFRONT_SIZE), 32u);
  EXPECT_EQ(agent_info<std::uint32_t>(gpu_, HSA_AGENT_INFO_WORKGROUP_MAX_SIZE), 1024u);
  EXPECT_EQ(agent_info<hsa_profile_t>(gpu_, HSA_AGENT_INFO_PROFILE), HSA_PROFILE_BASE);
  EXPECT_EQ(agent_info<hsa_profile_t>(cpu_, HSA_AGENT_INFO_PROFILE), HSA_PROFILE_FULL);
  EXPECT_FALSE(agent_info<bool>(gpu_, HSA_AMD_AGENT_INFO_SVM_DIRECT_HOST_ACCESS));
  const auto isa = agent_info<hsa_isa_t>(gpu_, HSA_AGENT_INFO_ISA);
  char name[64] = {};
  ASSERT_EQ(hsa_isa_get_info_alt(isa, HSA_ISA_INFO_NAME, name), HSA_STATUS_SUCCESS);
  EXPECT_STREQ(name, "amdgcn-amd-amdhsa--gfx1030");
}

TEST_F(RocrMemory, pools_have_the_sizes_and_access_rules_of_a_discrete_card) {
  ASSERT_TRUE(device_pool_.handle && fine_pool_.handle && coarse_pool_.handle && kernarg_pool_.handle &&
              group_pool_.handle);
  std::size_t size = 0;
  hsa_amd_memory_pool_get_info(device_pool_, HSA_AMD_MEMORY_POOL_INFO_SIZE, &size);
  EXPECT_EQ(size, (16ull << 30) - (16ull << 20)); // 16 GiB, less what the firmware and the driver keep
  hsa_amd_memory_pool_get_info(group_pool_, HSA_AMD_MEMORY_POOL_INFO_SIZE, &size);
  EXPECT_EQ(size, 64u << 10);
  const auto access = [](hsa_agent_t agent, hsa_amd_memory_pool_t pool) {
    hsa_amd_memory_pool_access_t result{};
    hsa_amd_agent_memory_pool_get_info(agent, pool, HSA_AMD_AGENT_MEMORY_POOL_INFO_ACCESS, &result);
    return result;
  };
  EXPECT_EQ(access(gpu_, device_pool_), HSA_AMD_MEMORY_POOL_ACCESS_ALLOWED_BY_DEFAULT);
  EXPECT_EQ(access(cpu_, device_pool_), HSA_AMD_MEMORY_POOL_ACCESS_DISALLOWED_BY_DEFAULT); // large BAR
  EXPECT_EQ(access(gpu_, fine_pool_), HSA_AMD_MEMORY_POOL_ACCESS_DISALLOWED_BY_DEFAULT);
  EXPECT_EQ(access(cpu_, fine_pool_), HSA_AMD_MEMORY_POOL_ACCESS_ALLOWED_BY_DEFAULT);
  EXPECT_EQ(access(cpu_, group_pool_), HSA_AMD_MEMORY_POOL_ACCESS_NEVER_ALLOWED);
  hsa_amd_memory_pool_link_info_t link{};
  ASSERT_EQ(
      hsa_amd_agent_memory_pool_get_info(gpu_, fine_pool_, HSA_AMD_AGENT_MEMORY_POOL_INFO_LINK_INFO, &link),
      HSA_STATUS_SUCCESS);
  EXPECT_EQ(link.link_type, HSA_AMD_LINK_INFO_TYPE_PCIE);
}

TEST_F(RocrMemory, too_much_is_refused_and_freed_memory_comes_back) {
  void* pointer = nullptr;
  std::size_t size = 0;
  hsa_amd_memory_pool_get_info(device_pool_, HSA_AMD_MEMORY_POOL_INFO_SIZE, &size);
  EXPECT_NE(hsa_amd_memory_pool_allocate(device_pool_, size + 4096, 0, &pointer), HSA_STATUS_SUCCESS);
  EXPECT_NE(hsa_amd_memory_pool_allocate(group_pool_, 4096, 0, &pointer), HSA_STATUS_SUCCESS);
  for (int round = 0; round < 5; ++round) { // five times 10 GiB only fit one after the other
    ASSERT_EQ(hsa_amd_memory_pool_allocate(device_pool_, 10ull << 30, 0, &pointer), HSA_STATUS_SUCCESS);
    void* second = nullptr;
    EXPECT_NE(hsa_amd_memory_pool_allocate(device_pool_, 10ull << 30, 0, &second), HSA_STATUS_SUCCESS);
    ASSERT_EQ(hsa_amd_memory_pool_free(pointer), HSA_STATUS_SUCCESS);
  }
}

TEST_F(RocrMemory, copies_follow_their_dependencies_through_every_pool) {
  constexpr std::size_t words = 300'000;
  const std::vector<std::uint32_t> data = pattern(words, 1);
  const hsa_amd_memory_pool_t pools[] = {kernarg_pool_, device_pool_, device_pool_,
                                         coarse_pool_,  device_pool_, fine_pool_};
  const hsa_agent_t owners[] = {cpu_, gpu_, gpu_, cpu_, gpu_, cpu_};
  std::vector<std::uint32_t*> buffers;
  for (const hsa_amd_memory_pool_t pool : pools)
    buffers.push_back(allocate<std::uint32_t>(pool, words));
  std::memcpy(buffers[0], data.data(), words * 4);
  const hsa_signal_t gate = make_signal(1);
  std::vector<hsa_signal_t> links = {gate};
  for (std::size_t i = 0; i + 1 < buffers.size(); ++i) {
    links.push_back(make_signal(1));
    ASSERT_EQ(hsa_amd_memory_async_copy(buffers[i + 1], owners[i + 1], buffers[i], owners[i], words * 4, 1,
                                        &links[i], links[i + 1]),
              HSA_STATUS_SUCCESS);
  }
  EXPECT_EQ(hsa_signal_load_scacquire(links.back()), 1);
  hsa_signal_store_screlease(gate, 0);
  EXPECT_EQ(wait_for_zero(links.back()), 0);
  EXPECT_EQ(std::memcmp(buffers.back(), data.data(), words * 4), 0);
  for (const hsa_signal_t signal : links)
    hsa_signal_destroy(signal);
}

// Odd sizes at odd addresses, with what lies around them untouched.
TEST_F(RocrMemory, copies_of_odd_sizes_touch_nothing_else) {
  constexpr std::size_t bytes = 70'000;
  auto* source = allocate<unsigned char>(fine_pool_, bytes);
  auto* device = allocate<unsigned char>(device_pool_, bytes);
  for (std::size_t i = 0; i < bytes; ++i)
    source[i] = static_cast<unsigned char>(i * 7 + i / 256);
  for (const std::size_t size : {1ul, 3ul, 4ul, 63ul, 257ul, 4097ul, 65'535ul})
    for (const std::size_t offset : {0ul, 1ul, 5ul, 64ul}) {
      std::memset(device, 0xee, bytes);
      const hsa_signal_t done = make_signal(1);
      ASSERT_EQ(
          hsa_amd_memory_async_copy(device + offset, gpu_, source + offset / 2, cpu_, size, 0, nullptr, done),
          HSA_STATUS_SUCCESS);
      EXPECT_EQ(wait_for_zero(done), 0);
      for (std::size_t i = 0; i < bytes; ++i) {
        const bool inside = i >= offset && i < offset + size;
        ASSERT_EQ(device[i], inside ? source[i - offset + offset / 2] : 0xee) << size << " at " << offset;
      }
      hsa_signal_destroy(done);
    }
}

TEST_F(RocrMemory, rectangles_are_copied) {
  constexpr std::size_t pitch = 256, slice = pitch * 20, layers = 6;
  auto* source = allocate<unsigned char>(fine_pool_, slice * layers);
  auto* device = allocate<unsigned char>(device_pool_, slice * layers);
  auto* back = allocate<unsigned char>(fine_pool_, slice * layers);
  for (std::size_t i = 0; i < slice * layers; ++i)
    source[i] = static_cast<unsigned char>(i * 13 + i / 300);
  std::memset(device, 0x11, slice * layers);
  std::memset(back, 0x22, slice * layers);
  const hsa_pitched_ptr_t from = {source, pitch, slice}, through = {device, pitch, slice},
                          to = {back, pitch, slice};
  const hsa_dim3_t from_at = {16, 3, 1}, through_at = {64, 5, 2}, to_at = {4, 0, 0}, range = {100, 9, 3};
  const hsa_signal_t up = make_signal(1), down = make_signal(1);
  ASSERT_EQ(hsa_amd_memory_async_copy_rect(&through, &through_at, &from, &from_at, &range, gpu_,
                                           hsaHostToDevice, 0, nullptr, up),
            HSA_STATUS_SUCCESS);
  ASSERT_EQ(hsa_amd_memory_async_copy_rect(&to, &to_at, &through, &through_at, &range, gpu_, hsaDeviceToHost,
                                           1, &up, down),
            HSA_STATUS_SUCCESS);
  EXPECT_EQ(wait_for_zero(down), 0);
  for (std::size_t z = 0; z < layers; ++z)
    for (std::size_t y = 0; y < 20; ++y)
      for (std::size_t x = 0; x < pitch; ++x) {
        const bool inside = x >= 4 && x < 104 && y < 9 && z < 3;
        const unsigned char expected = inside ? source[(z + 1) * slice + (y + 3) * pitch + x - 4 + 16] : 0x22;
        ASSERT_EQ(back[z * slice + y * pitch + x], expected) << x << ' ' << y << ' ' << z;
      }
  hsa_signal_destroy(up);
  hsa_signal_destroy(down);
}

TEST_F(RocrMemory, fills_are_of_words) {
  constexpr std::size_t words = 1'000'003;
  for (const hsa_amd_memory_pool_t pool : {device_pool_, fine_pool_}) {
    auto* data = allocate<std::uint32_t>(pool, words);
    data[0] = data[words - 1] = 9;
    ASSERT_EQ(hsa_amd_memory_fill(data + 1, 0xabcd1234, words - 2), HSA_STATUS_SUCCESS);
    EXPECT_EQ(data[0], 9u);
    EXPECT_EQ(data[words - 1], 9u);
    for (std::size_t i = 1; i < words - 1; ++i)
      ASSERT_EQ(data[i], 0xabcd1234u) << i;
  }
}

TEST_F(RocrMemory, copy_times_are_recorded) {
  constexpr std::size_t bytes = 1 << 20;
  void* source = allocate(fine_pool_, bytes);
  void* target = allocate(device_pool_, bytes);
  ASSERT_EQ(hsa_amd_profiling_async_copy_enable(true), HSA_STATUS_SUCCESS);
  const hsa_signal_t done = make_signal(1);
  std::uint64_t before = 0, after = 0, frequency = 0;
  hsa_system_get_info(HSA_SYSTEM_INFO_TIMESTAMP_FREQUENCY, &frequency);
  hsa_system_get_info(HSA_SYSTEM_INFO_TIMESTAMP, &before);
  ASSERT_EQ(hsa_amd_memory_async_copy(target, gpu_, source, cpu_, bytes, 0, nullptr, done),
            HSA_STATUS_SUCCESS);
  EXPECT_EQ(wait_for_zero(done), 0);
  hsa_system_get_info(HSA_SYSTEM_INFO_TIMESTAMP, &after);
  hsa_amd_profiling_async_copy_time_t time{};
  ASSERT_EQ(hsa_amd_profiling_get_async_copy_time(done, &time), HSA_STATUS_SUCCESS);
  EXPECT_GE(time.start + frequency / 1000, before);
  EXPECT_LT(time.start, time.end);
  EXPECT_LE(time.end, after + frequency / 1000);
  hsa_amd_profiling_async_copy_enable(false);
  hsa_signal_destroy(done);
}

TEST_F(RocrMemory, pointers_are_known_by_their_kind) {
  const auto info_of = [](const void* pointer) {
    hsa_amd_pointer_info_t info{};
    info.size = sizeof info;
    EXPECT_EQ(hsa_amd_pointer_info(pointer, &info, nullptr, nullptr, nullptr), HSA_STATUS_SUCCESS);
    return info;
  };
  auto* device = static_cast<char*>(allocate(device_pool_, 1 << 16));
  int user_data = 0;
  ASSERT_EQ(hsa_amd_pointer_info_set_userdata(device, &user_data), HSA_STATUS_SUCCESS);
  hsa_amd_pointer_info_t info = info_of(device + 1000);
  EXPECT_EQ(info.type, HSA_EXT_POINTER_TYPE_HSA);
  EXPECT_EQ(info.agentBaseAddress, device);
  EXPECT_EQ(info.sizeInBytes, 1u << 16);
  EXPECT_EQ(info.userData, &user_data);
  EXPECT_EQ(info.agentOwner.handle, gpu_.handle);

  std::vector<char> host(100'000);
  EXPECT_EQ(info_of(host.data()).type, HSA_EXT_POINTER_TYPE_UNKNOWN);
  void* locked = nullptr;
  ASSERT_EQ(hsa_amd_memory_lock(host.data(), host.size(), &gpu_, 1, &locked), HSA_STATUS_SUCCESS);
  info = info_of(host.data() + 10);
  EXPECT_EQ(info.type, HSA_EXT_POINTER_TYPE_LOCKED);
  EXPECT_EQ(info.hostBaseAddress, host.data());
  EXPECT_EQ(info.agentBaseAddress, locked);
  EXPECT_EQ(info.sizeInBytes, host.size());
  ASSERT_EQ(hsa_amd_memory_unlock(host.data()), HSA_STATUS_SUCCESS);
  EXPECT_EQ(info_of(host.data()).type, HSA_EXT_POINTER_TYPE_UNKNOWN);
}

// A kernel writes to the program's own memory while it is locked, at any offset in a page.
TEST_F(RocrMemory, locked_memory_is_the_hosts) {
  const Program program(gpu_);
  hsa_queue_t* queue = make_queue();
  std::vector<std::uint32_t> host(5000);
  for (const std::size_t first : {0ul, 3ul, 1500ul}) {
    std::iota(host.begin(), host.end(), 1000);
    void* locked = nullptr;
    ASSERT_EQ(hsa_amd_memory_lock(host.data() + first, 2000 * 4, nullptr, 0, &locked), HSA_STATUS_SUCCESS);
    struct {
      void* data;
      std::uint32_t n;
    } arguments = {locked, 2000};
    const hsa_signal_t done = make_signal(1);
    dispatch(queue, program.kernel("add_index"), {{2048, 1, 1}, {64, 1, 1}}, arguments, done);
    EXPECT_EQ(wait_for_zero(done), 0);
    hsa_signal_destroy(done);
    ASSERT_EQ(hsa_amd_memory_unlock(host.data() + first), HSA_STATUS_SUCCESS);
    for (std::size_t i = 0; i < host.size(); ++i) {
      const bool inside = i >= first && i < first + 2000;
      ASSERT_EQ(host[i], 1000 + i + (inside ? i - first : 0)) << i;
    }
  }
  hsa_queue_destroy(queue);
}

// ROCr's IPC needs ioctls of AMD's own kernel, which Linux has not got.
TEST_F(RocrMemory, sharing_by_ipc_handle_is_refused) {
  void* device = allocate(device_pool_, 1 << 16);
  hsa_amd_ipc_memory_t handle{};
  EXPECT_NE(hsa_amd_ipc_memory_create(device, 1 << 16, &handle), HSA_STATUS_SUCCESS);
}

} // namespace
