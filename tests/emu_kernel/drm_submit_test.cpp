// Command submission through libdrm_amdgpu: order, dependencies, syncobjs, what is refused, what a fault
// does.
#include "drm_gpu.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <initializer_list>
#include <linux/sync_file.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <thread>

namespace {

using namespace drm_test;

constexpr std::uint64_t soon_ms = 20'000; // for what must happen
constexpr std::uint64_t never_ms = 40;    // for what must not

class SubmitTest : public ::testing::Test {
protected:
  std::uint32_t syncobj() {
    std::uint32_t handle = 0;
    EXPECT_EQ(drmSyncobjCreate(gpu_.fd(), 0, &handle), 0);
    return handle;
  }
  int wait(std::uint32_t handle, std::uint64_t point, std::uint64_t milliseconds, std::uint32_t flags = 0) {
    const int result = drmSyncobjTimelineWait(
        gpu_.fd(), &handle, &point, 1, after_ms(static_cast<std::int64_t>(milliseconds)), flags, nullptr);
    return result == 0 ? 0 : -result;
  }
  std::uint64_t query(std::uint32_t handle, std::uint32_t flags = 0) {
    std::uint64_t point = 0;
    EXPECT_EQ(drmSyncobjQuery2(gpu_.fd(), &handle, &point, 1, flags), 0);
    return point;
  }
  std::uint32_t page(std::uint64_t flags = 0) {
    drm_amdgpu_gem_create args = {};
    args.in = {4096, 4096, AMDGPU_GEM_DOMAIN_GTT, flags};
    EXPECT_EQ(ioctl_error(gpu_.fd(), DRM_IOCTL_AMDGPU_GEM_CREATE, &args), 0);
    return args.out.handle;
  }
  bool is_busy(std::uint32_t buffer, std::uint64_t milliseconds) {
    drm_amdgpu_gem_wait_idle args = {};
    args.in.handle = buffer;
    args.in.timeout = static_cast<std::uint64_t>(after_ms(static_cast<std::int64_t>(milliseconds)));
    EXPECT_EQ(ioctl_error(gpu_.fd(), DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE, &args), 0);
    return args.out.status != 0;
  }
  Gpu gpu_;
};

TEST_F(SubmitTest, a_job_writes_and_its_fence_signals) {
  std::uint64_t sequence = 0;
  ASSERT_EQ(gpu_.submit(false, 5, 0xabcd, {}, &sequence), 0);
  EXPECT_EQ(sequence, 1u);
  ASSERT_TRUE(gpu_.finished(sequence, soon_ms));
  EXPECT_EQ(gpu_.data()[5], 0xabcdu);
}

TEST_F(SubmitTest, graphics_and_compute_rings_take_the_same_packets) {
  std::uint64_t graphics = 0, compute = 0;
  ASSERT_EQ(gpu_.submit(false, 1, 11, {}, &graphics, AMDGPU_HW_IP_GFX), 0);
  ASSERT_EQ(gpu_.submit(false, 2, 22, {}, &compute, AMDGPU_HW_IP_COMPUTE, 3), 0);
  EXPECT_TRUE(gpu_.finished(graphics, soon_ms, AMDGPU_HW_IP_GFX));
  EXPECT_TRUE(gpu_.finished(compute, soon_ms, AMDGPU_HW_IP_COMPUTE, 3));
  EXPECT_EQ(gpu_.data()[1], 11u);
  EXPECT_EQ(gpu_.data()[2], 22u);
}

TEST_F(SubmitTest, jobs_of_a_ring_run_in_order) {
  std::uint64_t first = 0, second = 0;
  ASSERT_EQ(gpu_.submit(true, 1, 1, {}, &first), 0);
  ASSERT_EQ(gpu_.submit(false, 2, 2, {}, &second), 0);
  EXPECT_EQ(second, first + 1);
  EXPECT_FALSE(gpu_.finished(second, never_ms));
  EXPECT_EQ(gpu_.data()[2], 0u);
  gpu_.release();
  EXPECT_TRUE(gpu_.finished(second, soon_ms));
}

TEST_F(SubmitTest, rings_do_not_wait_for_each_other_unless_told) {
  std::uint64_t held = 0, free = 0, dependent = 0;
  ASSERT_EQ(gpu_.submit(true, 1, 1, {}, &held, AMDGPU_HW_IP_COMPUTE, 0), 0);
  ASSERT_EQ(gpu_.submit(false, 2, 2, {}, &free, AMDGPU_HW_IP_COMPUTE, 1), 0);
  EXPECT_TRUE(gpu_.finished(free, soon_ms, AMDGPU_HW_IP_COMPUTE, 1));
  Gpu::Extra extra;
  amdgpu_cs_fence fence = {gpu_.context(), AMDGPU_HW_IP_COMPUTE, 0, 0, held};
  drm_amdgpu_cs_chunk_dep dependency = {};
  amdgpu_cs_chunk_fence_to_dep(&fence, &dependency);
  extra.dependencies = {dependency};
  ASSERT_EQ(gpu_.submit(false, 3, 3, extra, &dependent, AMDGPU_HW_IP_COMPUTE, 1), 0);
  EXPECT_FALSE(gpu_.finished(dependent, never_ms, AMDGPU_HW_IP_COMPUTE, 1));
  gpu_.release();
  EXPECT_TRUE(gpu_.finished(dependent, soon_ms, AMDGPU_HW_IP_COMPUTE, 1));
}

TEST_F(SubmitTest, syncobj_out_is_pending_until_the_job_ends) {
  const std::uint32_t out = syncobj();
  Gpu::Extra extra;
  extra.out = {{out}};
  ASSERT_EQ(gpu_.submit(true, 1, 1, extra), 0);
  EXPECT_EQ(wait(out, 0, never_ms), ETIME);
  EXPECT_EQ(wait(out, 0, never_ms, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE), 0) << "a fence is there";
  gpu_.release();
  EXPECT_EQ(wait(out, 0, soon_ms), 0);
}

TEST_F(SubmitTest, syncobj_in_holds_a_job_back) {
  const std::uint32_t between = syncobj();
  Gpu::Extra first, second;
  first.out = {{between}};
  second.in = {{between}};
  std::uint64_t held = 0, dependent = 0;
  EXPECT_EQ(gpu_.submit(false, 2, 2, second), -EINVAL) << "no fence yet";
  ASSERT_EQ(gpu_.submit(true, 1, 1, first, &held, AMDGPU_HW_IP_COMPUTE, 0), 0);
  ASSERT_EQ(gpu_.submit(false, 2, 2, second, &dependent, AMDGPU_HW_IP_COMPUTE, 1), 0);
  // What the syncobj holds afterwards does not matter any more.
  EXPECT_EQ(drmSyncobjReset(gpu_.fd(), &between, 1), 0);
  EXPECT_FALSE(gpu_.finished(dependent, never_ms, AMDGPU_HW_IP_COMPUTE, 1));
  gpu_.release();
  EXPECT_TRUE(gpu_.finished(dependent, soon_ms, AMDGPU_HW_IP_COMPUTE, 1));
}

TEST_F(SubmitTest, timeline_points_complete_in_order_of_the_chain) {
  const std::uint32_t timeline = syncobj();
  Gpu::Extra nine;
  nine.timeline_signal = {{timeline, 0, 9}};
  ASSERT_EQ(gpu_.submit(true, 1, 1, nine), 0);
  std::uint64_t twelve = 12;
  ASSERT_EQ(drmSyncobjTimelineSignal(gpu_.fd(), &timeline, &twelve, 1), 0);
  EXPECT_EQ(wait(timeline, 12, never_ms), ETIME) << "12 waits for the pending 9 too";
  EXPECT_EQ(query(timeline), 0u);
  EXPECT_EQ(query(timeline, DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED), 12u);
  gpu_.release();
  EXPECT_EQ(wait(timeline, 9, soon_ms), 0);
  EXPECT_EQ(wait(timeline, 12, soon_ms), 0);
  EXPECT_EQ(query(timeline), 12u);
}

TEST_F(SubmitTest, query_tells_the_point_before_the_pending_one) {
  const std::uint32_t timeline = syncobj();
  std::uint64_t three = 3;
  ASSERT_EQ(drmSyncobjTimelineSignal(gpu_.fd(), &timeline, &three, 1), 0);
  Gpu::Extra eight;
  eight.timeline_signal = {{timeline, 0, 8}};
  ASSERT_EQ(gpu_.submit(true, 1, 1, eight), 0);
  EXPECT_EQ(query(timeline), 3u);
  EXPECT_EQ(wait(timeline, 3, 0), 0);
  EXPECT_EQ(wait(timeline, 5, never_ms), ETIME) << "5 is reached with 8";
  gpu_.release();
  EXPECT_EQ(wait(timeline, 5, soon_ms), 0);
  EXPECT_EQ(query(timeline), 8u);
}

TEST_F(SubmitTest, timeline_wait_of_a_point_that_is_not_there) {
  const std::uint32_t timeline = syncobj();
  Gpu::Extra extra;
  extra.timeline_wait = {{timeline, 0, 4}};
  EXPECT_EQ(gpu_.submit(false, 1, 1, extra), -EINVAL);
  extra.timeline_wait = {{timeline, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, 4}};
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    std::uint64_t four = 4;
    EXPECT_EQ(drmSyncobjTimelineSignal(gpu_.fd(), &timeline, &four, 1), 0);
  });
  std::uint64_t sequence = 0;
  EXPECT_EQ(gpu_.submit(false, 1, 1, extra, &sequence), 0);
  later.join();
  EXPECT_TRUE(gpu_.finished(sequence, soon_ms));
}

