// One fault ends a device: this executable has one test.
#include "gpu_fixture.hpp"

#include <atomic>
#include <thread>

#include "code_object.hpp"
#include "kernels_gfx.hpp"

namespace {

using namespace shim::kfd;

TEST(fault, a_wild_write_is_reported_and_every_waiter_returns) {
  std::atomic<int> calls = 0;
  test::device().on_fault([&](const Fault&) { ++calls; });
  auto queue = test::device().create_queue();
  ASSERT_TRUE(queue);
  EXPECT_FALSE(test::device().fault());

  auto never = test::device().acquire_signal(SignalKind::interrupting);
  ASSERT_TRUE(never);
  std::atomic<CUresult> other = CUDA_SUCCESS;
  std::thread waiter([&] { other = never->wait_done(test::patience).code(); });

  std::uint64_t wild = 0;
  {
    auto gone = test::device().allocate(MemoryKind::vram, 1 << 20);
    ASSERT_TRUE(gone);
    wild = gone->address();
  }
  test::CodeObject code(kernels_gfx);
  Buffer arguments = test::pack_arguments(wild + 0x3000, 1u);
  auto done = test::device().acquire_signal(SignalKind::interrupting);
  ASSERT_TRUE(done);
  test::submit_dispatch(**queue, {.kernel = code.kernel("fill"), .items = 1, .group = 1}, arguments,
                        done->handle());

  EXPECT_EQ(done->wait_done(test::patience).code(), CUDA_ERROR_ILLEGAL_ADDRESS);
  waiter.join();
  EXPECT_EQ(other, CUDA_ERROR_ILLEGAL_ADDRESS);
  auto fault = test::device().fault();
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, Fault::Kind::memory);
  EXPECT_EQ(fault->address, wild + 0x3000);
  EXPECT_TRUE(fault->not_present);
  EXPECT_EQ(calls, 1);
}

} // namespace
