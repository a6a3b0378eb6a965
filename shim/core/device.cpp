#include <core/device.hpp>

#include <core/device_names.hpp>
#include <core/driver.hpp>

namespace shim::core {

namespace {

kfd::QueuePriority queue_priority(int priority) {
  return priority < 0 ? kfd::QueuePriority::high : kfd::QueuePriority::normal;
}

} // namespace

Device::Device(int ordinal, kfd::Process& process, const kfd::NodeProperties& node)
    : ordinal_(ordinal), process_(process), node_(node), shape_(machine_shape(node)) {}

Device::~Device() = default;

CUuuid Device::uuid() const {
  return device_uuid(node_.pci);
}

std::string Device::pci_bus_id() const {
  return pci_address_text(node_.pci);
}

Result<kfd::Device*> Device::gpu() {
  std::lock_guard lock(mutex_);
  if (!gpu_) {
    Result<std::unique_ptr<kfd::Device>> opened = process_.open_device(node_);
    if (!opened)
      return opened.error();
    markers_ = std::make_unique<MarkerPool>(**opened);
    markers_->observe(*this);
    held_streams_ = std::make_unique<HeldStreams>();
    waits_ = std::make_unique<WaitRelay>(**opened, (*opened)->syncobj_features());
    signals_ = std::make_unique<SignalRelay>(**opened, *held_streams_, *waits_);
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

Result<std::unique_ptr<Channel>> Device::acquire_channel(Stream& stream) {
  kfd::QueuePriority priority = queue_priority(stream.priority());
  for (;;) {
    Result<std::unique_ptr<Channel>> channel = spare_channel(priority);
    if (channel && !*channel) {
      *channel = take_idle_channel();
      if (*channel && (*channel)->priority() != priority) { // it makes room for a new one
        release_channel(*std::move(channel), true);
        continue;
      }
    }
    if (channel && *channel) {
      std::lock_guard lock(owners_mutex_);
      if (std::find(owners_.begin(), owners_.end(), &stream) == owners_.end())
        owners_.push_back(&stream);
    }
    return channel;
  }
}

std::unique_ptr<Channel> Device::take_idle_channel() {
  std::lock_guard lock(owners_mutex_);
  for (auto owner = owners_.begin(); owner != owners_.end(); ++owner)
    if (std::unique_ptr<Channel> channel = (*owner)->give_up_channel()) {
      owners_.erase(owner);
      return channel;
    }
  return nullptr;
}

void Device::watch_queues() {
  bool idle = false;
  {
    std::lock_guard lock(owners_mutex_);
    for (Stream* owner : owners_)
      idle = owner->watch_end(*signals_) || idle;
  }
  if (idle)
    held_streams_->look();
}

void Device::forget(Stream& stream) {
  {
    std::lock_guard lock(owners_mutex_);
    std::erase(owners_, &stream);
  }
  held_streams_->remove(stream.link());
}

Result<std::unique_ptr<Channel>> Device::spare_channel(kfd::QueuePriority priority) {
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
  Result<std::unique_ptr<Channel>> made = Channel::create(*gpu_, priority);
  if (!made) {
    std::lock_guard lock(mutex_);
    --channel_count_;
  }
  return made;
}

void Device::release_channel(std::unique_ptr<Channel> channel, bool reusable) {
  constexpr std::size_t kept = 8;
  if (reusable)
    channel->reap();
  {
    std::lock_guard lock(mutex_);
    if (reusable && channels_.size() < kept)
      channels_.push_back(std::move(channel));
  }
  if (channel) {
    channel.reset();
    std::lock_guard lock(mutex_);
    --channel_count_;
  }
  if (held_streams_->any_for_queue())
    signals_->wake();
}

Result<std::shared_ptr<Context>> Device::retain_primary() {
  std::lock_guard lock(primary_mutex_);
  if (!primary_) {
    Result<std::shared_ptr<Context>> context = Context::create(*this, primary_flags_, true);
    if (!context)
      return context.error();
    primary_ = std::move(*context);
  }
  ++primary_references_;
  return primary_;
}

Result<void> Device::release_primary() {
  std::shared_ptr<Context> last;
  {
    std::lock_guard lock(primary_mutex_);
    if (primary_references_ > 0 && --primary_references_ == 0)
      last = std::move(primary_);
  }
  if (last)
    last->close();
  return {};
}

Result<void> Device::reset_primary() {
  std::shared_ptr<Context> going;
  {
    std::lock_guard lock(primary_mutex_);
    going = std::move(primary_);
    primary_references_ = 0;
  }
  if (going)
    going->close();
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
  // At exit the GPU gets this long to reach what others wait for; then they are released all the same.
  constexpr std::chrono::seconds exit_patience{2};
  std::shared_ptr<Context> primary;
  {
    std::lock_guard lock(primary_mutex_);
    primary = primary_;
  }
  if (primary)
    primary->release_outsiders();
  {
    std::lock_guard lock(mutex_);
    if (!gpu_)
      return;
  }
  signals_->finish(exit_patience);
}

} // namespace shim::core
