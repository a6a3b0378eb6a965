// Debian's ROCr hears of what goes wrong on the card. Each fault has a process of its own.
#include "rocr_client.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace {

using namespace rocr_client;

class RocrFaults : public RocrTest {
protected:
  // The queue whose errors are recorded.
  hsa_queue_t* watched_queue() {
    hsa_queue_t* queue = nullptr;
    const auto callback = [](hsa_status_t status, hsa_queue_t*, void* seen) {
      static_cast<std::atomic<int>*>(seen)->store(status);
    };
    EXPECT_EQ(
        hsa_queue_create(gpu_, 64, HSA_QUEUE_TYPE_MULTI, callback, &seen_, UINT32_MAX, UINT32_MAX, &queue),
        HSA_STATUS_SUCCESS);
    return queue;
  }
  int seen_error() {
    for (int i = 0; i < 10'000 && seen_ == HSA_STATUS_SUCCESS; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return seen_;
  }
  std::atomic<int> seen_{HSA_STATUS_SUCCESS};
};

// A broken packet is an error of its own queue; another one goes on.
class RocrBrokenPackets : public RocrFaults {
protected:
  void expect_error(hsa_kernel_dispatch_packet_t packet, std::uint16_t header, hsa_status_t error) {
    hsa_queue_t* queue = watched_queue();
    hsa_queue_t* other = make_queue();
    submit(queue, &packet, header);
    EXPECT_EQ(seen_error(), error);
    const hsa_signal_t done = make_signal(1);
    submit_barrier(other, {0}, done);
    EXPECT_EQ(wait_for_zero(done), 0);
    hsa_signal_destroy(done);
    EXPECT_EQ(hsa_queue_destroy(queue), HSA_STATUS_SUCCESS);
    EXPECT_EQ(hsa_queue_destroy(other), HSA_STATUS_SUCCESS);
  }
  hsa_kernel_dispatch_packet_t good_packet(const Program& program) {
    const Kernel kernel = program.kernel("add_index");
    hsa_kernel_dispatch_packet_t packet{};
    packet.setup = 1;
    packet.workgroup_size_x = packet.grid_size_x = 64;
    packet.workgroup_size_y = packet.workgroup_size_z = packet.grid_size_y = packet.grid_size_z = 1;
    packet.kernel_object = kernel.object;
    packet.kernarg_address = allocate(kernarg_pool_, 4096);
    std::memset(packet.kernarg_address, 0, 4096);
    return packet;
  }
};

TEST_F(RocrBrokenPackets, unknown_type) {
  expect_error({}, header_of(9), HSA_STATUS_ERROR_INVALID_PACKET_FORMAT);
}

TEST_F(RocrBrokenPackets, no_dimensions) {
  const Program program(gpu_);
  hsa_kernel_dispatch_packet_t packet = good_packet(program);
  packet.workgroup_size_x = 0;
  expect_error(packet, header_of(HSA_PACKET_TYPE_KERNEL_DISPATCH), HSA_STATUS_ERROR_INCOMPATIBLE_ARGUMENTS);
}

TEST_F(RocrBrokenPackets, workgroup_too_large) {
  const Program program(gpu_);
  hsa_kernel_dispatch_packet_t packet = good_packet(program);
  packet.grid_size_x = packet.workgroup_size_x = 1025;
  expect_error(packet, header_of(HSA_PACKET_TYPE_KERNEL_DISPATCH), HSA_STATUS_ERROR_INVALID_ARGUMENT);
}

TEST_F(RocrBrokenPackets, too_much_lds) {
  const Program program(gpu_);
  hsa_kernel_dispatch_packet_t packet = good_packet(program);
  packet.group_segment_size = 65 * 1024;
  expect_error(packet, header_of(HSA_PACKET_TYPE_KERNEL_DISPATCH), HSA_STATUS_ERROR_INVALID_ALLOCATION);
}

TEST_F(RocrBrokenPackets, no_code) {
  const Program program(gpu_);
  hsa_kernel_dispatch_packet_t packet = good_packet(program);
  packet.kernel_object = 0;
  expect_error(packet, header_of(HSA_PACKET_TYPE_KERNEL_DISPATCH), HSA_STATUS_ERROR_INVALID_CODE_OBJECT);
}

// The trap handler that this ROCr installs for gfx10.3 halts the wave, as it was made to for debuggers, and
// leaves it at that: the queue is busy until it is destroyed. Without a handler the kernel would end behind
// the trap.
class RocrTraps : public RocrFaults {
protected:
  void expect_halted_wave(const char* kernel) {
    const Program program(gpu_);
    auto* out = allocate<std::uint32_t>(fine_pool_, 1);
    hsa_queue_t* queue = watched_queue();
    const hsa_signal_t done = make_signal(1);
    dispatch(queue, program.kernel(kernel), {}, out, done);
    constexpr std::uint64_t a_while_ns = 300'000'000;
    EXPECT_EQ(hsa_signal_wait_scacquire(done, HSA_SIGNAL_CONDITION_EQ, 0, a_while_ns, HSA_WAIT_STATE_BLOCKED),
              1);
    EXPECT_EQ(*out, 1u);
    EXPECT_EQ(seen_, HSA_STATUS_SUCCESS);
    EXPECT_EQ(hsa_queue_destroy(queue), HSA_STATUS_SUCCESS);
    EXPECT_EQ(hsa_signal_load_scacquire(done), 1);
    hsa_signal_destroy(done);
  }
};

TEST_F(RocrTraps, trap_halts_the_wave) {
  expect_halted_wave("trap");
}

TEST_F(RocrTraps, illegal_instruction_halts_the_wave) {
  expect_halted_wave("illegal_instruction");
}

// Behind a message to a debugger, for which the handler asks for the queue's doorbell.
TEST_F(RocrTraps, debug_trap_halts_the_wave) {
  expect_halted_wave("debug_trap");
}

// An unmapped address takes the process's queues down; the handler is told address and reason.
class RocrMemoryFaults : public RocrFaults, public ::testing::WithParamInterface<bool> {
protected:
  struct Seen {
    std::atomic<bool> called{false};
    hsa_amd_event_t event{};
  } fault_;
};

TEST_P(RocrMemoryFaults, are_told_to_the_system_event_handler) {
  const auto handler = [](const hsa_amd_event_t* event, void* data) {
    auto* seen = static_cast<Seen*>(data);
    seen->event = *event;
    seen->called = true;
    return HSA_STATUS_SUCCESS;
  };
  ASSERT_EQ(hsa_amd_register_system_event_handler(handler, &fault_), HSA_STATUS_SUCCESS);
  const Program program(gpu_);
  constexpr std::uint64_t wild = 0x123456789000;
  auto* out = allocate<std::uint32_t>(fine_pool_, 1);
  hsa_queue_t* queue = watched_queue();
  if (GetParam()) {
    struct {
      std::uint64_t where;
      std::uint32_t value;
    } arguments = {wild + 8, 1};
    dispatch(queue, program.kernel("store_at"), {}, arguments, {0});
  } else {
    struct {
      std::uint64_t where;
      std::uint32_t* out;
    } arguments = {wild + 8, out};
    dispatch(queue, program.kernel("load_from"), {}, arguments, {0});
  }
  for (int i = 0; i < 10'000 && !fault_.called; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  ASSERT_TRUE(fault_.called);
  EXPECT_EQ(fault_.event.event_type, HSA_AMD_GPU_MEMORY_FAULT_EVENT);
  EXPECT_EQ(fault_.event.memory_fault.agent.handle, gpu_.handle);
  EXPECT_EQ(fault_.event.memory_fault.virtual_address, wild);
  EXPECT_TRUE(fault_.event.memory_fault.fault_reason_mask & HSA_AMD_MEMORY_FAULT_PAGE_NOT_PRESENT);
  EXPECT_EQ(hsa_queue_destroy(queue), HSA_STATUS_SUCCESS);
}

INSTANTIATE_TEST_SUITE_P(access, RocrMemoryFaults, ::testing::Bool(),
                         [](const auto& which) { return which.param ? "stores" : "loads"; });

} // namespace