TEST_F(SubmitTest, transfer_copies_a_pending_fence) {
  const std::uint32_t out = syncobj(), copy = syncobj(), timeline = syncobj();
  Gpu::Extra extra;
  extra.out = {{out}};
  ASSERT_EQ(gpu_.submit(true, 1, 1, extra), 0);
  ASSERT_EQ(drmSyncobjTransfer(gpu_.fd(), copy, 0, out, 0, 0), 0);
  ASSERT_EQ(drmSyncobjTransfer(gpu_.fd(), timeline, 6, out, 0, 0), 0);
  ASSERT_EQ(drmSyncobjReset(gpu_.fd(), &out, 1), 0);
  EXPECT_EQ(wait(copy, 0, never_ms), ETIME);
  EXPECT_EQ(wait(timeline, 6, never_ms), ETIME);
  gpu_.release();
  EXPECT_EQ(wait(copy, 0, soon_ms), 0);
  EXPECT_EQ(wait(timeline, 6, soon_ms), 0);
}

TEST_F(SubmitTest, sync_file_becomes_readable_when_the_job_ends) {
  const std::uint32_t out = syncobj();
  Gpu::Extra extra;
  extra.out = {{out}};
  ASSERT_EQ(gpu_.submit(true, 1, 1, extra), 0);
  int file = -1;
  ASSERT_EQ(drmSyncobjExportSyncFile(gpu_.fd(), out, &file), 0);
  const UniqueFd sync_file(file);
  EXPECT_FALSE(readable(file, static_cast<int>(never_ms)));
  sync_file_info info = {};
  ASSERT_EQ(ioctl(file, SYNC_IOC_FILE_INFO, &info), 0);
  EXPECT_EQ(info.status, 0);
  gpu_.release();
  EXPECT_TRUE(readable(file, static_cast<int>(soon_ms)));
  info = {};
  ASSERT_EQ(ioctl(file, SYNC_IOC_FILE_INFO, &info), 0);
  EXPECT_EQ(info.status, 1);
}

