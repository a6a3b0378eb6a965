#include <kfd/device.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <immintrin.h>
#include <sys/mman.h>

#include <fmt/format.h>
#include <kfd/fork.hpp>

#include "address_range.hpp"
#include "device_state.hpp"
#include "events.hpp"
#include "fork_guard.hpp"
#include "ioctl.hpp"
#include "monitor.hpp"
#include "signal_pool.hpp"
#include "trap/trap_handler.hpp"

namespace shim::kfd {

namespace {

// The GPU must reach every address that user space can have.
constexpr std::uint64_t user_address_limit = (1ull << 47) - 1;

// gfx9 and later: two pages of 8-byte doorbells a process (kfd_doorbell_process_slice).
constexpr std::uint64_t doorbell_slice_bytes = 8192;

// Byte offset in the remapped MMIO page of the register that flushes the host data path (KFD_MMIO_REMAP_*).
constexpr std::size_t hdp_mem_flush_offset = 0;

} // namespace

Process::Process() = default;
Process::~Process() = default;

Result<std::unique_ptr<Process>> Process::open() {
  if (in_forked_child())
    return fail(CUDA_ERROR_NOT_INITIALIZED, "this process was forked from one that opened /dev/kfd");
  Result<std::vector<NodeProperties>> nodes = read_topology();
  if (!nodes)
    return nodes.error();
  if (nodes->empty())
    return fail(CUDA_ERROR_NO_DEVICE, "KFD knows no GPU");
  std::unique_ptr<Process> process(new Process);
  process->kfd_ = util::keep_high(util::Fd(::open("/dev/kfd", O_RDWR | O_CLOEXEC)));
  if (!process->kfd_.valid())
    return fail(CUDA_ERROR_NO_DEVICE, "/dev/kfd: {}", std::strerror(errno));
  note_kfd(process->kfd_.get());
  guard_against_fork();
  kfd_ioctl_get_version_args version{};
  if (Result<void> got = call_ioctl(process->kfd_.get(), requests::get_version, version); !got)
    return got.error();
  if (version.major_version != KFD_IOCTL_MAJOR_VERSION)
    return fail(CUDA_ERROR_NO_DEVICE, "KFD interface {}.{} is not understood", version.major_version,
                version.minor_version);
  process->minor_ = version.minor_version;
  process->nodes_ = *std::move(nodes);
  process->events_ = std::make_unique<EventPage>(process->kfd_.get());
  return process;
}

Result<std::unique_ptr<Device>> Process::open_device(const NodeProperties& node) {
  std::unique_ptr<Device> device(new Device(*this, node));
  if (Result<void> ready = device->initialise(); !ready) {
    if (device->vm_taken_)
      taken_[node.gpu_id] = std::move(device->render_);
    return ready.error();
  }
  return device;
}

Device::Device(Process& process, NodeProperties node)
    : process_(&process), node_(std::move(node)), state_(std::make_unique<State>()) {}

Device::~Device() {
  // Queues are gone by now; signals and events go while their memory still exists.
  monitor_.reset();
  traps_.reset();
  signals_.reset();
  state_->mmio = {};
}

Result<void> Device::initialise() {
  if (Result<void> done = acquire_vm(); !done)
    return done;
  if (Result<void> done = read_apertures(); !done)
    return done;

  drm_amdgpu_info_device information{};
  drm_amdgpu_info query{};
  query.return_pointer = reinterpret_cast<std::uint64_t>(&information);
  query.return_size = sizeof information;
  query.query = AMDGPU_INFO_DEV_INFO;
  if (Result<void> done = call_ioctl(render_.get(), requests::amdgpu_info, query); !done)
    return done;
  gpu_clock_hz_ = std::uint64_t{information.gpu_counter_freq} * 1000;
  syncobj_features_ = probe_syncobj_features(render_.get());

  if (Result<void> done = process_->events_->attach(*this); !done)
    return done;
  signals_ = std::make_unique<SignalPool>(*this);
  Result<std::unique_ptr<FaultMonitor>> monitor = FaultMonitor::start(*this);
  if (!monitor)
    return monitor.error();
  monitor_ = *std::move(monitor);
  Result<std::unique_ptr<TrapHandler>> traps = TrapHandler::install(*this);
  if (!traps)
    return traps.error();
  traps_ = *std::move(traps);
  return {};
}

Result<void> Device::acquire_vm() {
  if (auto taken = process_->taken_.find(node_.gpu_id); taken != process_->taken_.end()) {
    render_ = std::move(taken->second);
    process_->taken_.erase(taken);
  } else {
    std::string path = fmt::format("/dev/dri/renderD{}", node_.drm_render_minor);
    render_ = util::keep_high(util::Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)));
    if (!render_.valid())
      return fail_errno(path.c_str(), errno);
    kfd_ioctl_acquire_vm_args args{};
    args.drm_fd = static_cast<std::uint32_t>(render_.get());
    args.gpu_id = node_.gpu_id;
    if (Result<void> acquired = call_ioctl(process_->kfd_fd(), requests::acquire_vm, args); !acquired)
      return acquired;
  }
  vm_taken_ = true;
  // Of no consequence on gfx9 and later, whose kernels still want to be told once.
  kfd_ioctl_set_memory_policy_args policy{};
  policy.gpu_id = node_.gpu_id;
  policy.default_policy = KFD_IOC_CACHE_POLICY_NONCOHERENT;
  policy.alternate_policy = KFD_IOC_CACHE_POLICY_COHERENT;
  return call_ioctl(process_->kfd_fd(), requests::set_memory_policy, policy);
}

