// Every rule of amdgpu's submission calls that docs/kernel-abi-drm.md names, broken once: the errno is the
// kernel's (amdgpu_cs.c, amdgpu_ctx.c, amdgpu_bo_list.c, amdgpu_sched.c), 6.12's but where a row says 7.2.
#include "drm_bench.hpp"

#include <cstring>
#include <linux/capability.h>
#include <memory>
#include <sys/syscall.h>

namespace {

using namespace drm_test;

class ContextRefusals : public RefusalTest {};
class SubmitRefusals : public RefusalTest {};
class WaitRefusals : public RefusalTest {};
TEST_P(ContextRefusals, give_the_kernels_errno) {
  expect_refused();
}
TEST_P(SubmitRefusals, give_the_kernels_errno) {
  expect_refused();
}
TEST_P(WaitRefusals, give_the_kernels_errno) {
  expect_refused();
}

// Runs the attempt without the right to raise priorities.
template <class Attempt>
int without_cap_sys_nice(Attempt attempt) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before[2] = {}, less[2];
  syscall(SYS_capget, &header, before);
  std::memcpy(less, before, sizeof less);
  less[0].effective &= ~(1u << CAP_SYS_NICE);
  syscall(SYS_capset, &header, less);
  const int result = attempt();
  syscall(SYS_capset, &header, before);
  return result;
}

int bo_list(Bench& b, std::uint32_t operation, std::uint32_t list, std::uint32_t count, std::uint64_t entries,
            std::uint32_t entry_size = sizeof(drm_amdgpu_bo_list_entry)) {
  drm_amdgpu_bo_list args = {};
  args.in = {operation, list, count, entry_size, entries};
  return b.call(DRM_IOCTL_AMDGPU_BO_LIST, args);
}

int schedule(Bench& b, std::uint32_t op, std::int32_t priority, int fd, std::uint32_t context = 0) {
  drm_amdgpu_sched args = {};
  args.in.op = op;
  args.in.fd = static_cast<std::uint32_t>(fd);
  args.in.priority = priority;
  args.in.ctx_id = context;
  return b.call_primary(DRM_IOCTL_AMDGPU_SCHED, args);
}

constexpr std::uint32_t create_list = AMDGPU_BO_LIST_OP_CREATE;