TEST_F(SubmitTest, merged_sync_file_waits_for_both) {
  int files[2];
  std::uint64_t sequences[2];
  for (std::uint32_t ring = 0; ring < 2; ++ring) {
    const std::uint32_t out = syncobj();
    Gpu::Extra extra;
    extra.out = {{out}};
    ASSERT_EQ(gpu_.submit(ring == 0, 1 + ring, 1, extra, &sequences[ring], AMDGPU_HW_IP_COMPUTE, ring), 0);
    ASSERT_EQ(drmSyncobjExportSyncFile(gpu_.fd(), out, &files[ring]), 0);
  }
  ASSERT_TRUE(gpu_.finished(sequences[1], soon_ms, AMDGPU_HW_IP_COMPUTE, 1));
  sync_merge_data merge = {};
  std::strcpy(merge.name, "both");
  merge.fd2 = files[1];
  ASSERT_EQ(ioctl(files[0], SYNC_IOC_MERGE, &merge), 0);
  const UniqueFd a(files[0]), b(files[1]), both(merge.fence);
  EXPECT_TRUE(readable(b.get(), static_cast<int>(soon_ms)));
  EXPECT_FALSE(readable(both.get(), static_cast<int>(never_ms)));
  gpu_.release();
  EXPECT_TRUE(readable(both.get(), static_cast<int>(soon_ms)));
}

