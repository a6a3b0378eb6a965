#include "drm_reservation.hpp"

#include "pid_lock.hpp"
#include "process.hpp"
#include "real.hpp"
#include "sync_file.hpp"
#include "user_memory.hpp"

#include <algorithm>
#include <cerrno>

#include <linux/dma-buf.h>
#include <unistd.h>

#ifndef DMA_BUF_IOCTL_EXPORT_SYNC_FILE
#error "linux/dma-buf.h is older than 6.0"
#endif

namespace emu::kernel {

struct ReservationData {
  struct Entry {
    FenceRef fence;
    std::uint64_t vm;
    std::uint64_t write;
  };
  static constexpr unsigned capacity = 60;
  std::atomic<std::uint32_t> holder; // pid of who holds the lock; 0: nobody
  std::uint32_t count;
  Entry entries[capacity];
};
static_assert(sizeof(ReservationData) <= sizeof(BufferMetadata::reservation));

namespace {

ReservationData& data_of(BufferObject& bo) {
  return *reinterpret_cast<ReservationData*>(bo.meta().reservation);
}

void drop_signaled(ReservationData& data) {
  auto* end =
      std::remove_if(data.entries, data.entries + data.count, [](const ReservationData::Entry& entry) {
        return Machine::get().signaled(entry.fence);
      });
  data.count = static_cast<std::uint32_t>(end - data.entries);
}

} // namespace

void Reservation::add(const FenceRef& fence, std::uint64_t vm, bool write) {
  ReservationData& data = data_of(*bo_);
  PidLock lock(data.holder);
  for (std::uint32_t i = 0; i < data.count; ++i) {
    ReservationData::Entry& entry = data.entries[i];
    if (entry.fence.slot != fence.slot)
      continue;
    entry.fence.sequence = std::max(entry.fence.sequence, fence.sequence);
    entry.write |= write;
    return;
  }
  if (data.count == ReservationData::capacity)
    drop_signaled(data);
  if (data.count == ReservationData::capacity) {
    complain("a buffer with more than %u users at a time; implicit sync misses one", data.capacity);
    return;
  }
  data.entries[data.count++] = {fence, vm, write};
}

void Reservation::add(PayloadView fences, bool write) {
  for (const FenceNode& node : fences)
    if (!Machine::get().signaled(node.fence))
      add(node.fence, 0, write);
}

Payload Reservation::pending(std::uint64_t vm, bool writes_only) {
  ReservationData& data = data_of(*bo_);
  PidLock lock(data.holder);
  drop_signaled(data);
  Payload fences;
  for (std::uint32_t i = 0; i < data.count; ++i) {
    const ReservationData::Entry& entry = data.entries[i];
    if ((vm == 0 || entry.vm != vm) && (!writes_only || entry.write))
      fences.push_back({0, 0, 0, entry.fence});
  }
  return fences;
}

namespace {

bool bad_sync_flags(std::uint32_t flags) {
  return (flags & ~DMA_BUF_SYNC_RW) || !(flags & DMA_BUF_SYNC_RW);
}

long export_sync_file(BufferObject& bo, std::uint64_t user) {
  dma_buf_export_sync_file args;
  if (!copy_from_user(&args, user, sizeof args))
    return -EFAULT;
  if (bad_sync_flags(args.flags))
    return -EINVAL;
  // Who means to write waits for everybody, who reads for writers.
  const Payload fences = Reservation(bo).pending(0, !(args.flags & DMA_BUF_SYNC_WRITE));
  args.fd = SyncFile::create(fences.empty() ? payload::stub() : fences, {});
  if (args.fd < 0)
    return args.fd;
  if (copy_to_user(user, &args, sizeof args))
    return 0;
  fd_table::forget(args.fd);
  real::close(args.fd);
  return -EFAULT;
}

long import_sync_file(BufferObject& bo, std::uint64_t user) {
  dma_buf_import_sync_file args;
  if (!copy_from_user(&args, user, sizeof args))
    return -EFAULT;
  if (bad_sync_flags(args.flags))
    return -EINVAL;
  const std::shared_ptr<SyncFile> file = SyncFile::from_fd(args.fd);
  if (!file)
    return -EINVAL;
  Reservation(bo).add(file->fence(), args.flags & DMA_BUF_SYNC_WRITE);
  return 0;
}

} // namespace

long dma_buf_sync_file_ioctl(BufferObject& bo, unsigned long request, void* argument) {
  const auto user = reinterpret_cast<std::uint64_t>(argument);
  switch (static_cast<std::uint32_t>(request)) {
  case static_cast<std::uint32_t>(DMA_BUF_IOCTL_EXPORT_SYNC_FILE):
    return export_sync_file(bo, user);
  case static_cast<std::uint32_t>(DMA_BUF_IOCTL_IMPORT_SYNC_FILE):
    return import_sync_file(bo, user);
  default:
    complain("unknown ioctl %#lx on a dma-buf", request);
    return -ENOTTY;
  }
}

} // namespace emu::kernel
