#include <core/driver.hpp>

#include <cstdlib>
#include <pthread.h>

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

Result<void> Driver::initialise() {
  std::lock_guard lock(mutex_);
  CUresult now = state();
  if (now == CUDA_SUCCESS)
    return {};
  if (now != CUDA_ERROR_NOT_INITIALIZED || forked_)
    return util::fail(now, "cuInit in a process that ends or was forked after an earlier cuInit");
  return initialise_locked();
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

Result<Context*> Driver::create_context(Device& device, unsigned flags) {
  Result<std::unique_ptr<Context>> context = Context::create(device, flags, false);
  if (!context)
    return context.error();
  std::lock_guard lock(mutex_);
  Context* raw = context->get();
  contexts_.emplace(raw, std::move(*context));
  return raw;
}

void Driver::destroy_context(Context* context) {
  std::unique_ptr<Context> going;
  {
    std::lock_guard lock(mutex_);
    auto found = contexts_.find(context);
    if (found == contexts_.end())
      return;
    going = std::move(found->second);
    contexts_.erase(found);
  }
}

// Threads of the application may still be inside the driver, and its own destructors may call it later: so
// nothing is freed here. The kernel takes the queues and the memory back when the process is gone.
void Driver::tear_down() {
  if (forked_ || state() != CUDA_SUCCESS)
    return;
  state_.store(CUDA_ERROR_DEINITIALIZED, std::memory_order_release);
  std::vector<Context*> contexts;
  {
    std::lock_guard lock(mutex_);
    for (auto& [raw, context] : contexts_)
      contexts.push_back(raw);
  }
  for (Context* context : contexts)
    context->release_outsiders();
  for (std::unique_ptr<Device>& device : devices_)
    device->release_outsiders();
}

} // namespace shim::core
