#include "rocr_client.hpp"

#include "rocr_kernels.hpp"

#include <algorithm>

namespace rocr_client {

namespace {

std::string status_text(hsa_status_t status) {
  const char* text = nullptr;
  hsa_status_string(status, &text);
  return text ? text : std::to_string(status);
}

} // namespace

#define HSA_EXPECT(call)                                                                                     \
  do {                                                                                                       \
    const hsa_status_t status_ = (call);                                                                     \
    EXPECT_EQ(status_, HSA_STATUS_SUCCESS) << #call << ": " << status_text(status_);                         \
  } while (0)

Program::Program(hsa_agent_t agent) : agent_(agent) {
  HSA_EXPECT(hsa_code_object_reader_create_from_memory(rocr_kernels, sizeof rocr_kernels, &reader_));
  HSA_EXPECT(hsa_executable_create_alt(HSA_PROFILE_BASE, HSA_DEFAULT_FLOAT_ROUNDING_MODE_DEFAULT, nullptr,
                                       &executable_));
  HSA_EXPECT(hsa_executable_load_agent_code_object(executable_, agent, reader_, nullptr, nullptr));
  HSA_EXPECT(hsa_executable_freeze(executable_, nullptr));
}

Program::~Program() {
  HSA_EXPECT(hsa_executable_destroy(executable_));
  HSA_EXPECT(hsa_code_object_reader_destroy(reader_));
}

Kernel Program::kernel(const char* name) const {
  Kernel kernel;
  hsa_executable_symbol_t symbol{};
  HSA_EXPECT(
      hsa_executable_get_symbol_by_name(executable_, (std::string(name) + ".kd").c_str(), &agent_, &symbol));
  HSA_EXPECT(
      hsa_executable_symbol_get_info(symbol, HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_OBJECT, &kernel.object));
  HSA_EXPECT(hsa_executable_symbol_get_info(symbol, HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_KERNARG_SEGMENT_SIZE,
                                            &kernel.kernarg_size));
  HSA_EXPECT(hsa_executable_symbol_get_info(symbol, HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_GROUP_SEGMENT_SIZE,
                                            &kernel.group_size));
  HSA_EXPECT(hsa_executable_symbol_get_info(symbol, HSA_EXECUTABLE_SYMBOL_INFO_KERNEL_PRIVATE_SEGMENT_SIZE,
                                            &kernel.private_size));
  return kernel;
}

void* Program::variable(const char* name) const {
  hsa_executable_symbol_t symbol{};
  HSA_EXPECT(hsa_executable_get_symbol_by_name(executable_, name, &agent_, &symbol));
  std::uint64_t address = 0;
  HSA_EXPECT(hsa_executable_symbol_get_info(symbol, HSA_EXECUTABLE_SYMBOL_INFO_VARIABLE_ADDRESS, &address));
  return reinterpret_cast<void*>(address);
}

void RocrTest::SetUp() {
  ASSERT_EQ(hsa_init(), HSA_STATUS_SUCCESS);
  hsa_iterate_agents(
      [](hsa_agent_t agent, void* self) {
        hsa_device_type_t type{};
        hsa_agent_get_info(agent, HSA_AGENT_INFO_DEVICE, &type);
        auto* test = static_cast<RocrTest*>(self);
        (type == HSA_DEVICE_TYPE_GPU ? test->gpu_ : test->cpu_) = agent;
        return HSA_STATUS_SUCCESS;
      },
      this);
  ASSERT_NE(gpu_.handle, 0u);
  ASSERT_NE(cpu_.handle, 0u);
  const auto sort_pool = [](hsa_amd_memory_pool_t pool, void* self) {
    auto* test = static_cast<RocrTest*>(self);
    hsa_amd_segment_t segment{};
    std::uint32_t flags = 0;
    hsa_amd_memory_pool_get_info(pool, HSA_AMD_MEMORY_POOL_INFO_SEGMENT, &segment);
    if (segment == HSA_AMD_SEGMENT_GROUP)
      test->group_pool_ = pool;
    if (segment != HSA_AMD_SEGMENT_GLOBAL)
      return HSA_STATUS_SUCCESS;
    hsa_amd_memory_pool_get_info(pool, HSA_AMD_MEMORY_POOL_INFO_GLOBAL_FLAGS, &flags);
    if (flags & HSA_AMD_MEMORY_POOL_GLOBAL_FLAG_KERNARG_INIT)
      test->kernarg_pool_ = pool;
    else if (flags & HSA_AMD_MEMORY_POOL_GLOBAL_FLAG_FINE_GRAINED)
      test->fine_pool_ = pool;
    else
      test->coarse_pool_ = pool;
    return HSA_STATUS_SUCCESS;
  };
  hsa_amd_agent_iterate_memory_pools(gpu_, sort_pool, this);
  device_pool_ = coarse_pool_;
  coarse_pool_ = {};
  hsa_amd_agent_iterate_memory_pools(cpu_, sort_pool, this);
}

void RocrTest::TearDown() {
  for (void* pointer : allocations_)
    HSA_EXPECT(hsa_amd_memory_pool_free(pointer));
  EXPECT_EQ(hsa_shut_down(), HSA_STATUS_SUCCESS);
}

hsa_queue_t* RocrTest::make_queue(std::uint32_t size) {
  hsa_queue_t* queue = nullptr;
  HSA_EXPECT(
      hsa_queue_create(gpu_, size, HSA_QUEUE_TYPE_MULTI, nullptr, nullptr, UINT32_MAX, UINT32_MAX, &queue));
  return queue;
}

hsa_signal_t RocrTest::make_signal(hsa_signal_value_t value) {
  hsa_signal_t signal{};
  HSA_EXPECT(hsa_signal_create(value, 0, nullptr, &signal));
  return signal;
}

void* RocrTest::allocate(hsa_amd_memory_pool_t pool, std::size_t bytes) {
  void* pointer = nullptr;
  HSA_EXPECT(hsa_amd_memory_pool_allocate(pool, bytes, 0, &pointer));
  if (!pointer)
    return nullptr;
  allocations_.push_back(pointer);
  const hsa_agent_t both[] = {gpu_, cpu_};
  HSA_EXPECT(hsa_amd_agents_allow_access(2, both, nullptr, pointer));
  return pointer;
}

void RocrTest::submit(hsa_queue_t* queue, const void* packet, std::uint16_t header) {
  constexpr std::size_t packet_bytes = 64;
  const std::uint64_t index = hsa_queue_add_write_index_relaxed(queue, 1);
  while (index - hsa_queue_load_read_index_scacquire(queue) >= queue->size) {
  }
  char* slot = static_cast<char*>(queue->base_address) + index % queue->size * packet_bytes;
  std::memcpy(slot + sizeof header, static_cast<const char*>(packet) + sizeof header,
              packet_bytes - sizeof header);
  __atomic_store_n(reinterpret_cast<std::uint16_t*>(slot), header, __ATOMIC_RELEASE);
  hsa_signal_store_screlease(queue->doorbell_signal, static_cast<hsa_signal_value_t>(index));
}

void RocrTest::submit_barrier(hsa_queue_t* queue, hsa_signal_t dependency, hsa_signal_t completion) {
  submit_barrier(queue, HSA_PACKET_TYPE_BARRIER_AND, {dependency}, completion);
}

void RocrTest::submit_barrier(hsa_queue_t* queue, hsa_packet_type_t type,
                              const std::vector<hsa_signal_t>& dependencies, hsa_signal_t completion) {
  hsa_barrier_and_packet_t packet{}; // barrier-OR packets look the same
  ASSERT_LE(dependencies.size(), std::size(packet.dep_signal));
  for (std::size_t i = 0; i < dependencies.size(); ++i)
    packet.dep_signal[i] = dependencies[i];
  packet.completion_signal = completion;
  submit(queue, &packet, header_of(type));
}

void RocrTest::dispatch(hsa_queue_t* queue, const Kernel& kernel, const Grid& grid, const void* arguments,
                        std::size_t argument_bytes, hsa_signal_t completion) {
  void* kernarg = allocate(kernarg_pool_, kernel.kernarg_size);
  std::memset(kernarg, 0, kernel.kernarg_size);
  std::memcpy(kernarg, arguments,
              std::min<std::size_t>(argument_bytes, kernel.kernarg_size)); // but for padding
  hsa_kernel_dispatch_packet_t packet{};
  packet.setup = 3 << HSA_KERNEL_DISPATCH_PACKET_SETUP_DIMENSIONS;
  packet.workgroup_size_x = grid.group[0];
  packet.workgroup_size_y = grid.group[1];
  packet.workgroup_size_z = grid.group[2];
  packet.grid_size_x = grid.size[0];
  packet.grid_size_y = grid.size[1];
  packet.grid_size_z = grid.size[2];
  packet.private_segment_size = kernel.private_size;
  packet.group_segment_size = kernel.group_size;
  packet.kernel_object = kernel.object;
  packet.kernarg_address = kernarg;
  packet.completion_signal = completion;
  submit(queue, &packet, header_of(HSA_PACKET_TYPE_KERNEL_DISPATCH));
}

} // namespace rocr_client