Result<void> Device::read_apertures() {
  // The first call counts; asking for more nodes than there are is an error.
  kfd_ioctl_get_process_apertures_new_args args{};
  if (Result<void> got = call_ioctl(process_->kfd_fd(), requests::get_process_apertures_new, args); !got)
    return got;
  std::vector<kfd_process_device_apertures> list(args.num_of_nodes);
  args.kfd_process_device_apertures_ptr = reinterpret_cast<std::uint64_t>(list.data());
  if (Result<void> got = call_ioctl(process_->kfd_fd(), requests::get_process_apertures_new, args); !got)
    return got;
  auto mine =
      std::find_if(list.begin(), list.end(), [this](const auto& a) { return a.gpu_id == node_.gpu_id; });
  if (mine == list.end())
    return fail(CUDA_ERROR_NO_DEVICE, "KFD has no apertures for GPU {:#x}", node_.gpu_id);
  if (mine->gpuvm_limit < user_address_limit)
    return fail(CUDA_ERROR_NOT_SUPPORTED, "GPU {:#x} reaches addresses up to {:#x} only", node_.gpu_id,
                mine->gpuvm_limit);
  lds_base_ = mine->lds_base;
  scratch_base_ = mine->scratch_base;
  gpuvm_base_ = mine->gpuvm_base;
  gpuvm_limit_ = mine->gpuvm_limit;
  return {};
}

Result<std::uint64_t*> Device::doorbell(std::uint64_t offset) {
  std::lock_guard lock(state_->doorbell_mutex);
  std::uint64_t in_slice = offset & (doorbell_slice_bytes - 1);
  if (!state_->doorbells.valid()) {
    if (!process_->kfd_.intact())
      return lost_descriptor("mmap of the doorbells");
    void* mapped = ::mmap(nullptr, doorbell_slice_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                          process_->kfd_fd(), static_cast<off_t>(offset - in_slice));
    if (mapped == MAP_FAILED)
      return fail_errno("mmap of the doorbells", errno);
    ::madvise(mapped, doorbell_slice_bytes, MADV_DONTFORK);
    state_->doorbells = util::Mapping(mapped, doorbell_slice_bytes);
  }
  return reinterpret_cast<std::uint64_t*>(static_cast<std::byte*>(state_->doorbells.data()) + in_slice);
}

