// Barriers for a part of a block, and between the threads of a warp.
#include "fixture.hpp"

namespace {

constexpr const char* kernels = R"ptx(
.version 6.0
.target sm_30
.address_size 64

// Two warps produce, two consume, a hundred times over, through one word of shared memory for each thread.
// out[t] = the sum of what the consumer t saw: round * 64 + t.
.visible .entry handover(.param .u64 out)
{
  .shared .align 4 .b8 box[256];
  .reg .pred %p, %q;
  .reg .u32 %t, %slot, %at, %round, %value, %sum;
  .reg .u64 %address, %offset;
  ld.param.u64 %address, [out];
  mov.u32 %t, %tid.x;
  and.b32 %slot, %t, 63;
  shl.b32 %at, %slot, 2;
  mov.u32 %value, box;
  add.u32 %at, %at, %value;
  mov.u32 %round, 0;
  mov.u32 %sum, 0;
  setp.ge.u32 %p, %t, 64;
  @%p bra consume;
produce:
  mad.lo.u32 %value, %round, 64, %slot;
  st.shared.u32 [%at], %value;
  bar.arrive 1, 128;
  bar.sync 2, 128;
  add.u32 %round, %round, 1;
  setp.lt.u32 %q, %round, 100;
  @%q bra produce;
  bra done;
consume:
  bar.sync 1, 128;
  xor.b32 %value, %at, 128;
  ld.shared.u32 %value, [%value];
  add.u32 %sum, %sum, %value;
  bar.arrive 2, 128;
  add.u32 %round, %round, 1;
  setp.lt.u32 %q, %round, 100;
  @%q bra consume;
  cvta.to.global.u64 %address, %address;
  mul.wide.u32 %offset, %slot, 4;
  add.u64 %address, %address, %offset;
  st.global.u32 [%address], %sum;
done:
  bar.sync 0;
  ret;
}

// Each half of the block counts its threads with an odd number below a bound of its own, twenty times.
.visible .entry count(.param .u64 out)
{
  .reg .pred %p, %q, %r;
  .reg .u32 %t, %half, %bound, %number, %n, %round, %sum;
  .reg .u64 %address, %offset;
  ld.param.u64 %address, [out];
  mov.u32 %t, %tid.x;
  shr.u32 %half, %t, 6;
  add.u32 %number, %half, 3;
  and.b32 %bound, %t, 1;
  setp.ne.u32 %p, %bound, 0;
  mov.u32 %round, 0;
  mov.u32 %sum, 0;
again:
  mad.lo.u32 %bound, %half, 64, %round;
  setp.lt.and.u32 %q, %t, %bound, %p;
  bar.red.popc.u32 %n, %number, 64, %q;
  add.u32 %sum, %sum, %n;
  bar.red.or.pred %r, %number, 64, %q;
  @%r add.u32 %sum, %sum, 1000;
  add.u32 %round, %round, 1;
  setp.lt.u32 %q, %round, 20;
  @%q bra again;
  cvta.to.global.u64 %address, %address;
  mul.wide.u32 %offset, %t, 4;
  add.u64 %address, %address, %offset;
  st.global.u32 [%address], %sum;
  ret;
}

// Each thread reads what its neighbour in the warp wrote.
.visible .entry neighbours(.param .u64 out)
{
  .shared .align 4 .b8 box[512];
  .reg .u32 %t, %at, %other, %base;
  .reg .u64 %address, %offset;
  ld.param.u64 %address, [out];
  mov.u32 %t, %tid.x;
  mov.u32 %base, box;
  shl.b32 %at, %t, 2;
  xor.b32 %other, %at, 124;
  add.u32 %at, %at, %base;
  add.u32 %other, %other, %base;
  st.shared.u32 [%at], %t;
  bar.warp.sync 0xffffffff;
  ld.shared.u32 %other, [%other];
  cvta.to.global.u64 %address, %address;
  mul.wide.u32 %offset, %t, 4;
  add.u64 %address, %address, %offset;
  st.global.u32 [%address], %other;
  ret;
}
)ptx";

class Barrier : public cuda_test::CudaTest {
protected:
  // Runs the kernel with one block of 128 threads and gives back what it wrote.
  std::vector<unsigned> run(const char* name, std::size_t count) {
    std::vector<unsigned> values(count);
    CUmodule module = nullptr;
    EXPECT_OK(cuModuleLoadData(&module, kernels));
    CUfunction function = nullptr;
    EXPECT_OK(cuModuleGetFunction(&function, module, name));
    CUdeviceptr out = allocate(count * 4);
    void* parameters[] = {&out};
    EXPECT_OK(cuLaunchKernel(function, 1, 1, 1, 128, 1, 1, 0, nullptr, parameters, nullptr));
    EXPECT_OK(cuMemcpyDtoH(values.data(), out, count * 4));
    EXPECT_OK(cuMemFree(out));
    EXPECT_OK(cuModuleUnload(module));
    return values;
  }
};

TEST_F(Barrier, hands_over_between_producers_and_consumers) {
  const std::vector<unsigned> sums = run("handover", 64);
  for (unsigned i = 0; i < 64; ++i)
    EXPECT_EQ(sums[i], 64 * 4950 + 100 * (i ^ 32)) << i;
}

TEST_F(Barrier, reduces_over_a_part_of_the_block) {
  const std::vector<unsigned> sums = run("count", 128);
  for (unsigned i = 0; i < 128; ++i) {
    unsigned expected = 0;
    for (unsigned round = 0; round < 20; ++round)
      expected += round / 2 + (round >= 2 ? 1000 : 0);
    EXPECT_EQ(sums[i], expected) << i;
  }
}

TEST_F(Barrier, joins_the_threads_of_a_warp) {
  const std::vector<unsigned> seen = run("neighbours", 128);
  for (unsigned i = 0; i < 128; ++i)
    EXPECT_EQ(seen[i], i ^ 31) << i;
}

} // namespace
