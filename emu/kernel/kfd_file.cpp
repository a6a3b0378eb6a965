// /dev/kfd: the dispatcher, and the ioctls that are about the process as a whole. Source: kfd_chardev.c.
#include "device.hpp"
#include "fd_table.hpp"
#include "kfd.hpp"
#include "kfd_limits.hpp"
#include "kfd_process.hpp"
#include "kfd_smi.hpp"
#include "later.hpp"
#include "process.hpp"
#include "real.hpp"
#include "settings.hpp"
#include "user_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <iterator>
#include <linux/capability.h>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace emu::kernel {

using namespace uapi;

namespace {

std::atomic<KfdProcess*> current{nullptr}; // never destroyed: it lives as long as the process
std::mutex current_mutex;
std::atomic<unsigned> watched_mappings{0};

KfdProcess* ensure_process() {
  if (KfdProcess* known = kfd_process())
    return known;
  std::scoped_lock lock(current_mutex);
  KfdProcess* known = current.load();
  if (!known || known->pid() != getpid()) {
    known = new KfdProcess(getpid());
    current.store(known);
  }
  return known;
}

class KfdFile : public File {
public:
  KfdFile(KfdProcess* process, int access_mode) : process_(process), access_mode_(access_mode) {}

  long ioctl(unsigned long request, void* argument) override;

  // kfd_mmap() of 6.12 looks for the caller's process, that of 7.2 at who opened the file.
  long mmap(void* address, std::size_t length, int protection, int flags, off64_t offset) override {
    if (offset % static_cast<off64_t>(kfd_limits::page_size) != 0 || length == 0)
      return -EINVAL;
    const bool writes_to_it = protection & PROT_WRITE && (flags & MAP_TYPE) != MAP_PRIVATE;
    if (access_mode_ == O_WRONLY || (access_mode_ == O_RDONLY && writes_to_it))
      return -EACCES;
    KfdProcess* caller = kfd_process();
    if (!caller)
      return -EINVAL;
    if (caller != process_)
      return -EBADF;
    return caller->mmap(address, length, protection, flags, static_cast<std::uint64_t>(offset));
  }

  void fix_stat(struct stat64& out) const override {
    out.st_mode = S_IFCHR | 0666;
    out.st_rdev = makedev(card::kfd_major, 0);
    out.st_size = 0;
  }

private:
  KfdProcess* process_;
  int access_mode_; // O_RDONLY, O_WRONLY or O_RDWR
};

// --- the table of ioctls
// --------------------------------------------------------------------------------------------

using Handler = int (*)(KfdProcess&, void*);
// Looks at what the program gave, `user_size` bytes of it, before the handler is called.
using Validator = int (*)(const void*, std::size_t user_size);

struct Entry {
  unsigned long request = 0;
  const char* name = nullptr;
  Handler handler = nullptr;
  Validator validate = nullptr;
  bool checkpoint_restore = false; // KFD_IOC_FLAG_CHECKPOINT_RESTORE
};

template <auto method>
struct Call;
template <class Args, int (KfdProcess::*method)(Args&)>
struct Call<method> {
  static int run(KfdProcess& process, void* data) { return (process.*method)(*static_cast<Args*>(data)); }
};

int get_version(KfdProcess&, void* data) {
  auto& args = *static_cast<kfd_ioctl_get_version_args*>(data);
  args.major_version = KFD_IOCTL_MAJOR_VERSION_VALUE;
  args.minor_version = KFD_IOCTL_MINOR_VERSION_VALUE;
  return 0;
}
int destroy_event(KfdProcess& process, void* data) {
  return process.events().destroy(static_cast<kfd_ioctl_destroy_event_args*>(data)->event_id);
}
int set_event(KfdProcess& process, void* data) {
  return process.events().set(static_cast<kfd_ioctl_set_event_args*>(data)->event_id);
}
int reset_event(KfdProcess& process, void* data) {
  return process.events().reset(static_cast<kfd_ioctl_reset_event_args*>(data)->event_id);
}
int wait_events(KfdProcess& process, void* data) {
  return process.events().wait(*static_cast<kfd_ioctl_wait_events_args*>(data));
}
int refuse_debugger(KfdProcess&, void*) {
  return -EPERM;
}
int validate_svm(const void* data, std::size_t user_size) {
  const auto& args = *static_cast<const kfd_ioctl_svm_args*>(data);
  return user_size < sizeof args + std::uint64_t{args.nattr} * sizeof(kfd_ioctl_svm_attribute) ? -EINVAL : 0;
}

// Does this thread have one of the capabilities that CRIU_OP asks for?
bool may_checkpoint() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0)
    return false;
  constexpr auto has = [](const __user_cap_data_struct* sets, unsigned capability) {
    return (sets[capability / 32].effective >> (capability % 32) & 1) != 0;
  };
  return has(data, CAP_CHECKPOINT_RESTORE) || has(data, CAP_SYS_ADMIN);
}