const Refusal contexts[] = {
    {"operation_0", [](Bench& b) { return b.context_op(0, 0); }, EINVAL},
    {"operation_beyond", [](Bench& b) { return b.context_op(7, b.context()); }, EINVAL},
    {"allocate_with_flags", [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_ALLOC_CTX, 0, 1); }, EINVAL},
    {"free_with_flags", [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_FREE_CTX, b.context(), 1); },
     EINVAL},
    {"query_with_flags", [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_QUERY_STATE, b.context(), 1); },
     EINVAL},
    {"query2_with_flags", [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_QUERY_STATE2, b.context(), 1); },
     EINVAL},
    {"get_clocks_with_flags",
     [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_GET_STABLE_PSTATE, b.context(), 1); }, EINVAL},
    {"free_of_none", [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_FREE_CTX, no_handle); }, EINVAL},
    {"free_twice",
     [](Bench& b) {
       const std::uint32_t id = b.context();
       EXPECT_EQ(b.context_op(AMDGPU_CTX_OP_FREE_CTX, id), 0);
       return b.context_op(AMDGPU_CTX_OP_FREE_CTX, id);
     },
     EINVAL},
    {"query_of_none", [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_QUERY_STATE, no_handle); }, EINVAL},
    {"query2_of_none", [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_QUERY_STATE2, no_handle); }, EINVAL},
    {"clocks_of_none", [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_GET_STABLE_PSTATE, no_handle); },
     EINVAL},
    {"set_clocks_of_none",
     [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, no_handle, 1); }, EINVAL},
    {"clocks_beyond_the_highest",
     [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, b.context(), 5); }, EINVAL},
    {"clocks_with_other_flags",
     [](Bench& b) { return b.context_op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, b.context(), 0x10); }, EINVAL},
    {"clocks_that_another_context_holds",
     [](Bench& b) {
       const std::uint32_t holder = b.context(), other = b.context();
       EXPECT_EQ(b.context_op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, holder, AMDGPU_CTX_STABLE_PSTATE_PEAK), 0);
       return b.context_op(AMDGPU_CTX_OP_SET_STABLE_PSTATE, other, AMDGPU_CTX_STABLE_PSTATE_STANDARD);
     },
     EBUSY},
    {"high_priority_without_the_right",
     [](Bench& b) {
       return without_cap_sys_nice(
           [&] { return b.context_op(AMDGPU_CTX_OP_ALLOC_CTX, 0, 0, AMDGPU_CTX_PRIORITY_HIGH); });
     },
     EACCES},
    {"very_high_priority_without_the_right",
     [](Bench& b) {
       return without_cap_sys_nice(
           [&] { return b.context_op(AMDGPU_CTX_OP_ALLOC_CTX, 0, 0, AMDGPU_CTX_PRIORITY_VERY_HIGH); });
     },
     EACCES},
    {"garbage_priority_means_normal",
     [](Bench& b) {
       return without_cap_sys_nice([&] { return b.context_op(AMDGPU_CTX_OP_ALLOC_CTX, 0, 0, 12345); });
     },
     0},
    {"more_than_4095_contexts",
     [](Bench& b) {
       int error = 0;
       for (int i = 0; i < 4096 && error == 0; ++i)
         error = b.context_op(AMDGPU_CTX_OP_ALLOC_CTX, 0);
       EXPECT_EQ(error, ENOSPC);
       return without_cap_sys_nice(
           [&] { return b.context_op(AMDGPU_CTX_OP_ALLOC_CTX, 0, 0, AMDGPU_CTX_PRIORITY_HIGH); });
     },
     ENOSPC},

    {"list_operation", [](Bench& b) { return bo_list(b, 9, 0, 0, 0); }, EINVAL},
    {"list_too_long", [](Bench& b) { return bo_list(b, create_list, 0, 128 * 1024 + 1, bad_pointer); },
     EINVAL},
    {"list_nowhere", [](Bench& b) { return bo_list(b, create_list, 0, 1, bad_pointer); }, EFAULT},
    {"list_of_odd_entries_nowhere", [](Bench& b) { return bo_list(b, create_list, 0, 1, bad_pointer, 4); },
     EFAULT},
    {"destroyed_list_has_entries_nowhere",
     [](Bench& b) { return bo_list(b, AMDGPU_BO_LIST_OP_DESTROY, 1, 1, bad_pointer); }, EFAULT},
    {"list_of_no_buffer",
     [](Bench& b) {
       const drm_amdgpu_bo_list_entry entry = {no_handle, 0};
       return bo_list(b, create_list, 0, 1, address_of(&entry));
     },
     ENOENT},
    {"list_of_entries_without_handles",
     [](Bench& b) {
       const drm_amdgpu_bo_list_entry entry = {b.buffer(), 0};
       return bo_list(b, create_list, 0, 1, address_of(&entry), 0);
     },
     ENOENT},
    {"update_of_no_list", [](Bench& b) { return bo_list(b, AMDGPU_BO_LIST_OP_UPDATE, 7, 0, 0); }, ENOENT},

    {"schedule_operation", [](Bench& b) { return schedule(b, 9, AMDGPU_CTX_PRIORITY_NORMAL, b.fd()); },
     EINVAL},
    {"schedule_priority_between",
     [](Bench& b) { return schedule(b, AMDGPU_SCHED_OP_PROCESS_PRIORITY_OVERRIDE, 1, b.fd()); }, EINVAL},
    {"schedule_priority_unset",
     [](Bench& b) {
       return schedule(b, AMDGPU_SCHED_OP_PROCESS_PRIORITY_OVERRIDE, AMDGPU_CTX_PRIORITY_UNSET, b.fd());
     },
     EINVAL},
    {"schedule_no_descriptor",
     [](Bench& b) {
       return schedule(b, AMDGPU_SCHED_OP_PROCESS_PRIORITY_OVERRIDE, AMDGPU_CTX_PRIORITY_NORMAL, -1);
     },
     EINVAL},
    {"schedule_another_kind_of_descriptor",
     [](Bench& b) {
       return schedule(b, AMDGPU_SCHED_OP_PROCESS_PRIORITY_OVERRIDE, AMDGPU_CTX_PRIORITY_NORMAL,
                       STDIN_FILENO);
     },
     EINVAL},
    {"schedule_no_context",
     [](Bench& b) {
       return schedule(b, AMDGPU_SCHED_OP_CONTEXT_PRIORITY_OVERRIDE, AMDGPU_CTX_PRIORITY_NORMAL, b.fd(),
                       no_handle);
     },
     EINVAL},
    {"schedule_by_a_render_node", [](Bench& b) { return b.call(DRM_IOCTL_AMDGPU_SCHED, drm_amdgpu_sched{}); },
     EACCES},
};
INSTANTIATE_TEST_SUITE_P(Amdgpu, ContextRefusals, ::testing::ValuesIn(contexts), name_of);

