#include <core/device.hpp>

#include <cstring>

#include <core/driver.hpp>

namespace shim::core {

Device::Device(int ordinal, kfd::Process& process, const kfd::NodeProperties& node)
    : ordinal_(ordinal), process_(process), node_(node), shape_(machine_shape(node)) {}

Device::~Device() = default;

CUuuid Device::uuid() const {
  const std::uint32_t words[4] = {node_.pci.domain, node_.pci.bus, node_.pci.device, node_.pci.function};
  CUuuid uuid;
  static_assert(sizeof(words) == sizeof(uuid.bytes));
  std::memcpy(uuid.bytes, words, sizeof(words));
  return uuid;
}

std::string Device::pci_bus_id() const {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", node_.pci.domain, node_.pci.bus, node_.pci.device,
                     node_.pci.function);
}

Result<kfd::Device*> Device::gpu() {
  std::lock_guard lock(mutex_);
  if (!gpu_) {
    Result<std::unique_ptr<kfd::Device>> opened = process_.open_device(node_);
    if (!opened)
      return opened.error();
    held_streams_ = std::make_unique<HeldStreams>();
    markers_ = std::make_unique<MarkerPool>(**opened);
    markers_->observe(*held_streams_);
    pinned_pages_ = std::make_unique<PinnedPages>(**opened);
    gpu_ = std::move(*opened);
  }
  return gpu_.get();
}

Result<const BlitKernels*> Device::blit() {
  std::lock_guard lock(mutex_);
  if (!blit_) {
    Result<std::unique_ptr<BlitKernels>> loaded = BlitKernels::load(*gpu_);
    if (!loaded)
      return loaded.error();
    blit_ = std::move(*loaded);
  }
  return blit_.get();
}

Result<std::unique_ptr<Channel>> Device::acquire_channel(kfd::QueuePriority priority) {
  std::unique_ptr<Channel> of_another_priority; // gone before the new one is made
  {
    std::lock_guard lock(mutex_);
    for (auto it = channels_.rbegin(); it != channels_.rend(); ++it)
      if ((*it)->priority() == priority) {
        std::unique_ptr<Channel> channel = std::move(*it);
        channels_.erase(std::next(it).base());
        return channel;
      }
    if (channel_count_ < Channel::most_on_a_device) {
      ++channel_count_;
    } else if (!channels_.empty()) {
      of_another_priority = std::move(channels_.back());
      channels_.pop_back();
    } else {
      return std::unique_ptr<Channel>();
    }
  }
  of_another_priority.reset();
  Result<std::unique_ptr<Channel>> made = Channel::create(*gpu_, *markers_, priority);
  if (!made) {
    std::lock_guard lock(mutex_);
    --channel_count_;
  }
  return made;
}

bool Device::crowded() {
  constexpr std::size_t most_blocked = 96; // the others always come to an end
  static_assert(most_blocked < Channel::most_on_a_device);
  std::lock_guard lock(mutex_);
  return channel_count_ - channels_.size() >= most_blocked;
}

void Device::release_channel(std::unique_ptr<Channel> channel, bool reusable) {
  constexpr std::size_t kept = 8;
  if (reusable)
    channel->reap();
  {
    std::lock_guard lock(mutex_);
    if (reusable && channels_.size() < kept) {
      channels_.push_back(std::move(channel));
      return;
    }
  }
  channel.reset();
  std::lock_guard lock(mutex_);
  --channel_count_;
}

Result<Context*> Device::retain_primary() {
  std::lock_guard lock(primary_mutex_);
  if (!primary_) {
    Result<std::unique_ptr<Context>> context = Context::create(*this, primary_flags_, true);
    if (!context)
      return context.error();
    primary_ = std::move(*context);
  }
  ++primary_references_;
  return primary_.get();
}

Result<void> Device::release_primary() {
  std::lock_guard lock(primary_mutex_);
  if (primary_references_ > 0 && --primary_references_ == 0)
    primary_.reset();
  return {};
}

Result<void> Device::reset_primary() {
  std::lock_guard lock(primary_mutex_);
  primary_.reset();
  primary_references_ = 0;
  return {};
}

Result<void> Device::set_primary_flags(unsigned flags) {
  std::lock_guard lock(primary_mutex_);
  if (primary_)
    return util::fail(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, "the primary context of device {} is in use",
                      ordinal_);
  primary_flags_ = flags;
  return {};
}

Device::PrimaryState Device::primary_state() {
  std::lock_guard lock(primary_mutex_);
  return {primary_flags_, primary_ != nullptr};
}

void Device::release_outsiders() {
  std::lock_guard lock(primary_mutex_);
  if (primary_)
    primary_->release_outsiders();
}

} // namespace shim::core