#define METHOD(NAME, method)                                                                                 \
  Entry {                                                                                                    \
    ioc::NAME, #NAME, Call<&KfdProcess::method>::run                                                         \
  }
#define FUNCTION(NAME, function)                                                                             \
  Entry {                                                                                                    \
    ioc::NAME, #NAME, function                                                                               \
  }
constexpr Entry entries[] = {
    FUNCTION(GET_VERSION, get_version),
    METHOD(CREATE_QUEUE, create_queue),
    METHOD(DESTROY_QUEUE, destroy_queue),
    METHOD(SET_MEMORY_POLICY, set_memory_policy),
    METHOD(GET_CLOCK_COUNTERS, get_clock_counters),
    METHOD(GET_PROCESS_APERTURES, get_process_apertures),
    METHOD(UPDATE_QUEUE, update_queue),
    METHOD(CREATE_EVENT, create_event),
    FUNCTION(DESTROY_EVENT, destroy_event),
    FUNCTION(SET_EVENT, set_event),
    FUNCTION(RESET_EVENT, reset_event),
    FUNCTION(WAIT_EVENTS, wait_events),
    FUNCTION(DBG_REGISTER_DEPRECATED, refuse_debugger),
    FUNCTION(DBG_UNREGISTER_DEPRECATED, refuse_debugger),
    FUNCTION(DBG_ADDRESS_WATCH_DEPRECATED, refuse_debugger),
    FUNCTION(DBG_WAVE_CONTROL_DEPRECATED, refuse_debugger),
    METHOD(SET_SCRATCH_BACKING_VA, set_scratch_backing_va),
    METHOD(GET_TILE_CONFIG, get_tile_config),
    METHOD(SET_TRAP_HANDLER, set_trap_handler),
    METHOD(GET_PROCESS_APERTURES_NEW, get_process_apertures_new),
    METHOD(ACQUIRE_VM, acquire_vm),
    METHOD(ALLOC_MEMORY_OF_GPU, alloc_memory),
    METHOD(FREE_MEMORY_OF_GPU, free_memory),
    METHOD(MAP_MEMORY_TO_GPU, map_memory),
    METHOD(UNMAP_MEMORY_FROM_GPU, unmap_memory),
    METHOD(SET_CU_MASK, set_cu_mask),
    METHOD(GET_QUEUE_WAVE_STATE, get_queue_wave_state),
    METHOD(GET_DMABUF_INFO, get_dmabuf_info),
    METHOD(IMPORT_DMABUF, import_dmabuf),
    METHOD(ALLOC_QUEUE_GWS, alloc_queue_gws),
    METHOD(SMI_EVENTS, smi_events),
    Entry{ioc::SVM, "SVM", Call<&KfdProcess::svm_ioctl>::run, validate_svm},
    METHOD(SET_XNACK_MODE, set_xnack_mode),
    Entry{ioc::CRIU_OP, "CRIU_OP", Call<&KfdProcess::criu_op>::run, nullptr, true},
    METHOD(AVAILABLE_MEMORY, available_memory),
    METHOD(EXPORT_DMABUF, export_dmabuf),
    METHOD(RUNTIME_ENABLE, runtime_enable),
    METHOD(DBG_TRAP, dbg_trap),
};
#undef METHOD
#undef FUNCTION

constexpr bool in_order() {
  for (std::size_t i = 0; i < std::size(entries); ++i)
    if (_IOC_NR(entries[i].request) != i + 1)
      return false;
  return true;
}
static_assert(in_order(), "an ioctl's place in the table is its number");

// ROCm's out-of-tree driver numbers from here; released runtimes probe them and take the refusal.
constexpr unsigned out_of_tree_start = 0x80;

int unknown(unsigned long request) {
  if (_IOC_NR(request) < out_of_tree_start || _IOC_TYPE(request) != 'K')
    complain("unknown ioctl %#lx on /dev/kfd", request);
  else
    trace("out-of-tree ioctl %#lx on /dev/kfd", request);
  return -ENOTTY;
}

} // namespace