drm_amdgpu_cs_chunk_ib an_ib(std::uint32_t ip = AMDGPU_HW_IP_COMPUTE, std::uint32_t ring = 0) {
  drm_amdgpu_cs_chunk_ib ib = {};
  ib.ip_type = ip;
  ib.ring = ring;
  return ib;
}
int submit_ib(Bench& b, const drm_amdgpu_cs_chunk_ib& ib) {
  return b.submit(b.context(), {Bench::chunk(AMDGPU_CHUNK_ID_IB, ib)});
}
// An IB that would be fine, and another chunk.
template <class T>
int submit_with(Bench& b, std::uint32_t id, const T& body, std::uint32_t length_dw = sizeof(T) / 4) {
  const drm_amdgpu_cs_chunk_ib ib = an_ib();
  return b.submit(b.context(), {Bench::chunk(AMDGPU_CHUNK_ID_IB, ib), {id, length_dw, address_of(&body)}});
}
int submit_fence(Bench& b, std::uint32_t handle, std::uint32_t offset) {
  return submit_with(b, AMDGPU_CHUNK_ID_FENCE, drm_amdgpu_cs_chunk_fence{handle, offset});
}
int submit_dependency(Bench& b, drm_amdgpu_cs_chunk_dep dependency,
                      std::uint32_t id = AMDGPU_CHUNK_ID_DEPENDENCIES) {
  return submit_with(b, id, dependency);
}
int raw_submit(Bench& b, std::uint32_t count, std::uint64_t chunks) {
  drm_amdgpu_cs args = {};
  args.in.ctx_id = b.context();
  args.in.num_chunks = count;
  args.in.chunks = chunks;
  return b.call(DRM_IOCTL_AMDGPU_CS, args);
}
int submit_many(Bench& b, std::uint32_t ip, std::size_t count) {
  const drm_amdgpu_cs_chunk_ib ib = an_ib(ip);
  return b.submit(b.context(), std::vector<drm_amdgpu_cs_chunk>(count, Bench::chunk(AMDGPU_CHUNK_ID_IB, ib)));
}

constexpr std::uint32_t compute = AMDGPU_HW_IP_COMPUTE;