TEST_F(SubmitTest, waiting_for_several_submissions) {
  std::uint64_t held = 0, free = 0;
  ASSERT_EQ(gpu_.submit(true, 1, 1, {}, &held, AMDGPU_HW_IP_COMPUTE, 0), 0);
  ASSERT_EQ(gpu_.submit(false, 2, 2, {}, &free, AMDGPU_HW_IP_COMPUTE, 1), 0);
  amdgpu_cs_fence fences[2] = {{gpu_.context(), AMDGPU_HW_IP_COMPUTE, 0, 0, held},
                               {gpu_.context(), AMDGPU_HW_IP_COMPUTE, 0, 1, free}};
  std::uint32_t status = 0, first = 99;
  ASSERT_EQ(amdgpu_cs_wait_fences(fences, 2, false, soon_ms * 1'000'000, &status, &first), 0);
  EXPECT_EQ(status, 1u);
  EXPECT_EQ(first, 1u);
  ASSERT_EQ(amdgpu_cs_wait_fences(fences, 2, true, never_ms * 1'000'000, &status, nullptr), 0);
  EXPECT_EQ(status, 0u);
  gpu_.release();
  ASSERT_EQ(amdgpu_cs_wait_fences(fences, 2, true, soon_ms * 1'000'000, &status, nullptr), 0);
  EXPECT_EQ(status, 1u);
}

TEST_F(SubmitTest, a_submission_becomes_a_syncobj_or_a_sync_file) {
  std::uint64_t held = 0;
  ASSERT_EQ(gpu_.submit(true, 1, 1, {}, &held), 0);
  amdgpu_cs_fence fence = {gpu_.context(), AMDGPU_HW_IP_COMPUTE, 0, 0, held};
  std::uint32_t handle = 0, file = 0;
  ASSERT_EQ(amdgpu_cs_fence_to_handle(gpu_.device(), &fence, AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ, &handle), 0);
  ASSERT_EQ(amdgpu_cs_fence_to_handle(gpu_.device(), &fence, AMDGPU_FENCE_TO_HANDLE_GET_SYNC_FILE_FD, &file),
            0);
  const UniqueFd sync_file(static_cast<int>(file));
  EXPECT_EQ(wait(handle, 0, never_ms), ETIME);
  EXPECT_FALSE(readable(sync_file.get(), 0));
  gpu_.release();
  EXPECT_EQ(wait(handle, 0, soon_ms), 0);
  EXPECT_TRUE(readable(sync_file.get(), static_cast<int>(soon_ms)));
}

TEST_F(SubmitTest, eventfd_fires_when_a_pending_fence_signals_even_after_a_reset) {
  const std::uint32_t out = syncobj();
  Gpu::Extra extra;
  extra.out = {{out}};
  ASSERT_EQ(gpu_.submit(true, 1, 1, extra), 0);
  const UniqueFd event(eventfd(0, EFD_CLOEXEC));
  struct {
    std::uint32_t handle, flags;
    std::uint64_t point;
    std::int32_t fd;
    std::uint32_t pad;
  } args = {out, 0, 0, event.get(), 0};
  ASSERT_EQ(ioctl_error(gpu_.fd(), DRM_IOWR(0xcf, args), &args), 0);
  ASSERT_EQ(drmSyncobjDestroy(gpu_.fd(), out), 0);
  EXPECT_FALSE(readable(event.get(), static_cast<int>(never_ms)));
  gpu_.release();
  EXPECT_TRUE(readable(event.get(), static_cast<int>(soon_ms)));
}