KfdProcess* kfd_process() {
  KfdProcess* known = current.load(std::memory_order_acquire);
  return known && known->pid() == getpid() ? known : nullptr;
}

std::shared_ptr<File> open_kfd(int flags, int& error) {
  error = 0;
  return std::make_shared<KfdFile>(ensure_process(), flags & O_ACCMODE);
}

// As kfd_ioctl(): the program's size decides how much is copied, the kernel's own table the rest.
long KfdFile::ioctl(unsigned long request, void* argument) {
  const unsigned nr = _IOC_NR(request);
  if (nr == 0 || nr > std::size(entries))
    return unknown(request);
  const Entry& entry = entries[nr - 1];
  if (process_->pid() != getpid())
    return -EBADF;
  if (entry.checkpoint_restore && !may_checkpoint())
    return -EACCES;
  const std::size_t user_size = _IOC_SIZE(request);
  const std::size_t size = std::max<std::size_t>(user_size, _IOC_SIZE(entry.request));
  alignas(8) std::byte small[1024];
  std::unique_ptr<std::byte[]> large;
  std::byte* data = small;
  if (size > sizeof small) {
    large = std::make_unique<std::byte[]>(size);
    data = large.get();
  }
  std::memset(data, 0, size);
  const auto user = reinterpret_cast<std::uint64_t>(argument);
  if (_IOC_DIR(entry.request) & _IOC_WRITE && !copy_from_user(data, user, user_size))
    return -EFAULT;
  if (entry.validate)
    if (const int error = entry.validate(data, user_size))
      return error;
  long result = entry.handler(*process_, data);
  if (_IOC_DIR(entry.request) & _IOC_READ && !copy_to_user(user, data, user_size))
    result = -EFAULT;
  trace("kfd %s = %ld", entry.name, result);
  return result;
}

// --- the process as a whole
// -----------------------------------------------------------------------------------------

bool KfdProcess::is_gpu(std::uint32_t gpu_id) {
  return gpu_id == card::gpu_id;
}

int KfdProcess::ensure_doorbells_locked() {
  if (doorbells_)
    return 0;
  if (const int error = BufferObject::create(kfd_limits::doorbell_slice, 0, domain_doorbell, 0, doorbells_))
    return error;
  for (unsigned i = kfd_limits::first_non_cp_doorbell; i <= kfd_limits::last_non_cp_doorbell; ++i) {
    used_doorbells_.set(i);
    used_doorbells_.set(i + kfd_limits::doorbell_mirror);
  }
  return 0;
}

int KfdProcess::ensure_mmio_locked() {
  return mmio_ ? 0 : BufferObject::create(kfd_limits::page_size, 0, domain_doorbell, 0, mmio_);
}

int KfdProcess::acquire_vm(kfd_ioctl_acquire_vm_args& args) {
  const std::shared_ptr<File> file = fd_table::find(static_cast<int>(args.drm_fd));
  std::scoped_lock lock(mutex_);
  if (!is_gpu(args.gpu_id) || real::fcntl(static_cast<int>(args.drm_fd), F_GETFD) < 0)
    return -EINVAL;
  if (drm_file_)
    return drm_file_ == file ? 0 : -EBUSY;
  auto* owner = dynamic_cast<VmOwner*>(file.get());
  if (!owner)
    return -EINVAL;
  if (owner->vm()->acquired_by_kfd.exchange(true))
    return -EINVAL;
  drm_file_ = file;
  mmap_key_ = owner->file();
  vm_ = owner->vm();
  svm_.bind(vm_);
  return 0;
}

namespace {
kfd_process_device_apertures apertures() {
  kfd_process_device_apertures result{};
  result.lds_base = kfd_limits::lds_base;
  result.lds_limit = kfd_limits::lds_base + kfd_limits::aperture_limit;
  result.scratch_base = kfd_limits::scratch_base;
  result.scratch_limit = kfd_limits::scratch_base + kfd_limits::aperture_limit;
  result.gpuvm_base = kfd_limits::gpuvm_base;
  result.gpuvm_limit = kfd_limits::gpuvm_limit;
  result.gpu_id = card::gpu_id;
  return result;
}
} // namespace

int KfdProcess::get_process_apertures(kfd_ioctl_get_process_apertures_args& args) {
  args.process_apertures[0] = apertures();
  args.num_of_nodes = 1;
  return 0;
}

