// What a program hears through the render node of jobs that fault or hang. The watchdog is on.
#include "drm_gpu.hpp"
#include "kernels.hpp"

#include <chrono>
#include <thread>

#include <sys/mman.h>

using namespace drm_test;

namespace {

constexpr std::uint64_t soon_ms = 20'000;

class DrmFaults : public ::testing::Test {
protected:
  struct Buffer {
    amdgpu_bo_handle bo = nullptr;
    std::uint64_t va = 0;
    std::uint32_t* cpu = nullptr;
  };
  ~DrmFaults() override {
    for (amdgpu_bo_handle bo : buffers_)
      amdgpu_bo_free(bo);
    for (amdgpu_va_handle range : ranges_)
      amdgpu_va_range_free(range);
  }
  std::uint64_t reserve() {
    std::uint64_t va = 0;
    amdgpu_va_handle range = nullptr;
    EXPECT_EQ(
        amdgpu_va_range_alloc(gpu_.device(), amdgpu_gpu_va_range_general, 4096, 4096, 0, &va, &range, 0), 0);
    ranges_.push_back(range);
    return va;
  }
  Buffer make(std::uint32_t domain) {
    Buffer buffer;
    amdgpu_bo_alloc_request request = {4096, 4096, domain, 0};
    EXPECT_EQ(amdgpu_bo_alloc(gpu_.device(), &request, &buffer.bo), 0);
    buffers_.push_back(buffer.bo);
    buffer.va = reserve();
    EXPECT_EQ(amdgpu_bo_va_op(buffer.bo, 0, 4096, buffer.va, 0, AMDGPU_VA_OP_MAP), 0);
    EXPECT_EQ(amdgpu_bo_cpu_map(buffer.bo, reinterpret_cast<void**>(&buffer.cpu)), 0);
    return buffer;
  }
  // Submits commands; the job's number.
  std::uint64_t submit(amdgpu_context_handle context, std::vector<std::uint32_t> words, std::uint32_t ip) {
    words.resize((words.size() + 7) / 8 * 8, 0xffff1000);
    const Buffer commands = make(AMDGPU_GEM_DOMAIN_GTT);
    std::copy(words.begin(), words.end(), commands.cpu);
    drm_amdgpu_cs_chunk_ib ib = {};
    ib.va_start = commands.va;
    ib.ib_bytes = static_cast<std::uint32_t>(words.size() * 4);
    ib.ip_type = ip;
    drm_amdgpu_cs_chunk chunk = Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ib, 1);
    std::uint64_t sequence = 0;
    EXPECT_EQ(amdgpu_cs_submit_raw2(gpu_.device(), context, 0, 1, &chunk, &sequence), 0);
    return sequence;
  }
  int result_of(amdgpu_context_handle context, std::uint64_t sequence, std::uint32_t ip) {
    amdgpu_cs_fence fence = {context, ip, 0, 0, sequence};
    std::uint32_t expired = 0;
    const int error = amdgpu_cs_query_fence_status(&fence, soon_ms * 1'000'000, 0, &expired);
    EXPECT_TRUE(error != 0 || expired != 0);
    return error;
  }
  std::uint64_t state_of(amdgpu_context_handle context) {
    std::uint64_t flags = 0;
    EXPECT_EQ(amdgpu_cs_query_reset_state2(context, &flags), 0);
    return flags;
  }
  std::vector<std::uint32_t> run(const std::vector<std::uint32_t>& code) {
    const Buffer kernel = make(AMDGPU_GEM_DOMAIN_VRAM);
    std::copy(code.begin(), code.end(), kernel.cpu);
    return {0xc0027600,
            (0xb830 - 0xb000) / 4,
            static_cast<std::uint32_t>(kernel.va >> 8),
            static_cast<std::uint32_t>(kernel.va >> 40),
            0xc0027600,
            (0xb848 - 0xb000) / 4,
            2 | 1u << 30,
            0,
            0xc0037600,
            (0xb81c - 0xb000) / 4,
            1,
            1,
            1,
            0xc0031500,
            1,
            1,
            1,
            1 | 1 << 2 | 1 << 15};
  }
  Gpu gpu_;
  std::vector<amdgpu_bo_handle> buffers_;
  std::vector<amdgpu_va_handle> ranges_;
};