TEST_F(SubmitTest, buffer_is_busy_while_a_job_uses_it) {
  ASSERT_EQ(gpu_.submit(true, 1, 1, {}), 0);
  drm_amdgpu_gem_wait_idle args = {};
  args.in.handle = gpu_.buffer_handle();
  args.in.timeout = static_cast<std::uint64_t>(after_ms(never_ms));
  ASSERT_EQ(ioctl_error(gpu_.fd(), DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE, &args), 0);
  EXPECT_EQ(args.out.status, 1u);
  gpu_.release();
  args = {};
  args.in.handle = gpu_.buffer_handle();
  args.in.timeout = ~0ull;
  ASSERT_EQ(ioctl_error(gpu_.fd(), DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE, &args), 0);
  EXPECT_EQ(args.out.status, 0u);
}

TEST_F(SubmitTest, buffer_of_a_user_fence_is_busy_until_the_job_ends) {
  ASSERT_EQ(gpu_.submit(true, 1, 1, {}), 0);
  drm_amdgpu_cs_chunk_ib ib = {};
  ib.ip_type = AMDGPU_HW_IP_COMPUTE;
  const drm_amdgpu_cs_chunk_fence fence = {page(), 0};
  drm_amdgpu_cs_chunk chunks[] = {Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ib, 1),
                                  Gpu::chunk(AMDGPU_CHUNK_ID_FENCE, &fence, 1)};
  std::uint64_t sequence = 0;
  ASSERT_EQ(amdgpu_cs_submit_raw2(gpu_.device(), gpu_.context(), 0, 2, chunks, &sequence), 0);
  EXPECT_TRUE(is_busy(fence.handle, never_ms)) << "in no buffer list, and in use all the same";
  gpu_.release();
  EXPECT_FALSE(is_busy(fence.handle, soon_ms));
}

TEST_F(SubmitTest, malformed_submissions_are_refused) {
  drm_amdgpu_cs_chunk_ib ib = {};
  ib.ip_type = AMDGPU_HW_IP_COMPUTE;
  auto submit = [&](std::uint32_t id, std::uint32_t length_dw, const drm_amdgpu_cs_chunk_ib& body) {
    drm_amdgpu_cs_chunk chunk = {id, length_dw, reinterpret_cast<std::uint64_t>(&body)};
    std::uint64_t number = 0;
    return amdgpu_cs_submit_raw2(gpu_.device(), gpu_.context(), 0, 1, &chunk, &number);
  };
  EXPECT_EQ(submit(AMDGPU_CHUNK_ID_IB, sizeof ib / 4 - 1, ib), -EINVAL);
  EXPECT_EQ(submit(0x77, sizeof ib / 4, ib), -EINVAL);
  EXPECT_EQ(submit(AMDGPU_CHUNK_ID_FENCE, sizeof ib / 4, ib), -EINVAL) << "no such buffer";
  ib.ring = 4;
  EXPECT_EQ(submit(AMDGPU_CHUNK_ID_IB, sizeof ib / 4, ib), -EINVAL);
  ib.ring = 0;
  ib.ip_type = AMDGPU_HW_IP_VCN_DEC;
  EXPECT_EQ(submit(AMDGPU_CHUNK_ID_IB, sizeof ib / 4, ib), -EINVAL);
  ib.ip_type = AMDGPU_HW_IP_COMPUTE;
  ib.ip_instance = 1;
  EXPECT_EQ(submit(AMDGPU_CHUNK_ID_IB, sizeof ib / 4, ib), -EINVAL);
}