const Refusal submissions[] = {
    {"no_chunks", [](Bench& b) { return raw_submit(b, 0, 0); }, EINVAL},
    {"chunks_before_context",
     [](Bench& b) {
       drm_amdgpu_cs args = {};
       args.in.ctx_id = no_handle;
       args.in.num_chunks = 1;
       args.in.chunks = bad_pointer;
       return b.call(DRM_IOCTL_AMDGPU_CS, args);
     },
     EINVAL},
    {"chunks_nowhere", [](Bench& b) { return raw_submit(b, 1, bad_pointer); }, EFAULT},
    {"more_chunks_than_memory", [](Bench& b) { return raw_submit(b, ~0u, bad_pointer); }, ENOMEM},
    {"more_chunks_than_kmalloc_can_hold_7_2",
     [](Bench& b) {
       const std::vector<std::uint64_t> nowhere((4u << 20) / 8 + 1, bad_pointer);
       return raw_submit(b, static_cast<std::uint32_t>(nowhere.size()), address_of(nowhere.data()));
     },
     ENOMEM},
    {"chunk_nowhere",
     [](Bench& b) {
       const std::uint64_t nowhere = bad_pointer;
       return raw_submit(b, 1, address_of(&nowhere));
     },
     EFAULT},
    {"chunk_data_nowhere",
     [](Bench& b) {
       return b.submit(b.context(), {{AMDGPU_CHUNK_ID_IB, 8, bad_pointer}});
     },
     EFAULT},
    {"chunk_larger_than_memory",
     [](Bench& b) {
       return b.submit(b.context(), {{AMDGPU_CHUNK_ID_IB, ~0u, bad_pointer}});
     },
     ENOMEM},
    {"chunk_of_unknown_kind", [](Bench& b) { return submit_with(b, 0x77, an_ib()); }, EINVAL},
    {"no_ib",
     [](Bench& b) {
       const drm_amdgpu_cs_chunk_sem none = {0};
       return b.submit(b.context(), {{AMDGPU_CHUNK_ID_SYNCOBJ_IN, 0, address_of(&none)}});
     },
     EINVAL},
    {"ib_too_short",
     [](Bench& b) {
       const drm_amdgpu_cs_chunk_ib ib = an_ib();
       return b.submit(b.context(), {{AMDGPU_CHUNK_ID_IB, sizeof ib / 4 - 1, address_of(&ib)}});
     },
     EINVAL},
    {"ib_for_ring_4", [](Bench& b) { return submit_ib(b, an_ib(compute, 4)); }, EINVAL},
    {"ib_for_dma_ring_2", [](Bench& b) { return submit_ib(b, an_ib(AMDGPU_HW_IP_DMA, 2)); }, EINVAL},
    {"ib_for_graphics_ring_1", [](Bench& b) { return submit_ib(b, an_ib(AMDGPU_HW_IP_GFX, 1)); }, EINVAL},
    {"ib_for_an_absent_engine", [](Bench& b) { return submit_ib(b, an_ib(AMDGPU_HW_IP_VCN_DEC)); }, EINVAL},
    {"ib_for_an_unknown_engine", [](Bench& b) { return submit_ib(b, an_ib(10)); }, EINVAL},
    {"ib_for_instance_1",
     [](Bench& b) {
       drm_amdgpu_cs_chunk_ib ib = an_ib();
       ib.ip_instance = 1;
       return submit_ib(b, ib);
     },
     EINVAL},
    {"ib_longer_than_a_packet_can_say",
     [](Bench& b) {
       drm_amdgpu_cs_chunk_ib ib = an_ib();
       ib.ib_bytes = 0x100000 * 4;
       return submit_ib(b, ib);
     },
     EINVAL},
    {"ib_of_the_constant_engine_7_2",
     [](Bench& b) {
       drm_amdgpu_cs_chunk_ib ib = an_ib(AMDGPU_HW_IP_GFX);
       ib.flags = AMDGPU_IB_FLAG_CE;
       return submit_ib(b, ib);
     },
     EINVAL},
    {"two_preemptible_ibs",
     [](Bench& b) {
       drm_amdgpu_cs_chunk_ib ib = an_ib(AMDGPU_HW_IP_GFX);
       ib.flags = AMDGPU_IB_FLAG_PREEMPT;
       return b.submit(b.context(),
                       {Bench::chunk(AMDGPU_CHUNK_ID_IB, ib), Bench::chunk(AMDGPU_CHUNK_ID_IB, ib)});
     },
     EINVAL},
    {"ibs_126_on_compute", [](Bench& b) { return submit_many(b, compute, 126); }, EINVAL},
    {"ibs_193_on_graphics", [](Bench& b) { return submit_many(b, AMDGPU_HW_IP_GFX, 193); }, EINVAL},
    {"ibs_50_on_dma", [](Bench& b) { return submit_many(b, AMDGPU_HW_IP_DMA, 50); }, EINVAL},
    {"gang_of_five",
     [](Bench& b) {
       drm_amdgpu_cs_chunk_ib ibs[5];
       std::vector<drm_amdgpu_cs_chunk> chunks;
       for (std::uint32_t i = 0; i < 5; ++i) {
         ibs[i] = i < 4 ? an_ib(compute, i) : an_ib(AMDGPU_HW_IP_GFX);
         chunks.push_back(Bench::chunk(AMDGPU_CHUNK_ID_IB, ibs[i]));
       }
       return b.submit(b.context(), chunks);
     },
     EINVAL},

    {"fence_too_short",
     [](Bench& b) {
       return submit_with(b, AMDGPU_CHUNK_ID_FENCE, drm_amdgpu_cs_chunk_fence{b.buffer(4096), 0}, 1);
     },
     EINVAL},
    {"fence_in_no_buffer", [](Bench& b) { return submit_fence(b, no_handle, 0); }, EINVAL},
    {"fence_in_a_large_buffer", [](Bench& b) { return submit_fence(b, b.buffer(8192), 0); }, EINVAL},
    {"fence_at_the_end", [](Bench& b) { return submit_fence(b, b.buffer(4096), 4092); }, EINVAL},
    {"fence_in_program_memory", [](Bench& b) { return submit_fence(b, b.userptr(), 0); }, EINVAL},
    {"two_fences",
     [](Bench& b) {
       const drm_amdgpu_cs_chunk_ib ib = an_ib();
       const drm_amdgpu_cs_chunk_fence fence = {b.buffer(4096), 0};
       return b.submit(b.context(),
                       {Bench::chunk(AMDGPU_CHUNK_ID_IB, ib), Bench::chunk(AMDGPU_CHUNK_ID_FENCE, fence),
                        Bench::chunk(AMDGPU_CHUNK_ID_FENCE, fence)});
     },
     EINVAL},

    {"buffers_too_short",
     [](Bench& b) { return submit_with(b, AMDGPU_CHUNK_ID_BO_HANDLES, drm_amdgpu_bo_list_in{}, 5); }, EINVAL},
    {"buffers_too_many",
     [](Bench& b) {
       return submit_with(b, AMDGPU_CHUNK_ID_BO_HANDLES,
                          drm_amdgpu_bo_list_in{~0u, ~0u, 128 * 1024 + 1, 8, bad_pointer});
     },
     EINVAL},
    {"buffers_nowhere",
     [](Bench& b) {
       return submit_with(b, AMDGPU_CHUNK_ID_BO_HANDLES, drm_amdgpu_bo_list_in{~0u, ~0u, 1, 8, bad_pointer});
     },
     EFAULT},
    {"buffers_unknown",
     [](Bench& b) {
       const drm_amdgpu_bo_list_entry entry = {no_handle, 0};
       return submit_with(b, AMDGPU_CHUNK_ID_BO_HANDLES,
                          drm_amdgpu_bo_list_in{~0u, ~0u, 1, 8, address_of(&entry)});
     },
     ENOENT},
    {"two_kinds_of_buffer_list",
     [](Bench& b) {
       const drm_amdgpu_cs_chunk_ib ib = an_ib();
       const drm_amdgpu_bo_list_in none = {~0u, ~0u, 0, 8, 0};
       EXPECT_EQ(bo_list(b, create_list, 0, 0, 0), 0);
       return b.submit(b.context(),
                       {Bench::chunk(AMDGPU_CHUNK_ID_IB, ib), Bench::chunk(AMDGPU_CHUNK_ID_BO_HANDLES, none)},
                       1);
     },
     EINVAL},
    {"buffer_list_unknown",
     [](Bench& b) {
       const drm_amdgpu_cs_chunk_ib ib = an_ib();
       return b.submit(b.context(), {Bench::chunk(AMDGPU_CHUNK_ID_IB, ib)}, no_handle);
     },
     ENOENT},
    {"program_memory_that_went",
     [](Bench& b) {
       const drm_amdgpu_bo_list_entry entry = {b.userptr(), 0};
       munmap(static_cast<char*>(b.memory()) + 4096, 4096);
       return submit_with(b, AMDGPU_CHUNK_ID_BO_HANDLES,
                          drm_amdgpu_bo_list_in{~0u, ~0u, 1, 8, address_of(&entry)});
     },
     EFAULT},

    {"program_memory_that_went_and_a_later_one_that_may_not_be_written",
     [](Bench& b) {
       void* pages = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
       EXPECT_EQ(
           b.call(DRM_IOCTL_AMDGPU_GEM_USERPTR, drm_amdgpu_gem_userptr{address_of(static_cast<char*>(pages)),
                                                                       8192, AMDGPU_GEM_USERPTR_REGISTER, 0}),
           0);
       const std::uint32_t later = b.answer<drm_amdgpu_gem_userptr>().handle;
       const drm_amdgpu_bo_list_entry entries[] = {{b.userptr(), 0}, {later, 0}};
       munmap(b.memory(), 8192);
       mprotect(pages, 8192, PROT_READ);
       const int error = submit_with(b, AMDGPU_CHUNK_ID_BO_HANDLES,
                                     drm_amdgpu_bo_list_in{~0u, ~0u, 2, 8, address_of(entries)});
       munmap(pages, 8192);
       return error;
     },
     EPERM},
    {"program_memory_that_may_not_be_a_file",
     [](Bench& b) {
       void* file = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
       const std::uint32_t flags = AMDGPU_GEM_USERPTR_REGISTER | AMDGPU_GEM_USERPTR_ANONONLY;
       EXPECT_EQ(b.call(DRM_IOCTL_AMDGPU_GEM_USERPTR,
                        drm_amdgpu_gem_userptr{address_of(static_cast<char*>(file)), 8192, flags, 0}),
                 0);
       const drm_amdgpu_bo_list_entry entry = {b.answer<drm_amdgpu_gem_userptr>().handle, 0};
       const int error = submit_with(b, AMDGPU_CHUNK_ID_BO_HANDLES,
                                     drm_amdgpu_bo_list_in{~0u, ~0u, 1, 8, address_of(&entry)});
       munmap(file, 8192);
       return error;
     },
     EPERM},

    {"dependency_on_no_context",
     [](Bench& b) {
       return submit_dependency(b, {compute, 0, 0, no_handle, 0});
     },
     EINVAL},
    {"dependency_on_ring_4",
     [](Bench& b) {
       return submit_dependency(b, {compute, 0, 4, b.context(), 0});
     },
     EINVAL},
    {"dependency_on_the_future",
     [](Bench& b) {
       return submit_dependency(b, {compute, 0, 0, b.context(), 1});
     },
     EINVAL},
    {"scheduled_dependency_on_the_future",
     [](Bench& b) {
       return submit_dependency(b, {compute, 0, 0, b.context(), 1}, AMDGPU_CHUNK_ID_SCHEDULED_DEPENDENCIES);
     },
     EINVAL},
    {"dependency_on_an_absent_engine_7_2",
     [](Bench& b) {
       return submit_dependency(b, {AMDGPU_HW_IP_VCN_DEC, 0, 0, b.context(), 0});
     },
     EINVAL},
    {"in_syncobj_unknown",
     [](Bench& b) { return submit_with(b, AMDGPU_CHUNK_ID_SYNCOBJ_IN, drm_amdgpu_cs_chunk_sem{no_handle}); },
     ENOENT},
    {"in_syncobj_without_fence",
     [](Bench& b) {
       return submit_with(b, AMDGPU_CHUNK_ID_SYNCOBJ_IN, drm_amdgpu_cs_chunk_sem{b.syncobj()});
     },
     EINVAL},
    {"out_syncobj_unknown",
     [](Bench& b) { return submit_with(b, AMDGPU_CHUNK_ID_SYNCOBJ_OUT, drm_amdgpu_cs_chunk_sem{no_handle}); },
     EINVAL},
    {"more_out_syncobjs_than_memory",
     [](Bench& b) {
       const std::vector<std::uint32_t> none((4u << 20) / 24 + 1, no_handle);
       const drm_amdgpu_cs_chunk_ib ib = an_ib();
       return b.submit(b.context(), {Bench::chunk(AMDGPU_CHUNK_ID_IB, ib),
                                     {AMDGPU_CHUNK_ID_SYNCOBJ_OUT, static_cast<std::uint32_t>(none.size()),
                                      address_of(none.data())}});
     },
     ENOMEM},
    {"two_kinds_of_out_syncobjs",
     [](Bench& b) {
       const drm_amdgpu_cs_chunk_ib ib = an_ib();
       const drm_amdgpu_cs_chunk_sem binary = {b.syncobj()};
       const drm_amdgpu_cs_chunk_syncobj timeline = {b.syncobj(), 0, 1};
       return b.submit(b.context(), {Bench::chunk(AMDGPU_CHUNK_ID_IB, ib),
                                     Bench::chunk(AMDGPU_CHUNK_ID_SYNCOBJ_OUT, binary),
                                     Bench::chunk(AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_SIGNAL, timeline)});
     },
     EINVAL},
    {"timeline_wait_on_an_unknown_one",
     [](Bench& b) {
       return submit_with(b, AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_WAIT,
                          drm_amdgpu_cs_chunk_syncobj{no_handle, 0, 1});
     },
     ENOENT},
    {"timeline_wait_flags",
     [](Bench& b) {
       return submit_with(b, AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_WAIT,
                          drm_amdgpu_cs_chunk_syncobj{b.syncobj(), DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL, 1});
     },
     EINVAL},
    {"timeline_wait_for_a_point_to_come",
     [](Bench& b) {
       return submit_with(b, AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_WAIT,
                          drm_amdgpu_cs_chunk_syncobj{b.syncobj(), 0, 1});
     },
     EINVAL},
    {"timeline_signal_of_an_unknown_one",
     [](Bench& b) {
       return submit_with(b, AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_SIGNAL,
                          drm_amdgpu_cs_chunk_syncobj{no_handle, 0, 1});
     },
     EINVAL},
    {"shadow_too_short",
     [](Bench& b) {
       const std::uint64_t shadow[4] = {};
       return submit_with(b, 0x0a, shadow, 7);
     },
     EINVAL},
    {"shadow_flags",
     [](Bench& b) {
       const std::uint64_t shadow[4] = {0, 0, 0, 2};
       return submit_with(b, 0x0a, shadow);
     },
     EINVAL},
};
INSTANTIATE_TEST_SUITE_P(Amdgpu, SubmitRefusals, ::testing::ValuesIn(submissions), name_of);

