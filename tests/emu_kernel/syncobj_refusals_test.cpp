// Every rule of the syncobj, sync_file and dma-buf calls that docs/kernel-abi-drm.md names, broken once: the
// errno is the kernel's (drm_syncobj.c, drivers/dma-buf/sync_file.c, drivers/dma-buf/dma-buf.c), 6.12's but
// where a row says 7.2.
#include "drm_bench.hpp"

#include <cstring>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

namespace {

using namespace drm_test;

class SyncobjRefusals : public RefusalTest {};
class SyncFileRefusals : public RefusalTest {};
TEST_P(SyncobjRefusals, give_the_kernels_errno) {
  expect_refused();
}
TEST_P(SyncFileRefusals, give_the_kernels_errno) {
  expect_refused();
}

struct Eventfd { // drm_syncobj_eventfd, since Linux 6.6
  std::uint32_t handle, flags;
  std::uint64_t point;
  std::int32_t fd;
  std::uint32_t pad;
};

struct Handle { // drm_syncobj_handle, as long as in Linux 7.2
  std::uint32_t handle, flags;
  std::int32_t fd;
  std::uint32_t pad;
  std::uint64_t point;
};
constexpr unsigned long long_handle_to_fd = DRM_IOWR(0xc1, Handle);
constexpr unsigned long long_fd_to_handle = DRM_IOWR(0xc2, Handle);

int handle_to_fd(Bench& b, std::uint32_t handle, std::uint32_t flags, std::uint32_t pad = 0) {
  return b.call(DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, drm_syncobj_handle{handle, flags, -1, pad});
}
int fd_to_handle(Bench& b, int fd, std::uint32_t flags, std::uint32_t handle = 0, std::uint32_t pad = 0) {
  return b.call(DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, drm_syncobj_handle{handle, flags, fd, pad});
}
UniqueFd exported(Bench& b, std::uint32_t handle, std::uint32_t flags = 0) {
  EXPECT_EQ(handle_to_fd(b, handle, flags), 0);
  return UniqueFd(b.answer<drm_syncobj_handle>().fd);
}
UniqueFd a_sync_file(Bench& b) {
  return exported(b, b.syncobj(DRM_SYNCOBJ_CREATE_SIGNALED), DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE);
}
int transfer(Bench& b, std::uint32_t to, std::uint64_t to_point, std::uint32_t from, std::uint64_t from_point,
             std::uint32_t flags = 0, std::uint32_t pad = 0) {
  return b.call(DRM_IOCTL_SYNCOBJ_TRANSFER, drm_syncobj_transfer{from, to, from_point, to_point, flags, pad});
}
int wait(Bench& b, std::uint64_t handles, std::uint32_t count, std::uint32_t flags) {
  return b.call(DRM_IOCTL_SYNCOBJ_WAIT, drm_syncobj_wait{handles, 0, count, flags, 0, 0});
}
int timeline_wait(Bench& b, std::uint64_t handles, std::uint64_t points, std::uint32_t count,
                  std::uint32_t flags) {
  return b.call(DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT,
                drm_syncobj_timeline_wait{handles, points, 0, count, flags, 0, 0});
}
int array(Bench& b, unsigned long request, std::uint64_t handles, std::uint32_t count,
          std::uint32_t pad = 0) {
  return b.call(request, drm_syncobj_array{handles, count, pad});
}
int points(Bench& b, unsigned long request, std::uint64_t handles, std::uint64_t at, std::uint32_t count,
           std::uint32_t flags = 0) {
  return b.call(request, drm_syncobj_timeline_array{handles, at, count, flags});
}
int event(Bench& b, Eventfd args) {
  return b.call(DRM_IOWR(0xcf, Eventfd), args);
}

// Runs the attempt with the address of one handle.
template <class Attempt>
int with_handle(std::uint32_t handle, Attempt attempt) {
  return attempt(address_of(&handle));
}
const std::uint64_t point_1 = 1;

constexpr std::uint32_t all = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL;
constexpr std::uint32_t for_submit = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;
constexpr std::uint32_t available = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE;

const Refusal syncobjs[] = {
    {"create_flags",
     [](Bench& b) {
       return b.call(DRM_IOCTL_SYNCOBJ_CREATE, drm_syncobj_create{0, 2});
     },
     EINVAL},
    {"destroy_padding",
     [](Bench& b) {
       return b.call(DRM_IOCTL_SYNCOBJ_DESTROY, drm_syncobj_destroy{b.syncobj(), 1});
     },
     EINVAL},
    {"destroy_of_none",
     [](Bench& b) {
       return b.call(DRM_IOCTL_SYNCOBJ_DESTROY, drm_syncobj_destroy{no_handle, 0});
     },
     EINVAL},
    {"destroy_twice",
     [](Bench& b) {
       const std::uint32_t handle = b.syncobj();
       b.call(DRM_IOCTL_SYNCOBJ_DESTROY, drm_syncobj_destroy{handle, 0});
       return b.call(DRM_IOCTL_SYNCOBJ_DESTROY, drm_syncobj_destroy{handle, 0});
     },
     EINVAL},
    {"export_padding", [](Bench& b) { return handle_to_fd(b, b.syncobj(), 0, 1); }, EINVAL},
    {"export_flags", [](Bench& b) { return handle_to_fd(b, b.syncobj(), 2); }, EINVAL},
    {"export_of_none", [](Bench& b) { return handle_to_fd(b, no_handle, 0); }, EINVAL},
    {"export_fence_of_none", [](Bench& b) { return handle_to_fd(b, no_handle, 1); }, ENOENT},
    {"export_no_fence", [](Bench& b) { return handle_to_fd(b, b.syncobj(), 1); }, EINVAL},
    {"export_a_point_without_sync_file_7_2",
     [](Bench& b) {
       return b.call(long_handle_to_fd, Handle{b.syncobj(), 0, -1, 0, 1});
     },
     EINVAL},
    {"export_a_point_is_newer",
     [](Bench& b) {
       return b.call(long_handle_to_fd, Handle{b.syncobj(DRM_SYNCOBJ_CREATE_SIGNALED), 3, -1, 0, 0});
     },
     EINVAL},
    {"export_the_fence_whatever_the_point",
     [](Bench& b) {
       return b.call(long_handle_to_fd, Handle{b.syncobj(DRM_SYNCOBJ_CREATE_SIGNALED), 1, -1, 0, 7});
     },
     0},
    {"import_a_point_without_sync_file_7_2",
     [](Bench& b) {
       return b.call(long_fd_to_handle, Handle{0, 0, exported(b, b.syncobj()).get(), 0, 1});
     },
     EINVAL},
    {"import_padding", [](Bench& b) { return fd_to_handle(b, exported(b, b.syncobj()).get(), 0, 0, 1); },
     EINVAL},
    {"import_flags", [](Bench& b) { return fd_to_handle(b, exported(b, b.syncobj()).get(), 2); }, EINVAL},
    {"import_of_no_descriptor", [](Bench& b) { return fd_to_handle(b, -1, 0); }, EINVAL},
    {"import_of_a_card", [](Bench& b) { return fd_to_handle(b, b.fd(), 0); }, EINVAL},
    {"import_of_a_sync_file_as_syncobj", [](Bench& b) { return fd_to_handle(b, a_sync_file(b).get(), 0); },
     EINVAL},
    {"import_of_a_syncobj_as_sync_file",
     [](Bench& b) { return fd_to_handle(b, exported(b, b.syncobj()).get(), 1, b.syncobj()); }, EINVAL},
    {"import_fence_from_no_descriptor", [](Bench& b) { return fd_to_handle(b, -1, 1, b.syncobj()); }, EINVAL},
    {"import_fence_into_none", [](Bench& b) { return fd_to_handle(b, a_sync_file(b).get(), 1, no_handle); },
     ENOENT},

    {"transfer_padding", [](Bench& b) { return transfer(b, b.syncobj(), 0, b.syncobj(1), 0, 0, 1); }, EINVAL},
    {"transfer_flags", [](Bench& b) { return transfer(b, b.syncobj(), 0, b.syncobj(1), 0, all); }, EINVAL},
    {"transfer_to_none", [](Bench& b) { return transfer(b, no_handle, 0, b.syncobj(1), 0); }, ENOENT},
    {"transfer_to_a_point_of_none", [](Bench& b) { return transfer(b, no_handle, 3, b.syncobj(1), 0); },
     ENOENT},
    {"transfer_from_none", [](Bench& b) { return transfer(b, b.syncobj(), 0, no_handle, 0); }, ENOENT},
    {"transfer_of_no_fence", [](Bench& b) { return transfer(b, b.syncobj(), 0, b.syncobj(), 0); }, EINVAL},
    {"transfer_of_a_point_to_come", [](Bench& b) { return transfer(b, b.syncobj(), 0, b.syncobj(1), 5); },
     EINVAL},

    {"wait_flags",
     [](Bench& b) {
       return with_handle(b.syncobj(1), [&](std::uint64_t h) { return wait(b, h, 1, 1u << 4); });
     },
     EINVAL},
    {"wait_available_is_for_timelines",
     [](Bench& b) {
       return with_handle(b.syncobj(1), [&](std::uint64_t h) { return wait(b, h, 1, available); });
     },
     EINVAL},
    {"wait_handles_nowhere", [](Bench& b) { return wait(b, bad_pointer, 1, 0); }, EFAULT},
    {"wait_on_more_than_memory", [](Bench& b) { return wait(b, bad_pointer, ~0u, 0); }, ENOMEM},
    {"wait_on_more_than_pointers_fit",
     [](Bench& b) {
       const std::vector<std::uint32_t> none((4u << 20) / 8 + 1, no_handle);
       return wait(b, address_of(none.data()), static_cast<std::uint32_t>(none.size()), 0);
     },
     ENOMEM},
    {"wait_on_more_than_entries_fit",
     [](Bench& b) {
       const std::vector<std::uint32_t> same((4u << 20) / 64 + 1, b.syncobj(1));
       return wait(b, address_of(same.data()), static_cast<std::uint32_t>(same.size()), 0);
     },
     ENOMEM},
    {"wait_on_none",
     [](Bench& b) { return with_handle(no_handle, [&](std::uint64_t h) { return wait(b, h, 1, 0); }); },
     ENOENT},
    {"wait_on_no_fence",
     [](Bench& b) { return with_handle(b.syncobj(), [&](std::uint64_t h) { return wait(b, h, 1, 0); }); },
     EINVAL},
    {"wait_for_a_fence_to_come",
     [](Bench& b) {
       return with_handle(b.syncobj(), [&](std::uint64_t h) { return wait(b, h, 1, for_submit); });
     },
     ETIME},
    {"wait_for_all_of_two",
     [](Bench& b) {
       const std::uint32_t two[] = {b.syncobj(1), b.syncobj()};
       return wait(b, address_of(two), 2, all | for_submit);
     },
     ETIME},
    {"timeline_wait_flags",
     [](Bench& b) {
       return with_handle(b.syncobj(1), [&](std::uint64_t h) { return timeline_wait(b, h, 0, 1, 1u << 4); });
     },
     EINVAL},
    {"timeline_wait_handles_nowhere", [](Bench& b) { return timeline_wait(b, bad_pointer, 0, 1, 0); },
     EFAULT},
    {"timeline_wait_points_nowhere",
     [](Bench& b) {
       return with_handle(b.syncobj(1),
                          [&](std::uint64_t h) { return timeline_wait(b, h, bad_pointer, 1, 0); });
     },
     EFAULT},
    {"timeline_wait_on_none",
     [](Bench& b) {
       return with_handle(no_handle,
                          [&](std::uint64_t h) { return timeline_wait(b, h, address_of(&point_1), 1, 0); });
     },
     ENOENT},
    {"timeline_wait_on_a_binary_one",
     [](Bench& b) {
       return with_handle(b.syncobj(1),
                          [&](std::uint64_t h) { return timeline_wait(b, h, address_of(&point_1), 1, 0); });
     },
     EINVAL},
    {"timeline_wait_available",
     [](Bench& b) {
       return with_handle(b.syncobj(), [&](std::uint64_t h) {
         return timeline_wait(b, h, address_of(&point_1), 1, available);
       });
     },
     ETIME},

    {"reset_padding",
     [](Bench& b) {
       return with_handle(b.syncobj(),
                          [&](std::uint64_t h) { return array(b, DRM_IOCTL_SYNCOBJ_RESET, h, 1, 1); });
     },
     EINVAL},
    {"reset_of_nothing", [](Bench& b) { return array(b, DRM_IOCTL_SYNCOBJ_RESET, 0, 0); }, EINVAL},
    {"reset_of_handles_nowhere", [](Bench& b) { return array(b, DRM_IOCTL_SYNCOBJ_RESET, bad_pointer, 1); },
     EFAULT},
    {"reset_of_none",
     [](Bench& b) {
       return with_handle(no_handle,
                          [&](std::uint64_t h) { return array(b, DRM_IOCTL_SYNCOBJ_RESET, h, 1); });
     },
     ENOENT},
    {"signal_padding",
     [](Bench& b) {
       return with_handle(b.syncobj(),
                          [&](std::uint64_t h) { return array(b, DRM_IOCTL_SYNCOBJ_SIGNAL, h, 1, 1); });
     },
     EINVAL},
    {"signal_of_nothing", [](Bench& b) { return array(b, DRM_IOCTL_SYNCOBJ_SIGNAL, 0, 0); }, EINVAL},
    {"signal_of_handles_nowhere", [](Bench& b) { return array(b, DRM_IOCTL_SYNCOBJ_SIGNAL, bad_pointer, 1); },
     EFAULT},
    {"signal_of_none",
     [](Bench& b) {
       return with_handle(no_handle,
                          [&](std::uint64_t h) { return array(b, DRM_IOCTL_SYNCOBJ_SIGNAL, h, 1); });
     },
     ENOENT},
    {"timeline_signal_flags",
     [](Bench& b) {
       return with_handle(b.syncobj(), [&](std::uint64_t h) {
         return points(b, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, h, address_of(&point_1), 1, 1);
       });
     },
     EINVAL},
    {"timeline_signal_of_nothing",
     [](Bench& b) { return points(b, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, 0, 0, 0); }, EINVAL},
    {"timeline_signal_of_none",
     [](Bench& b) {
       return with_handle(no_handle, [&](std::uint64_t h) {
         return points(b, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, h, address_of(&point_1), 1);
       });
     },
     ENOENT},
    {"timeline_signal_of_points_nowhere",
     [](Bench& b) {
       return with_handle(b.syncobj(), [&](std::uint64_t h) {
         return points(b, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL, h, bad_pointer, 1);
       });
     },
     EFAULT},
    {"query_flags",
     [](Bench& b) {
       std::uint64_t point = 0;
       return with_handle(b.syncobj(), [&](std::uint64_t h) {
         return points(b, DRM_IOCTL_SYNCOBJ_QUERY, h, address_of(&point), 1, 2);
       });
     },
     EINVAL},
    {"query_of_nothing", [](Bench& b) { return points(b, DRM_IOCTL_SYNCOBJ_QUERY, 0, 0, 0); }, EINVAL},
    {"query_of_none",
     [](Bench& b) {
       std::uint64_t point = 0;
       return with_handle(no_handle, [&](std::uint64_t h) {
         return points(b, DRM_IOCTL_SYNCOBJ_QUERY, h, address_of(&point), 1);
       });
     },
     ENOENT},
    {"query_to_nowhere",
     [](Bench& b) {
       return with_handle(b.syncobj(), [&](std::uint64_t h) {
         return points(b, DRM_IOCTL_SYNCOBJ_QUERY, h, bad_pointer, 1);
       });
     },
     EFAULT},
    {"eventfd_flags",
     [](Bench& b) {
       return event(b, {b.syncobj(), for_submit, 0, -1, 0});
     },
     EINVAL},
    {"eventfd_padding",
     [](Bench& b) {
       return event(b, {b.syncobj(), 0, 0, -1, 1});
     },
     EINVAL},
    {"eventfd_of_none",
     [](Bench& b) {
       return event(b, {no_handle, 0, 0, -1, 0});
     },
     ENOENT},
    {"eventfd_closed",
     [](Bench& b) {
       return event(b, {b.syncobj(), 0, 0, -1, 0});
     },
     EBADF},
    {"eventfd_is_a_card",
     [](Bench& b) {
       return event(b, {b.syncobj(), 0, 0, b.fd(), 0});
     },
     EINVAL},
};
INSTANTIATE_TEST_SUITE_P(Drm, SyncobjRefusals, ::testing::ValuesIn(syncobjs), name_of);

struct Deadline { // sync_set_deadline, since Linux 6.6
  std::uint64_t deadline_ns, pad;
};
constexpr unsigned long set_deadline = _IOW('>', 5, Deadline);

template <class T>
int on_sync_file(Bench& b, unsigned long request, T args) {
  const UniqueFd file = a_sync_file(b);
  return ioctl(file.get(), request, &args) == 0 ? 0 : errno;
}
int on_sync_file_at(Bench& b, unsigned long request, std::uint64_t pointer) {
  const UniqueFd file = a_sync_file(b);
  return ioctl(file.get(), request, pointer) == 0 ? 0 : errno;
}
sync_merge_data merge_with(int fd) {
  sync_merge_data data = {};
  data.fd2 = fd;
  return data;
}
int on_dma_buf_at(Bench& b, unsigned long request, std::uint64_t pointer) {
  EXPECT_EQ(b.call(DRM_IOCTL_PRIME_HANDLE_TO_FD, drm_prime_handle{b.buffer(), DRM_CLOEXEC | DRM_RDWR, -1}),
            0);
  const UniqueFd file(b.answer<drm_prime_handle>().fd);
  return ioctl(file.get(), request, pointer) == 0 ? 0 : errno;
}
template <class T>
int on_dma_buf(Bench& b, unsigned long request, T args) {
  return on_dma_buf_at(b, request, address_of(&args));
}

const Refusal files[] = {
    {"merge_from_nowhere", [](Bench& b) { return on_sync_file_at(b, SYNC_IOC_MERGE, bad_pointer); }, EFAULT},
    {"merge_flags",
     [](Bench& b) {
       sync_merge_data data = merge_with(a_sync_file(b).get());
       data.flags = 1;
       return on_sync_file(b, SYNC_IOC_MERGE, data);
     },
     EINVAL},
    {"merge_padding",
     [](Bench& b) {
       sync_merge_data data = merge_with(a_sync_file(b).get());
       data.pad = 1;
       return on_sync_file(b, SYNC_IOC_MERGE, data);
     },
     EINVAL},
    {"merge_with_no_descriptor", [](Bench& b) { return on_sync_file(b, SYNC_IOC_MERGE, merge_with(-1)); },
     ENOENT},
    {"merge_with_a_syncobj",
     [](Bench& b) {
       const UniqueFd syncobj = exported(b, b.syncobj());
       return on_sync_file(b, SYNC_IOC_MERGE, merge_with(syncobj.get()));
     },
     ENOENT},
    {"info_to_nowhere", [](Bench& b) { return on_sync_file_at(b, SYNC_IOC_FILE_INFO, bad_pointer); }, EFAULT},
    {"info_flags",
     [](Bench& b) {
       sync_file_info info = {};
       info.flags = 1;
       return on_sync_file(b, SYNC_IOC_FILE_INFO, info);
     },
     EINVAL},
    {"info_padding",
     [](Bench& b) {
       sync_file_info info = {};
       info.pad = 1;
       return on_sync_file(b, SYNC_IOC_FILE_INFO, info);
     },
     EINVAL},
    {"deadline_from_nowhere", [](Bench& b) { return on_sync_file_at(b, set_deadline, bad_pointer); }, EFAULT},
    {"deadline_padding",
     [](Bench& b) {
       return on_sync_file(b, set_deadline, Deadline{0, 1});
     },
     EINVAL},
    {"info_of_fences_to_nowhere",
     [](Bench& b) {
       sync_file_info info = {};
       info.num_fences = 1;
       info.sync_fence_info = bad_pointer;
       return on_sync_file(b, SYNC_IOC_FILE_INFO, info);
     },
     EFAULT},
    {"unknown_on_a_sync_file", [](Bench& b) { return on_sync_file_at(b, _IO('>', 99), 0); }, ENOTTY},
    {"anything_on_a_syncobj",
     [](Bench& b) {
       const UniqueFd syncobj = exported(b, b.syncobj());
       return ioctl(syncobj.get(), SYNC_IOC_FILE_INFO, 0) == 0 ? 0 : errno;
     },
     ENOTTY},

    {"cpu_access_from_nowhere", [](Bench& b) { return on_dma_buf_at(b, DMA_BUF_IOCTL_SYNC, bad_pointer); },
     EFAULT},
    {"cpu_access_flags", [](Bench& b) { return on_dma_buf(b, DMA_BUF_IOCTL_SYNC, dma_buf_sync{1ull << 8}); },
     EINVAL},
    {"cpu_access_of_no_kind", [](Bench& b) { return on_dma_buf(b, DMA_BUF_IOCTL_SYNC, dma_buf_sync{0}); },
     EINVAL},
    {"name_nowhere", [](Bench& b) { return on_dma_buf_at(b, DMA_BUF_SET_NAME_A, bad_pointer); }, EFAULT},
    {"name_too_long",
     [](Bench& b) {
       return on_dma_buf_at(b, DMA_BUF_SET_NAME_A, address_of("a name of more than thirty-two letters"));
     },
     EINVAL},
    {"fences_out_to_nowhere",
     [](Bench& b) { return on_dma_buf_at(b, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, bad_pointer); }, EFAULT},
    {"fences_out_flags",
     [](Bench& b) {
       return on_dma_buf(b, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, dma_buf_export_sync_file{1u << 4, -1});
     },
     EINVAL},
    {"fences_out_of_no_kind",
     [](Bench& b) {
       return on_dma_buf(b, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, dma_buf_export_sync_file{0, -1});
     },
     EINVAL},
    {"fences_in_from_nowhere",
     [](Bench& b) { return on_dma_buf_at(b, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, bad_pointer); }, EFAULT},
    {"fences_in_flags",
     [](Bench& b) {
       return on_dma_buf(b, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, dma_buf_import_sync_file{1u << 4, -1});
     },
     EINVAL},
    {"fences_in_of_another_kind_of_descriptor",
     [](Bench& b) {
       const UniqueFd other(eventfd(0, EFD_CLOEXEC));
       return on_dma_buf(b, DMA_BUF_IOCTL_IMPORT_SYNC_FILE,
                         dma_buf_import_sync_file{DMA_BUF_SYNC_READ, other.get()});
     },
     EINVAL},
    {"unknown_on_a_dma_buf", [](Bench& b) { return on_dma_buf_at(b, _IO('b', 99), 0); }, ENOTTY},
};
INSTANTIATE_TEST_SUITE_P(DmaBuf, SyncFileRefusals, ::testing::ValuesIn(files), name_of);

} // namespace