TEST_F(SubmitTest, the_thirty_third_submission_waits_for_the_first) {
  std::uint64_t first = 0;
  ASSERT_EQ(gpu_.submit(true, 1, 1, {}, &first), 0);
  for (int i = 1; i < 32; ++i)
    ASSERT_EQ(gpu_.submit(false, 2, 2, {}), 0);
  std::atomic<bool> through{false};
  std::thread next([&] {
    EXPECT_EQ(gpu_.submit(false, 3, 3, {}), 0);
    through = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(never_ms));
  EXPECT_FALSE(through.load());
  gpu_.release();
  next.join();
}

TEST_F(SubmitTest, a_gang_of_four_rings_is_one_submission) {
  drm_amdgpu_cs_chunk_ib ibs[4] = {};
  std::vector<drm_amdgpu_cs_chunk> chunks;
  for (std::uint32_t ring = 0; ring < 4; ++ring) {
    const std::uint32_t at = 256 + ring * 64;
    const std::uint64_t target = gpu_.data_address() + (ring + 1) * 4;
    const std::uint32_t write[] = {0xc0033700, 5u << 8 | 1u << 20, static_cast<std::uint32_t>(target),
                                   static_cast<std::uint32_t>(target >> 32), ring + 100};
    std::copy(std::begin(write), std::end(write), gpu_.data() + at);
    ibs[ring].va_start = gpu_.data_address() + at * 4;
    ibs[ring].ib_bytes = sizeof write;
    ibs[ring].ip_type = AMDGPU_HW_IP_COMPUTE;
    ibs[ring].ring = ring;
    chunks.push_back(Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ibs[ring], 1));
  }
  std::uint64_t sequence = 0;
  ASSERT_EQ(amdgpu_cs_submit_raw2(gpu_.device(), gpu_.context(), 0, 4, chunks.data(), &sequence), 0);
  ASSERT_TRUE(gpu_.finished(sequence, soon_ms, AMDGPU_HW_IP_COMPUTE, 3)) << "the last IB's ring leads";
  EXPECT_EQ(gpu_.data()[4], 103u);
}

TEST_F(SubmitTest, a_gangs_leader_may_end_before_the_others_and_the_vm_is_busy_still) {
  const std::uint64_t gate = gpu_.data_address();
  const std::uint32_t wait[] = {
      // WAIT_REG_MEM: memory, equal to 1
      0xc0053c00, 0x13, static_cast<std::uint32_t>(gate), static_cast<std::uint32_t>(gate >> 32), 1,
      0xffffffff, 4};
  std::copy(std::begin(wait), std::end(wait), gpu_.data() + 256);
  drm_amdgpu_cs_chunk_ib ibs[2] = {};
  for (std::uint32_t ring = 0; ring < 2; ++ring) {
    ibs[ring].ip_type = AMDGPU_HW_IP_COMPUTE;
    ibs[ring].ring = ring;
  }
  ibs[0].va_start = gpu_.data_address() + 256 * 4;
  ibs[0].ib_bytes = sizeof wait;
  drm_amdgpu_cs_chunk chunks[] = {Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ibs[0], 1),
                                  Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ibs[1], 1)};
  const std::uint32_t always_valid = page(AMDGPU_GEM_CREATE_VM_ALWAYS_VALID);
  std::uint64_t sequence = 0;
  ASSERT_EQ(amdgpu_cs_submit_raw2(gpu_.device(), gpu_.context(), 0, 2, chunks, &sequence), 0);
  ASSERT_TRUE(gpu_.finished(sequence, soon_ms, AMDGPU_HW_IP_COMPUTE, 1));
  EXPECT_TRUE(is_busy(always_valid, never_ms));
  gpu_.release();
  EXPECT_FALSE(is_busy(always_valid, soon_ms));
}

TEST_F(SubmitTest, a_sync_file_tells_of_its_fences_where_there_is_room) {
  UniqueFd files[2];
  for (std::uint32_t ring = 0; ring < 2; ++ring) {
    const std::uint32_t out = syncobj();
    Gpu::Extra extra;
    extra.out = {{out}};
    ASSERT_EQ(gpu_.submit(true, 1, 1, extra, nullptr, AMDGPU_HW_IP_COMPUTE, ring), 0);
    int file = -1;
    ASSERT_EQ(drmSyncobjExportSyncFile(gpu_.fd(), out, &file), 0);
    files[ring] = UniqueFd(file);
  }
  sync_merge_data merge = {};
  merge.fd2 = files[1].get();
  ASSERT_EQ(ioctl(files[0].get(), SYNC_IOC_MERGE, &merge), 0);
  const UniqueFd both(merge.fence);
  sync_fence_info fences[2] = {};
  sync_file_info info = {};
  info.num_fences = 1;
  info.sync_fence_info = reinterpret_cast<std::uint64_t>(fences);
  EXPECT_EQ(ioctl_error(both.get(), SYNC_IOC_FILE_INFO, &info), EINVAL);
  info.num_fences = 2;
  ASSERT_EQ(ioctl_error(both.get(), SYNC_IOC_FILE_INFO, &info), 0);
  EXPECT_EQ(info.status, 0);
  EXPECT_STREQ(fences[1].driver_name, "drm_sched");
  gpu_.release();
  EXPECT_TRUE(readable(both.get(), static_cast<int>(soon_ms)));
  info.flags = 0;
  ASSERT_EQ(ioctl_error(both.get(), SYNC_IOC_FILE_INFO, &info), 0);
  EXPECT_EQ(info.status, 1);
  EXPECT_NE(fences[0].timestamp_ns, 0u);
}