class DrmHangs : public DrmFaults, public ::testing::WithParamInterface<std::uint32_t> {};

TEST_P(DrmHangs, time_out_and_cost_their_context_alone) {
  const std::uint32_t ip = GetParam();
  amdgpu_context_handle guilty = nullptr, innocent = nullptr, later = nullptr;
  ASSERT_EQ(amdgpu_cs_ctx_create(gpu_.device(), &guilty), 0);
  ASSERT_EQ(amdgpu_cs_ctx_create(gpu_.device(), &innocent), 0);
  const Buffer kept = make(AMDGPU_GEM_DOMAIN_VRAM);
  kept.cpu[0] = 0xcafe;
  const std::uint64_t before = state_of(innocent);

  const std::uint64_t hung = submit(guilty, run(kernels::endless), ip);
  EXPECT_LT(result_of(guilty, hung, ip), 0);
  EXPECT_TRUE(state_of(guilty) & AMDGPU_CTX_QUERY2_FLAGS_GUILTY);
  EXPECT_TRUE(state_of(guilty) & AMDGPU_CTX_QUERY2_FLAGS_RESET);
  EXPECT_FALSE(before & AMDGPU_CTX_QUERY2_FLAGS_RESET);
  EXPECT_EQ(state_of(innocent), std::uint64_t{AMDGPU_CTX_QUERY2_FLAGS_RESET}) << "and memory is not lost";
  EXPECT_EQ(kept.cpu[0], 0xcafeu);

  // Both an innocent context and a new one go on.
  ASSERT_EQ(amdgpu_cs_ctx_create(gpu_.device(), &later), 0);
  EXPECT_EQ(state_of(later), 0u);
  for (amdgpu_context_handle context : {innocent, later}) {
    const std::uint32_t value = context == later ? 2 : 1;
    const std::uint64_t job = submit(context,
                                     {0xc0033700, 5 << 8 | 1 << 20, static_cast<std::uint32_t>(kept.va),
                                      static_cast<std::uint32_t>(kept.va >> 32), value},
                                     ip);
    EXPECT_EQ(result_of(context, job, ip), 0);
    EXPECT_EQ(kept.cpu[0], value);
  }
  for (amdgpu_context_handle context : {guilty, innocent, later})
    EXPECT_EQ(amdgpu_cs_ctx_free(context), 0);
}

INSTANTIATE_TEST_SUITE_P(Rings, DrmHangs, ::testing::Values(AMDGPU_HW_IP_COMPUTE, AMDGPU_HW_IP_GFX),
                         [](const auto& test) {
                           return test.param == AMDGPU_HW_IP_COMPUTE ? "compute" : "graphics";
                         });

// v_mov_b32 v0, 0x3008; v_mov_b32 v1, 0x6000; global_store_dword v[0:1], v0, off; s_endpgm
const std::vector<std::uint32_t> wild_store{0x7e0002ff, 0x3008,     0x7e0202ff, 0x6000,
                                            0xdc708000, 0x007d0000, 0xbf810000};

TEST_F(DrmFaults, the_kernel_tells_where_a_wave_went_wrong) {
  amdgpu_context_handle context = nullptr;
  ASSERT_EQ(amdgpu_cs_ctx_create(gpu_.device(), &context), 0);
  const std::uint64_t job = submit(context, run(wild_store), AMDGPU_HW_IP_COMPUTE);
  EXPECT_LT(result_of(context, job, AMDGPU_HW_IP_COMPUTE), 0);
  EXPECT_TRUE(state_of(context) & AMDGPU_CTX_QUERY2_FLAGS_GUILTY);
  struct {
    std::uint64_t address;
    std::uint32_t status, hub;
  } fault = {};
  drm_amdgpu_info request = {};
  request.return_pointer = reinterpret_cast<std::uint64_t>(&fault);
  request.return_size = sizeof fault;
  request.query = 0x23; // AMDGPU_INFO_GPUVM_FAULT
  ASSERT_EQ(ioctl_error(gpu_.fd(), DRM_IOCTL_AMDGPU_INFO, &request), 0);
  EXPECT_EQ(fault.address, 0x6000'0000'3000u);
  EXPECT_EQ(fault.status >> 4 & 0xf, 5u) << "not valid, write";
  EXPECT_EQ(fault.status >> 8 & 1, 0u) << "no mapping error";
  EXPECT_EQ(fault.status >> 9 & 0xff, 8u) << "TCP";
  EXPECT_EQ(fault.status >> 18 & 1, 1u) << "write";
  EXPECT_NE(fault.status >> 20 & 0xf, 0u) << "VMID";
  EXPECT_EQ(amdgpu_cs_ctx_free(context), 0);
}