int KfdProcess::get_process_apertures_new(kfd_ioctl_get_process_apertures_new_args& args) {
  constexpr std::uint32_t topology_devices = 2; // the CPU counts
  if (args.num_of_nodes > topology_devices)
    return -EINVAL;
  const bool only_asked = args.num_of_nodes == 0;
  args.num_of_nodes = 1;
  const kfd_process_device_apertures one = apertures();
  return only_asked || copy_to_user(args.kfd_process_device_apertures_ptr, &one, sizeof one) ? 0 : -EFAULT;
}

int KfdProcess::get_clock_counters(kfd_ioctl_get_clock_counters_args& args) {
  timespec raw{};
  clock_gettime(CLOCK_MONOTONIC_RAW, &raw);
  args.gpu_clock_counter = is_gpu(args.gpu_id) ? gpu_clock_counter() : 0;
  args.cpu_clock_counter =
      static_cast<std::uint64_t>(raw.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(raw.tv_nsec);
  args.system_clock_counter = boottime_ns();
  args.system_clock_freq = 1'000'000'000;
  return 0;
}

int KfdProcess::set_memory_policy(kfd_ioctl_set_memory_policy_args& args) {
  if (args.default_policy > CACHE_POLICY_NONCOHERENT || args.alternate_policy > CACHE_POLICY_NONCOHERENT)
    return -EINVAL;
  std::scoped_lock lock(mutex_);
  if (!is_gpu(args.gpu_id))
    return -EINVAL;
  return bound_locked() ? -ESRCH : 0; // gfx9 and later keep coherence per page: nothing to set
}

int KfdProcess::set_trap_handler(kfd_ioctl_set_trap_handler_args& args) {
  std::scoped_lock lock(mutex_);
  if (!is_gpu(args.gpu_id))
    return -EINVAL;
  if (bound_locked())
    return -ESRCH;
  trap_handler_ = args.tba_addr;
  trap_memory_ = args.tma_addr;
  if (!queues_.empty())
    gpu().set_trap_handler(trap_handler_, trap_memory_);
  return 0;
}

// With the hardware scheduler the address is kept and used by nothing on gfx10: scratch comes from the queue.
int KfdProcess::set_scratch_backing_va(kfd_ioctl_set_scratch_backing_va_args& args) {
  std::scoped_lock lock(mutex_);
  return is_gpu(args.gpu_id) ? bound_locked() : -EINVAL;
}

int KfdProcess::get_tile_config(kfd_ioctl_get_tile_config_args& args) {
  if (!is_gpu(args.gpu_id))
    return -EINVAL;
  args.gb_addr_config = card::gb_addr_config;
  args.num_banks = 0;
  args.num_ranks = 0;
  constexpr std::uint32_t tile_modes = 32, macro_tile_modes = 16; // none of them used since gfx9
  const std::uint32_t zeros[tile_modes] = {};
  args.num_tile_configs = std::min(args.num_tile_configs, tile_modes);
  if (!copy_to_user(args.tile_config_ptr, zeros, args.num_tile_configs * sizeof zeros[0])) {
    args.num_tile_configs = 0;
    return -EFAULT;
  }
  args.num_macro_tile_configs = std::min(args.num_macro_tile_configs, macro_tile_modes);
  if (!copy_to_user(args.macro_tile_config_ptr, zeros, args.num_macro_tile_configs * sizeof zeros[0])) {
    args.num_macro_tile_configs = 0;
    return -EFAULT;
  }
  return 0;
}

int KfdProcess::runtime_enable(kfd_ioctl_runtime_enable_args& args) {
  std::scoped_lock lock(mutex_);
  if (!(args.mode_mask & RUNTIME_ENABLE_MODE_ENABLE)) {
    runtime_enabled_ = false;
    return 0;
  }
  if (runtime_enabled_)
    return -EBUSY;
  if (!queues_.empty())
    return -EEXIST;
  runtime_enabled_ = true;
  return 0;
}

namespace {
// Does that process have /dev/kfd open, as far as it lets us see?
bool uses_kfd(pid_t pid) {
  const std::string directory = "/proc/" + std::to_string(pid) + "/fd";
  DIR* descriptors = opendir(directory.c_str());
  if (!descriptors)
    return false;
  bool found = false;
  while (const dirent* entry = readdir(descriptors)) {
    char link[64] = {};
    constexpr char kfd_link[] = "/memfd:amdgpu-kfd";
    real::readlink((directory + "/" + entry->d_name).c_str(), link, sizeof link - 1);
    found = found || std::strncmp(link, kfd_link, sizeof kfd_link - 1) == 0;
  }
  closedir(descriptors);
  return found;
}
} // namespace

// Any of a process's threads stands for it (kfd_lookup_process_by_pid).
bool KfdProcess::is_own_thread(std::uint32_t id) const {
  const int saved = errno;
  const bool own = syscall(SYS_tgkill, pid_, static_cast<pid_t>(id), 0) == 0;
  errno = saved;
  return own;
}

int KfdProcess::dbg_trap(kfd_ioctl_dbg_trap_args& args) {
  const auto target = static_cast<pid_t>(args.pid);
  if (!is_own_thread(args.pid))
    return uses_kfd(target) ? -EPERM /* not traced by us */ : -ESRCH;
  if (args.op != DBG_TRAP_ENABLE)
    return -EINVAL; // nobody enabled debugging
  complain("DBG_TRAP_ENABLE is not modelled");
  return -EPERM;
}

// Only what comes before a checkpoint: that nothing was stopped for one, and nothing restored from one.
int KfdProcess::criu_op(kfd_ioctl_criu_args& args) {
  switch (args.op) {
  case CRIU_OP_PROCESS_INFO:
    break;
  case CRIU_OP_RESTORE:
    if ((args.num_bos > 0 && !args.bos) || !args.devices || !args.priv_data || !args.priv_data_size ||
        !args.num_devices)
      return -EINVAL;
    break;
  case CRIU_OP_RESUME:
    return is_own_thread(args.pid) || uses_kfd(static_cast<pid_t>(args.pid)) ? -EINVAL : -ESRCH;
  default: // CHECKPOINT and UNPAUSE, which PROCESS_INFO comes before, and what is no operation
    return -EINVAL;
  }
  complain("CRIU_OP %u is not modelled", args.op);
  return -EINVAL;
}

int KfdProcess::create_event(kfd_ioctl_create_event_args& args) {
  if (args.event_page_offset) {
    if (events_.has_page())
      return -EINVAL;
    std::scoped_lock lock(mutex_);
    if (!is_gpu(handle_gpu_id(args.event_page_offset)))
      return -EINVAL;
    if (const int error = bound_locked())
      return error;
    Memory* memory = memory_locked(args.event_page_offset);
    if (!memory || memory->bo->is_userptr())
      return -EINVAL;
    if (const int error = events_.set_page(memory->bo))
      return error;
    signal_handle_ = args.event_page_offset;
    has_signal_handle_ = true;
  }
  return events_.create(args);
}

int KfdProcess::smi_events(kfd_ioctl_smi_events_args& args) {
  if (!is_gpu(args.gpuid))
    return -EINVAL;
  const int fd = smi::open();
  if (fd < 0)
    return fd;
  args.anon_fd = static_cast<std::uint32_t>(fd);
  return 0;
}

// --- mmap
// -------------------------------------------------------------------------------------------------------------

long KfdProcess::mmap(void* address, std::size_t length, int protection, int flags, std::uint64_t offset) {
  length = kfd_limits::page_align(length);
  const std::uint32_t gpu_id = gpu_id_of_mmap(offset);
  switch (offset & KFD_MMAP_TYPE_MASK) {
  case KFD_MMAP_TYPE_DOORBELL: {
    if (!is_gpu(gpu_id))
      return -ENODEV;
    if (length != kfd_limits::doorbell_slice)
      return -EINVAL;
    std::shared_ptr<BufferObject> page;
    {
      std::scoped_lock lock(mutex_);
      if (const int error = ensure_doorbells_locked())
        return error;
      page = doorbells_;
    }
    const long result = page->map_to_user(address, length, protection, flags, 0);
    if (!real::failed(reinterpret_cast<void*>(result)) && protection & PROT_WRITE) {
      std::scoped_lock lock(mappings_mutex_);
      doorbell_mappings_[static_cast<std::uintptr_t>(result)] = length;
      ++watched_mappings;
      gpu().watch_doorbells(reinterpret_cast<void*>(result), length);
    }
    return result;
  }
  case KFD_MMAP_TYPE_EVENTS:
    return events_.map_page(address, length, protection, flags);
  case KFD_MMAP_TYPE_MMIO: {
    if (!is_gpu(gpu_id))
      return -ENODEV;
    if (length != kfd_limits::page_size)
      return -EINVAL;
    std::shared_ptr<BufferObject> page;
    {
      std::scoped_lock lock(mutex_);
      if (const int error = ensure_mmio_locked())
        return error;
      page = mmio_;
    }
    return page->map_to_user(address, length, protection, flags, 0);
  }
  default: // RESERVED_MEM: a trap handler of the program's own, on APUs
    return is_gpu(gpu_id) ? -EINVAL : -ENODEV;
  }
}

void KfdProcess::forget_mappings(void* address, std::size_t length) {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  std::scoped_lock lock(mappings_mutex_);
  for (auto it = doorbell_mappings_.begin(); it != doorbell_mappings_.end();) {
    if (it->first >= begin + length || it->first + it->second <= begin) {
      ++it;
      continue;
    }
    gpu().forget_doorbells(reinterpret_cast<void*>(it->first), it->second);
    it = doorbell_mappings_.erase(it);
    --watched_mappings;
  }
}

void kfd_forget_mappings(void* address, std::size_t length) {
  if (watched_mappings.load(std::memory_order_relaxed) == 0)
    return;
  if (KfdProcess* process = kfd_process())
    process->forget_mappings(address, length);
}

// --- interrupts
// -------------------------------------------------------------------------------------------------------

namespace {
// Now, or as much later as events shall be (CUDA_SHIM_EMU_EVENT_DELAY).
template <class Work>
void in_event_time(Work work) {
  if (const std::uint64_t delay = settings::event_delay_ns(); delay == 0)
    work();
  else
    run_later(delay, work);
}
} // namespace

void kfd_interrupt(const gpu::Interrupt& interrupt) {
  KfdProcess* process = kfd_process();
  if (!process || interrupt.queue == gpu::no_queue)
    return;
  // The valid bits of the context id, as event_interrupt_wq_v10() takes them.
  using Source = gpu::Interrupt::Source;
  unsigned bits = 0;
  switch (interrupt.source) {
  case Source::end_of_pipe:
    bits = 32;
    break;
  case Source::sq_message:
    bits = 23;
    break;
  case Source::sdma_trap:
    bits = 28;
    break;
  }
  const auto id = static_cast<std::uint32_t>(interrupt.context_id & ((1ull << bits) - 1));
  // A trap handler's message names its queue's doorbell and the exceptions, in the terms that the driver
  // knows.
  const unsigned doorbell = id & WAVE_MESSAGE_DOORBELL_MASK;
  const std::uint64_t exceptions = id >> WAVE_MESSAGE_EXCEPTIONS_SHIFT & EXCEPTIONS_OF_WAVES;
  if (interrupt.privileged && exceptions != 0 && process->runtime_enabled())
    return run_later(settings::event_delay_ns(), [process, doorbell, exceptions] {
      process->send_exception_to_runtime(doorbell, exceptions);
    });
  in_event_time([process, id, bits] { process->events().interrupt(id, bits); });
}

bool kfd_userptr_fault(const BufferObject& bo, std::uint64_t offset, bool write) {
  KfdProcess* process = kfd_process();
  const std::optional<std::uint64_t> va = process ? process->address_of(bo, offset) : std::nullopt;
  if (!va)
    return false;
  gpu::Fault fault;
  fault.kind = gpu::FaultKind::page_fault;
  fault.page = {*va, write ? memory::Access::write : memory::Access::read, true};
  kfd_fault(fault);
  return true;
}

void kfd_userptr_evicted() {
  if (kfd_process())
    smi::queues_paused(smi::Trigger::userptr);
}

void kfd_fault(const gpu::Fault& fault) {
  KfdProcess* process = kfd_process();
  if (!process || fault.told_by_signal)
    return;
  if (fault.kind == gpu::FaultKind::page_fault || fault.kind == gpu::FaultKind::memory_violation) {
    process->evict_queues();
    smi::vm_fault();
    kfd_hsa_memory_exception_data data{};
    data.va = fault.page.address & ~(kfd_limits::page_size - 1);
    data.gpu_id = card::gpu_id;
    data.failure.NotPresent = fault.page.not_present;
    // The interrupt's write bit, whatever the reason; event_interrupt_wq_v10() takes no exec bit.
    data.failure.ReadOnly = fault.page.access == memory::Access::write;
    in_event_time([process, data] { process->events().memory_exception(data); });
    return;
  }
  // A queue that will not go on: what the driver reports after it found the GPU hung and reset it.
  kfd_hsa_hw_exception_data data{};
  data.reset_cause = HW_EXCEPTION_GPU_HANG;
  data.memory_lost = 1;
  data.gpu_id = card::gpu_id;
  smi::gpu_reset();
  in_event_time([process, data] { process->events().hw_exception(data); });
}

} // namespace emu::kernel