// Commands at word `at` of the data page, as an IB of the graphics ring.
drm_amdgpu_cs_chunk_ib graphics_ib(const Gpu& gpu, std::uint32_t at,
                                   std::initializer_list<std::uint32_t> commands, std::uint32_t flags) {
  std::copy(commands.begin(), commands.end(), gpu.data() + at);
  drm_amdgpu_cs_chunk_ib ib = {};
  ib.flags = flags;
  ib.va_start = gpu.data_address() + at * 4;
  ib.ib_bytes = static_cast<std::uint32_t>(commands.size()) * 4;
  ib.ip_type = AMDGPU_HW_IP_GFX;
  return ib;
}

TEST_F(SubmitTest, the_drawing_engine_waits_for_the_constant_engine) {
  const std::uint64_t target = gpu_.data_address() + 12;
  // SET_CE_DE_COUNTERS, INCREMENT_CE_COUNTER; WAIT_ON_CE_COUNTER, WRITE_DATA
  const drm_amdgpu_cs_chunk_ib ibs[] = {
      graphics_ib(gpu_, 64, {0xc0008900, 0, 0xc0008400, 1}, AMDGPU_IB_FLAG_CE),
      graphics_ib(gpu_, 128,
                  {0xc0008600, 1, 0xc0033700, 5u << 8 | 1u << 20, static_cast<std::uint32_t>(target),
                   static_cast<std::uint32_t>(target >> 32), 33},
                  0)};
  drm_amdgpu_cs_chunk chunks[] = {Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ibs[0], 1),
                                  Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ibs[1], 1)};
  std::uint64_t sequence = 0;
  ASSERT_EQ(amdgpu_cs_submit_raw2(gpu_.device(), gpu_.context(), 0, 2, chunks, &sequence), 0);
  EXPECT_TRUE(gpu_.finished(sequence, soon_ms, AMDGPU_HW_IP_GFX));
  EXPECT_EQ(gpu_.data()[3], 33u);
}

TEST_F(SubmitTest, the_constant_engine_refuses_what_is_not_its_own) {
  const drm_amdgpu_cs_chunk_ib ib =
      graphics_ib(gpu_, 64, {0xc0033700, 5u << 8 | 1u << 20, 0, 0, 0}, AMDGPU_IB_FLAG_CE);
  drm_amdgpu_cs_chunk chunk = Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ib, 1);
  std::uint64_t sequence = 0;
  ASSERT_EQ(amdgpu_cs_submit_raw2(gpu_.device(), gpu_.context(), 0, 1, &chunk, &sequence), 0);
  EXPECT_FALSE(gpu_.finished(sequence, soon_ms, AMDGPU_HW_IP_GFX));
  EXPECT_EQ(gpu_.last_error(), -ECANCELED);
}

TEST_F(SubmitTest, a_page_fault_loses_the_context) {
  drm_amdgpu_cs_chunk_ib ib = {};
  ib.ip_type = AMDGPU_HW_IP_COMPUTE;
  ib.va_start = 0x7000'0000'0000;
  ib.ib_bytes = 64;
  drm_amdgpu_cs_chunk chunk = Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ib, 1);
  std::uint64_t sequence = 0;
  ASSERT_EQ(amdgpu_cs_submit_raw2(gpu_.device(), gpu_.context(), 0, 1, &chunk, &sequence), 0);
  EXPECT_FALSE(gpu_.finished(sequence, soon_ms));
  EXPECT_EQ(gpu_.last_error(), -ECANCELED);
  std::uint64_t flags = 0;
  ASSERT_EQ(amdgpu_cs_query_reset_state2(gpu_.context(), &flags), 0);
  EXPECT_TRUE(flags & AMDGPU_CTX_QUERY2_FLAGS_RESET);
  EXPECT_TRUE(flags & AMDGPU_CTX_QUERY2_FLAGS_GUILTY);
  EXPECT_EQ(gpu_.submit(false, 1, 1, {}), -ECANCELED);
}