// A sparse page without memory: writes are dropped, reads give zeros, and nothing faults.
TEST_F(DrmFaults, unbound_sparse_pages_do_not_fault) {
  constexpr std::uint64_t sparse = 0x5'0000'0000, size = 1 << 20;
  ASSERT_EQ(
      amdgpu_bo_va_op_raw(gpu_.device(), nullptr, 0, size, sparse, AMDGPU_VM_PAGE_PRT, AMDGPU_VA_OP_MAP), 0);
  const Buffer out = make(AMDGPU_GEM_DOMAIN_VRAM);
  out.cpu[0] = 99;
  const auto high = static_cast<std::uint32_t>(sparse >> 32);
  amdgpu_context_handle context = nullptr;
  ASSERT_EQ(amdgpu_cs_ctx_create(gpu_.device(), &context), 0);
  const std::uint64_t job = submit(context,
                                   {0xc0033700, 5 << 8 | 1 << 20, 64, high, 0xdead, // WRITE_DATA
                                    0xc0044000, 1 | 5 << 8, 64, high, static_cast<std::uint32_t>(out.va),
                                    static_cast<std::uint32_t>(out.va >> 32)}, // COPY_DATA
                                   AMDGPU_HW_IP_COMPUTE);
  EXPECT_EQ(result_of(context, job, AMDGPU_HW_IP_COMPUTE), 0);
  EXPECT_EQ(out.cpu[0], 0u);
  EXPECT_EQ(amdgpu_cs_ctx_free(context), 0);
  EXPECT_EQ(
      amdgpu_bo_va_op_raw(gpu_.device(), nullptr, 0, size, sparse, AMDGPU_VM_PAGE_PRT, AMDGPU_VA_OP_UNMAP),
      0);
}

// GEM_USERPTR looks at the memory only where it is asked to. What is not there is a fault when the GPU gets
// there, not the program's crash: addresses of holes, also at the end of what a program can have. (Beyond,
// GEM_USERPTR refuses.)
TEST_F(DrmFaults, memory_that_a_userptr_never_had_is_not_there) {
  void* hole = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_EQ(munmap(hole, 4096), 0);
  const std::vector<std::uint64_t> addresses = {reinterpret_cast<std::uint64_t>(hole), 0x0000'7fff'ffff'e000};
  for (const std::uint64_t address : addresses) {
    drm_amdgpu_gem_userptr args = {};
    args.addr = address;
    args.size = 4096;
    args.flags = AMDGPU_GEM_USERPTR_REGISTER;
    ASSERT_EQ(ioctl_error(gpu_.fd(), DRM_IOCTL_AMDGPU_GEM_USERPTR, &args), 0) << std::hex << address;
    const std::uint64_t va = reserve();
    drm_amdgpu_gem_va map = {};
    map.handle = args.handle;
    map.operation = AMDGPU_VA_OP_MAP;
    map.flags = AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE;
    map.va_address = va;
    map.map_size = 4096;
    ASSERT_EQ(ioctl_error(gpu_.fd(), DRM_IOCTL_AMDGPU_GEM_VA, &map), 0);
    amdgpu_context_handle context = nullptr;
    ASSERT_EQ(amdgpu_cs_ctx_create(gpu_.device(), &context), 0);
    const std::uint64_t job = submit(context,
                                     {0xc0033700, 5 << 8 | 1 << 20, static_cast<std::uint32_t>(va),
                                      static_cast<std::uint32_t>(va >> 32), 1},
                                     AMDGPU_HW_IP_COMPUTE);
    EXPECT_LT(result_of(context, job, AMDGPU_HW_IP_COMPUTE), 0) << std::hex << address;
    EXPECT_EQ(amdgpu_cs_ctx_free(context), 0);
  }
}

} // namespace
