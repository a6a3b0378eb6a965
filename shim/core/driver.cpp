#include <core/driver.hpp>

#include <cstdlib>
#include <pthread.h>
#include <unistd.h>

#include <core/device_names.hpp>

namespace shim::core {

namespace {

// By index into the nodes.
std::vector<std::size_t> devices_to_show(const std::vector<kfd::NodeProperties>& nodes) {
  std::vector<std::size_t> all;
  std::vector<CUuuid> uuids;
  for (const kfd::NodeProperties& node : nodes) {
    all.push_back(all.size());
    uuids.push_back(device_uuid(node.pci));
  }
  const char* list = std::getenv("CUDA_VISIBLE_DEVICES");
  return list ? visible_devices(list, uuids) : all;
}

} // namespace

// Never destroyed: threads of the application may call us while the process ends.
Driver& driver() {
  static Driver* const root = new Driver;
  return *root;
}

namespace {
// Before there are threads: a child that is forked while another one makes it would wait for it for ever.
[[gnu::constructor]] void make_driver() {
  static_cast<void>(driver());
}
} // namespace

bool Driver::in_forked_child() const {
  int initialised = process_id_.load(std::memory_order_acquire);
  return forked_.load(std::memory_order_relaxed) || (initialised != 0 && initialised != ::getpid());
}

Result<void> Driver::initialise() {
  if (in_forked_child()) // whose locks may be held by threads that it does not have
    return util::fail(CUDA_ERROR_NOT_INITIALIZED, "cuInit in a process that was forked after an earlier one");
  std::lock_guard lock(mutex_);
  CUresult now = state();
  if (now == CUDA_SUCCESS)
    return {};
  if (now != CUDA_ERROR_NOT_INITIALIZED)
    return util::Error{now};
  process_id_.store(::getpid(), std::memory_order_release);
  Result<void> initialised = initialise_locked();
  if (!initialised)
    process_id_.store(0, std::memory_order_release);
  return initialised;
}

Result<void> Driver::initialise_locked() {
  Result<std::unique_ptr<kfd::Process>> process = kfd::Process::open();
  if (!process)
    return process.error();
  const std::vector<kfd::NodeProperties>& nodes = (*process)->nodes();
  for (std::size_t node : devices_to_show(nodes))
    devices_.push_back(std::make_unique<Device>(static_cast<int>(devices_.size()), **process, nodes[node]));
  if (devices_.empty()) // there are some: the list hides them
    return util::fail_at(util::LogLevel::info, CUDA_ERROR_NO_DEVICE,
                         "CUDA_VISIBLE_DEVICES shows none of the {} GPUs", nodes.size());
  process_ = std::move(*process);
  if (!hooked_) {
    hooked_ = true;
    std::atexit([] { driver().tear_down(); });
    pthread_atfork(nullptr, nullptr, [] { driver().forked(); });
  }
  state_.store(CUDA_SUCCESS, std::memory_order_release);
  return {};
}

void Driver::forked() {
  forked_ = true;
  state_.store(CUDA_ERROR_NOT_INITIALIZED, std::memory_order_release);
}

Result<Device*> Driver::device(int ordinal) const {
  if (ordinal < 0 || ordinal >= device_count())
    return util::fail(CUDA_ERROR_INVALID_DEVICE, "there is no device {}", ordinal);
  return devices_[static_cast<std::size_t>(ordinal)].get();
}

Result<int> Driver::device_at(const char* pci_bus_id) const {
  const std::optional<kfd::PciAddress> wanted = parse_pci_address(pci_bus_id);
  if (!wanted)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "{} is no PCI address", pci_bus_id);
  for (const std::unique_ptr<Device>& device : devices_)
    if (device->node().pci == *wanted)
      return device->ordinal();
  return util::fail(CUDA_ERROR_INVALID_DEVICE, "no device at {}", pci_bus_id);
}

Result<std::uint64_t> Driver::create_context(Device& device, unsigned flags) {
  Result<std::shared_ptr<Context>> context = Context::create(device, flags, false);
  if (!context)
    return context.error();
  std::lock_guard lock(mutex_);
  contexts_.emplace(context->get(), *context);
  return (*context)->handle;
}

Result<void> Driver::destroy_context(Context& context) {
  {
    std::lock_guard lock(mutex_);
    if (contexts_.erase(&context) == 0) // the caller has it pinned
      return util::fail(CUDA_ERROR_CONTEXT_IS_DESTROYED, "another thread has destroyed the context");
  }
  context.close();
  return {};
}

// Threads of the application may still be inside the driver, and its own destructors may call it later: so
// nothing is freed here. The kernel takes the queues and the memory back when the process is gone.
void Driver::tear_down() {
  if (in_forked_child() || state() != CUDA_SUCCESS)
    return;
  state_.store(CUDA_ERROR_DEINITIALIZED, std::memory_order_release);
  std::vector<std::shared_ptr<Context>> contexts;
  {
    std::lock_guard lock(mutex_);
    for (auto& [raw, context] : contexts_)
      contexts.push_back(context);
  }
  for (const std::shared_ptr<Context>& context : contexts)
    context->release_outsiders();
  for (std::unique_ptr<Device>& device : devices_)
    device->release_outsiders();
}

} // namespace shim::core