TEST_F(SubmitTest, memory_unmapped_behind_a_job_stays_until_the_job_is_done) {
  amdgpu_bo_alloc_request request = {4096, 4096, AMDGPU_GEM_DOMAIN_GTT, 0};
  amdgpu_bo_handle bo = nullptr;
  ASSERT_EQ(amdgpu_bo_alloc(gpu_.device(), &request, &bo), 0);
  constexpr std::uint64_t va = 0x3'0000'0000;
  ASSERT_EQ(amdgpu_bo_va_op(bo, 0, 4096, va, 0, AMDGPU_VA_OP_MAP), 0);
  void* cpu = nullptr;
  ASSERT_EQ(amdgpu_bo_cpu_map(bo, &cpu), 0);
  // A second command buffer, which lies in that memory: WRITE_DATA of 99 to word 7 of the data.
  const std::uint64_t target = gpu_.data_address() + 7 * 4;
  const std::uint32_t commands[8] = {0xc0033700,
                                     5u << 8 | 1u << 20,
                                     static_cast<std::uint32_t>(target),
                                     static_cast<std::uint32_t>(target >> 32),
                                     99,
                                     0xffff1000,
                                     0xffff1000,
                                     0xffff1000};
  std::memcpy(cpu, commands, sizeof commands);
  std::uint64_t held = 0, sequence = 0;
  ASSERT_EQ(gpu_.submit(true, 1, 1, {}, &held), 0);
  drm_amdgpu_cs_chunk_ib ib = {};
  ib.ip_type = AMDGPU_HW_IP_COMPUTE;
  ib.va_start = va;
  ib.ib_bytes = sizeof commands;
  drm_amdgpu_cs_chunk chunk = Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ib, 1);
  ASSERT_EQ(amdgpu_cs_submit_raw2(gpu_.device(), gpu_.context(), 0, 1, &chunk, &sequence), 0);
  ASSERT_EQ(amdgpu_bo_cpu_unmap(bo), 0);
  ASSERT_EQ(amdgpu_bo_va_op(bo, 0, 4096, va, 0, AMDGPU_VA_OP_UNMAP), 0);
  EXPECT_EQ(amdgpu_bo_va_op(bo, 0, 4096, va, 0, AMDGPU_VA_OP_UNMAP), -ENOENT) << "it is gone for user space";
  ASSERT_EQ(amdgpu_bo_free(bo), 0);
  gpu_.release();
  EXPECT_TRUE(gpu_.finished(sequence, soon_ms));
  EXPECT_EQ(gpu_.data()[7], 99u);
}

TEST_F(SubmitTest, freeing_a_context_cancels_what_it_has_pending) {
  amdgpu_context_handle context = nullptr;
  ASSERT_EQ(amdgpu_cs_ctx_create(gpu_.device(), &context), 0);
  const std::uint32_t never = syncobj(), out = syncobj();
  Gpu::Extra held;
  held.out = {{never}};
  ASSERT_EQ(gpu_.submit(true, 1, 1, held), 0);
  drm_amdgpu_cs_chunk_ib ib = {};
  ib.ip_type = AMDGPU_HW_IP_COMPUTE;
  ib.ib_bytes = 0;
  const drm_amdgpu_cs_chunk_sem in_sem = {never}, out_sem = {out};
  drm_amdgpu_cs_chunk chunks[] = {Gpu::chunk(AMDGPU_CHUNK_ID_IB, &ib, 1),
                                  Gpu::chunk(AMDGPU_CHUNK_ID_SYNCOBJ_IN, &in_sem, 1),
                                  Gpu::chunk(AMDGPU_CHUNK_ID_SYNCOBJ_OUT, &out_sem, 1)};
  std::uint64_t sequence = 0;
  ASSERT_EQ(amdgpu_cs_submit_raw2(gpu_.device(), context, 0, 3, chunks, &sequence), 0);
  EXPECT_EQ(wait(out, 0, never_ms), ETIME);
  ASSERT_EQ(amdgpu_cs_ctx_free(context), 0);
  EXPECT_EQ(wait(out, 0, soon_ms), 0) << "nobody waits for ever on a context that is gone";
}

} // namespace
