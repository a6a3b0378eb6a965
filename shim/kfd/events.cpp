#include "events.hpp"

#include <kfd/device.hpp>

#include "ioctl.hpp"

namespace shim::kfd {

namespace {
constexpr std::uint64_t slot_bytes = 8;
} // namespace

Result<void> EventPage::attach(Device& device) {
  std::lock_guard lock(mutex_);
  if (!address_) {
    Result<Buffer> page = device.allocate(MemoryKind::gtt, KFD_SIGNAL_EVENT_LIMIT * slot_bytes,
                                          {.executable = true, .uncached = true});
    if (!page)
      return page.error();
    address_ = page->address();
    handle_ = page->kfd_handle();
    page->device_ = nullptr; // the kernel refuses to free it before the process ends
    return {};
  }
  std::uint32_t gpu_id = device.properties().gpu_id;
  kfd_ioctl_map_memory_to_gpu_args map{};
  map.handle = handle_;
  map.device_ids_array_ptr = reinterpret_cast<std::uint64_t>(&gpu_id);
  map.n_devices = 1;
  return call_ioctl(kfd_, requests::map_memory, map);
}

Result<Event> EventPage::create(std::uint32_t type, bool auto_reset) {
  std::lock_guard lock(mutex_);
  kfd_ioctl_create_event_args args{};
  args.event_type = type;
  args.auto_reset = auto_reset;
  args.event_page_offset = announced_ ? 0 : handle_;
  if (int err = try_ioctl(kfd_, requests::create_event, args)) {
    if (err == ENOSPC)
      return fail(CUDA_ERROR_OUT_OF_MEMORY, "all {} KFD events of the process are in use",
                  KFD_SIGNAL_EVENT_LIMIT);
    return ioctl_error(requests::create_event.name, err);
  }
  announced_ = true;
  bool has_slot = type == KFD_IOC_EVENT_SIGNAL || type == KFD_IOC_EVENT_DEBUG_EVENT;
  return Event{args.event_id, args.event_trigger_data,
               has_slot ? address_ + args.event_slot_index * slot_bytes : 0};
}

void EventPage::destroy(const Event& event) {
  kfd_ioctl_destroy_event_args args{};
  args.event_id = event.id;
  static_cast<void>(try_ioctl(kfd_, requests::destroy_event, args));
}

Result<void> EventPage::set(std::uint32_t id) {
  // Somebody sleeps until this succeeds, and would sleep on.
  constexpr int attempts = 8;
  kfd_ioctl_set_event_args args{};
  args.event_id = id;
  for (int i = 1; i < attempts; ++i)
    if (try_ioctl(kfd_, requests::set_event, args) == 0)
      return {};
  return call_ioctl(kfd_, requests::set_event, args);
}

} // namespace shim::kfd