int wait_cs(Bench& b, std::uint32_t context, std::uint32_t ip, std::uint32_t ring, std::uint64_t handle) {
  drm_amdgpu_wait_cs args = {};
  args.in = {handle, 0, ip, 0, ring, context};
  return b.call(DRM_IOCTL_AMDGPU_WAIT_CS, args);
}
int wait_fences(Bench& b, std::uint64_t fences, std::uint32_t count, bool all) {
  drm_amdgpu_wait_fences args = {};
  args.in = {fences, count, all, 0};
  return b.call(DRM_IOCTL_AMDGPU_WAIT_FENCES, args);
}
int wait_fence(Bench& b, drm_amdgpu_fence fence, bool all) {
  return wait_fences(b, address_of(&fence), 1, all);
}
int to_handle(Bench& b, drm_amdgpu_fence fence, std::uint32_t what) {
  drm_amdgpu_fence_to_handle args = {};
  args.in.fence = fence;
  args.in.what = what;
  return b.call(DRM_IOCTL_AMDGPU_FENCE_TO_HANDLE, args);
}

const Refusal waits[] = {
    {"cs_of_no_context", [](Bench& b) { return wait_cs(b, no_handle, compute, 0, 0); }, EINVAL},
    {"cs_of_ring_4", [](Bench& b) { return wait_cs(b, b.context(), compute, 4, 0); }, EINVAL},
    {"cs_of_an_unknown_engine", [](Bench& b) { return wait_cs(b, b.context(), 10, 0, 0); }, EINVAL},
    {"cs_to_come", [](Bench& b) { return wait_cs(b, b.context(), compute, 0, 1); }, EINVAL},
    {"cs_to_come_of_an_absent_engine",
     [](Bench& b) { return wait_cs(b, b.context(), AMDGPU_HW_IP_VCN_DEC, 0, 1); }, EINVAL},
    {"cs_before_the_first_of_an_absent_engine_7_2",
     [](Bench& b) { return wait_cs(b, b.context(), AMDGPU_HW_IP_VCN_DEC, 0, 0); }, EINVAL},
    {"cs_before_the_first", [](Bench& b) { return wait_cs(b, b.context(), compute, 0, 0); }, 0},
    {"fences_nowhere", [](Bench& b) { return wait_fences(b, bad_pointer, 1, true); }, EFAULT},
    {"any_of_no_fences", [](Bench& b) { return wait_fences(b, 0, 0, false); }, EINVAL},
    {"all_of_no_fences_7_2", [](Bench& b) { return wait_fences(b, 0, 0, true); }, EINVAL},
    {"more_fences_than_memory", [](Bench& b) { return wait_fences(b, bad_pointer, ~0u, true); }, ENOMEM},
    {"any_where_the_first_is_long_over",
     [](Bench& b) {
       const drm_amdgpu_fence fences[] = {{b.context(), compute, 0, 0, 0}, {no_handle, compute, 0, 0, 0}};
       return wait_fences(b, address_of(fences), 2, false);
     },
     0},
    {"fence_of_no_context",
     [](Bench& b) {
       return wait_fence(b, {no_handle, compute, 0, 0, 0}, true);
     },
     EINVAL},
    {"fence_of_instance_1",
     [](Bench& b) {
       return wait_fence(b, {b.context(), compute, 1, 0, 0}, false);
     },
     EINVAL},
    {"fence_to_come",
     [](Bench& b) {
       return wait_fence(b, {b.context(), compute, 0, 0, 1}, false);
     },
     EINVAL},
    {"handle_of_no_context",
     [](Bench& b) {
       return to_handle(b, {no_handle, compute, 0, 0, 0}, AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ);
     },
     EINVAL},
    {"handle_of_a_fence_to_come",
     [](Bench& b) {
       return to_handle(b, {b.context(), compute, 0, 0, 1}, AMDGPU_FENCE_TO_HANDLE_GET_SYNCOBJ);
     },
     EINVAL},
    {"handle_of_unknown_kind",
     [](Bench& b) {
       return to_handle(b, {b.context(), compute, 0, 0, 0}, 3);
     },
     EINVAL},
};
INSTANTIATE_TEST_SUITE_P(Amdgpu, WaitRefusals, ::testing::ValuesIn(waits), name_of);

} // namespace