Result<Buffer> Device::allocate_mmio() {
  if (!process_->kfd_.intact())
    return lost_descriptor("mmap of the remapped registers");
  util::Mapping range = reserve_addresses(page_bytes, page_bytes);
  if (!range.valid())
    return fail(CUDA_ERROR_OUT_OF_MEMORY, "no address space left");
  kfd_ioctl_alloc_memory_of_gpu_args args{};
  args.va_addr = reinterpret_cast<std::uint64_t>(range.data());
  args.size = page_bytes;
  args.gpu_id = node_.gpu_id;
  args.flags = KFD_IOC_ALLOC_MEM_FLAGS_MMIO_REMAP | KFD_IOC_ALLOC_MEM_FLAGS_WRITABLE |
               KFD_IOC_ALLOC_MEM_FLAGS_COHERENT;
  if (Result<void> allocated = call_ioctl(process_->kfd_fd(), requests::alloc_memory, args); !allocated)
    return allocated.error();
  Buffer buffer;
  buffer.device_ = this;
  buffer.handle_ = args.handle;
  buffer.size_ = page_bytes;
  buffer.address_ = reinterpret_cast<std::uint64_t>(range.release());
  void* mapped = ::mmap(reinterpret_cast<void*>(buffer.address_), page_bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_FIXED, process_->kfd_fd(), static_cast<off_t>(args.mmap_offset));
  if (mapped == MAP_FAILED)
    return fail_errno("mmap of the remapped registers", errno);
  ::madvise(mapped, page_bytes, MADV_DONTFORK);
  buffer.cpu_ = mapped;
  return buffer;
}

void Device::flush_hdp() {
  std::call_once(state_->mmio_once, [this] {
    Result<Buffer> mmio = allocate_mmio();
    if (!mmio) {
      util::log_warn("no register page: CPU writes to VRAM may reach the GPU late");
      return;
    }
    state_->mmio = *std::move(mmio);
    state_->hdp_flush =
        reinterpret_cast<volatile std::uint32_t*>(state_->mmio.cpu_as<std::byte>() + hdp_mem_flush_offset);
  });
  _mm_sfence(); // stores to VRAM are combined: out with them first
  if (state_->hdp_flush)
    __atomic_store_n(state_->hdp_flush, 1u, __ATOMIC_RELAXED); // by any number of threads
}

Result<Signal> Device::acquire_signal(SignalKind kind, std::int64_t initial) {
  if (in_forked_child())
    return fail(CUDA_ERROR_NOT_INITIALIZED, "this process was forked from the one that opened the device");
  return signals_->acquire(kind, initial);
}

Result<ClockCounters> Device::clock_counters() {
  kfd_ioctl_get_clock_counters_args args{};
  args.gpu_id = node_.gpu_id;
  if (Result<void> got = call_ioctl(process_->kfd_fd(), requests::get_clock_counters, args); !got)
    return got.error();
  return ClockCounters{args.gpu_clock_counter, args.cpu_clock_counter, args.system_clock_counter};
}

std::optional<Fault> Device::fault() const {
  if (!state_->faulted.load(std::memory_order_acquire))
    return std::nullopt;
  std::lock_guard lock(state_->fault_mutex);
  return state_->fault;
}

void Device::on_fault(std::function<void(const Fault&)> handler) {
  std::lock_guard lock(state_->fault_mutex);
  state_->handler = std::move(handler);
}

void Device::report(const Fault& fault) {
  std::function<void(const Fault&)> handler;
  {
    std::lock_guard lock(state_->fault_mutex);
    if (state_->faulted.load(std::memory_order_relaxed))
      return;
    state_->fault = fault;
    state_->faulted.store(true, std::memory_order_release);
    handler = state_->handler;
  }
  if (fault.kind == Fault::Kind::memory)
    static_cast<void>(fail(fault.code, "GPU page fault at {:#x}{}{}{}", fault.address,
                           fault.not_present ? ", not mapped" : "", fault.read_only ? ", read-only" : "",
                           fault.no_execute ? ", not executable" : ""));
  else if (fault.kind == Fault::Kind::queue)
    static_cast<void>(fail(fault.code, "GPU fault: {} (queue {}, error {:#x})", fault.reason, fault.queue_id,
                           fault.queue_error));
  else
    static_cast<void>(fail(fault.code, "the GPU hung and was reset"));
  if (handler)
    handler(fault);
  signals_->wake_all();
}

} // namespace shim::kfd
