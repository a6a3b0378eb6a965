#include "drm_reservation.hpp"

#include "process.hpp"
#include "real.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <linux/dma-buf.h>
#include <sched.h>
#include <unistd.h>

#include "sync_file.hpp"

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

// Held for a few instructions only. A holder that died is robbed.
class ReservationLock {
public:
  explicit ReservationLock(ReservationData& data) : data_(data) {
    const auto self = static_cast<std::uint32_t>(getpid());
    for (unsigned turn = 0;; ++turn) {
      std::uint32_t holder = 0;
      if (data_.holder.compare_exchange_weak(holder, self))
        return;
      if (turn % 256 == 255 && holder != 0 && kill(static_cast<pid_t>(holder), 0) != 0 && errno == ESRCH &&
          data_.holder.compare_exchange_strong(holder, self))
        return;
      sched_yield();
    }
  }
  ~ReservationLock() { data_.holder.store(0); }
  ReservationLock(const ReservationLock&) = delete;
  ReservationLock& operator=(const ReservationLock&) = delete;

private:
  ReservationData& data_;
};

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
  ReservationLock lock(data);
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
  ReservationLock lock(data);
  drop_signaled(data);
  Payload fences;
  for (std::uint32_t i = 0; i < data.count; ++i) {
    const ReservationData::Entry& entry = data.entries[i];
    if ((vm == 0 || entry.vm != vm) && (!writes_only || entry.write))
      fences.push_back({0, 0, 0, entry.fence});
  }
  return fences;
}

long dma_buf_sync_file_ioctl(BufferObject& bo, unsigned long request, void* argument) {
  if (!argument)
    return -EFAULT;
  if (static_cast<std::uint32_t>(request) == static_cast<std::uint32_t>(DMA_BUF_IOCTL_EXPORT_SYNC_FILE)) {
    auto& args = *static_cast<dma_buf_export_sync_file*>(argument);
    if ((args.flags & ~DMA_BUF_SYNC_RW) || !(args.flags & DMA_BUF_SYNC_RW))
      return -EINVAL;
    // Who means to write waits for everybody, who reads for writers.
    Payload fences = Reservation(bo).pending(0, !(args.flags & DMA_BUF_SYNC_WRITE));
    const int fd = SyncFile::create(fences.empty() ? payload::stub() : fences, {});
    if (fd < 0)
      return fd;
    args.fd = fd;
    return 0;
  }
  if (static_cast<std::uint32_t>(request) == static_cast<std::uint32_t>(DMA_BUF_IOCTL_IMPORT_SYNC_FILE)) {
    const auto& args = *static_cast<const dma_buf_import_sync_file*>(argument);
    if ((args.flags & ~DMA_BUF_SYNC_RW) || !(args.flags & DMA_BUF_SYNC_RW))
      return -EINVAL;
    const std::shared_ptr<SyncFile> file = SyncFile::from_fd(args.fd);
    if (!file)
      return -EINVAL;
    Reservation(bo).add(file->fence(), args.flags & DMA_BUF_SYNC_WRITE);
    return 0;
  }
  complain("unknown ioctl %#lx on a dma-buf", request);
  return -ENOTTY;
}

} // namespace emu::kernel
