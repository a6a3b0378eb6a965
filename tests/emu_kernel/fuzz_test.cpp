// Random ioctls on /dev/kfd and the render node: from a sequence that works, with some of it changed, and
// wholly random. Every batch is a process of its own; it must neither crash nor hang, and unknown requests
// must be refused.
//
// CUDA_SHIM_FUZZ_CASES and CUDA_SHIM_FUZZ_SEED choose how many and which.
#include "kfd_ioctl.hpp"

#include <gtest/gtest.h>

#include <amdgpu_drm.h>
#include <drm.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <random>
#include <set>
#include <string>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace emu::kernel::uapi;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t page = 4096;
constexpr std::uint64_t batch_cases = 500;
constexpr auto batch_limit = std::chrono::seconds(120);
constexpr std::size_t most_argument_bytes = 1 << _IOC_SIZEBITS;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 0) : otherwise;
}

enum class Device : std::uint8_t { kfd, render };

struct Request {
  Device device;
  unsigned long number;
  // Byte offset and size of a time-out, which is made short; 0 bytes: none.
  unsigned timeout_at = 0, timeout_bytes = 0;
  // Byte offset of a descriptor that the call returns, which is closed.
  int fd_at = -1;
};

using SyncobjEventfd = std::array<std::uint32_t, 6>;

// SVM with two attributes.
struct SvmCall {
  kfd_ioctl_svm_args args;
  kfd_ioctl_svm_attribute attributes[2];
};
constexpr unsigned long svm_with_attributes =
    _IOC(_IOC_READ | _IOC_WRITE, 'K', _IOC_NR(ioc::SVM), sizeof(SvmCall));

const Request requests[] = {
    {Device::kfd, ioc::GET_VERSION},
    {Device::kfd, ioc::CREATE_QUEUE},
    {Device::kfd, ioc::DESTROY_QUEUE},
    {Device::kfd, ioc::SET_MEMORY_POLICY},
    {Device::kfd, ioc::GET_CLOCK_COUNTERS},
    {Device::kfd, ioc::GET_PROCESS_APERTURES},
    {Device::kfd, ioc::UPDATE_QUEUE},
    {Device::kfd, ioc::CREATE_EVENT},
    {Device::kfd, ioc::DESTROY_EVENT},
    {Device::kfd, ioc::SET_EVENT},
    {Device::kfd, ioc::RESET_EVENT},
    {Device::kfd, ioc::WAIT_EVENTS, offsetof(kfd_ioctl_wait_events_args, timeout), 4},
    {Device::kfd, ioc::SET_SCRATCH_BACKING_VA},
    {Device::kfd, ioc::GET_TILE_CONFIG},
    {Device::kfd, ioc::SET_TRAP_HANDLER},
    {Device::kfd, ioc::GET_PROCESS_APERTURES_NEW},
    {Device::kfd, ioc::ACQUIRE_VM},
    {Device::kfd, ioc::ALLOC_MEMORY_OF_GPU},
    {Device::kfd, ioc::FREE_MEMORY_OF_GPU},
    {Device::kfd, ioc::MAP_MEMORY_TO_GPU},
    {Device::kfd, ioc::UNMAP_MEMORY_FROM_GPU},
    {Device::kfd, ioc::SET_CU_MASK},
    {Device::kfd, ioc::GET_QUEUE_WAVE_STATE},
    {Device::kfd, ioc::GET_DMABUF_INFO},
    {Device::kfd, ioc::IMPORT_DMABUF},
    {Device::kfd, ioc::ALLOC_QUEUE_GWS},
    {Device::kfd, ioc::SMI_EVENTS, 0, 0, offsetof(kfd_ioctl_smi_events_args, anon_fd)},
    {Device::kfd, ioc::SVM},
    {Device::kfd, svm_with_attributes},
    {Device::kfd, ioc::SET_XNACK_MODE},
    {Device::kfd, ioc::CRIU_OP},
    {Device::kfd, ioc::AVAILABLE_MEMORY},
    {Device::kfd, ioc::EXPORT_DMABUF, 0, 0, offsetof(kfd_ioctl_export_dmabuf_args, dmabuf_fd)},
    {Device::kfd, ioc::RUNTIME_ENABLE},
    {Device::kfd, ioc::DBG_TRAP},
    {Device::render, DRM_IOCTL_VERSION},
    {Device::render, DRM_IOCTL_GET_CAP},
    {Device::render, DRM_IOCTL_SET_CLIENT_CAP},
    {Device::render, DRM_IOCTL_GEM_CLOSE},
    {Device::render, DRM_IOCTL_PRIME_HANDLE_TO_FD, 0, 0, offsetof(drm_prime_handle, fd)},
    {Device::render, DRM_IOCTL_PRIME_FD_TO_HANDLE},
    {Device::render, DRM_IOCTL_SYNCOBJ_CREATE},
    {Device::render, DRM_IOCTL_SYNCOBJ_DESTROY},
    {Device::render, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, 0, 0, offsetof(drm_syncobj_handle, fd)},
    {Device::render, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE},
    {Device::render, DRM_IOCTL_SYNCOBJ_WAIT, 8, 8},
    {Device::render, DRM_IOCTL_SYNCOBJ_RESET},
    {Device::render, DRM_IOCTL_SYNCOBJ_SIGNAL},
    {Device::render, DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, 16, 8},
    {Device::render, DRM_IOCTL_SYNCOBJ_QUERY},
    {Device::render, DRM_IOCTL_SYNCOBJ_TRANSFER},
    {Device::render, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL},
    {Device::render, DRM_IOWR(0xcf, SyncobjEventfd)}, // SYNCOBJ_EVENTFD
    {Device::render, DRM_IOCTL_AMDGPU_GEM_CREATE},
    {Device::render, DRM_IOCTL_AMDGPU_GEM_MMAP},
    {Device::render, DRM_IOCTL_AMDGPU_CTX},
    {Device::render, DRM_IOCTL_AMDGPU_BO_LIST},
    {Device::render, DRM_IOCTL_AMDGPU_CS},
    {Device::render, DRM_IOCTL_AMDGPU_INFO},
    {Device::render, DRM_IOCTL_AMDGPU_GEM_METADATA},
    {Device::render, DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE, offsetof(drm_amdgpu_gem_wait_idle_in, timeout), 8},
    {Device::render, DRM_IOCTL_AMDGPU_GEM_VA},
    {Device::render, DRM_IOCTL_AMDGPU_WAIT_CS, offsetof(drm_amdgpu_wait_cs_in, timeout), 8},
    {Device::render, DRM_IOCTL_AMDGPU_GEM_OP},
    {Device::render, DRM_IOCTL_AMDGPU_GEM_USERPTR},
    {Device::render, DRM_IOCTL_AMDGPU_WAIT_FENCES, offsetof(drm_amdgpu_wait_fences_in, timeout_ns), 8},
    {Device::render, DRM_IOCTL_AMDGPU_VM},
    {Device::render, DRM_IOCTL_AMDGPU_FENCE_TO_HANDLE},
    {Device::render, DRM_IOCTL_AMDGPU_SCHED},
};

class Batch {
public:
  explicit Batch(std::uint64_t seed) : random_(seed) {
    const int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(quiet, STDERR_FILENO);
    kfd_ = open("/dev/kfd", O_RDWR | O_CLOEXEC);
    render_ = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
    event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    // Behind it is nothing.
    scratch_ = static_cast<std::uint8_t*>(
        mmap(nullptr, scratch_bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(scratch_ + scratch_bytes, page, PROT_NONE);
    // Comes and goes below a buffer; the address stays ours.
    own_memory_ = mmap(nullptr, passing_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    argument_ = static_cast<std::uint8_t*>(
        mmap(nullptr, 4 * most_argument_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }

  // False: something that must fail did not. What it was is on stdout.
  bool run(std::uint64_t cases) {
    if (kfd_ < 0 || render_ < 0) {
      std::printf("no emulated devices\n");
      return false;
    }
    make_working_state();
    if (!ib_cpu_ || context_ == 0 || !worked_.contains(ioc::CREATE_QUEUE)) {
      std::printf("the sequence that works does not\n");
      return false;
    }
    for (std::uint64_t i = 0; i < cases; ++i) {
      fill_scratch();
      const bool good = one_in(16)   ? unknown_request()
                        : one_in(12) ? submission()
                        : one_in(40) ? map()
                        : one_in(6)  ? pass()
                                     : known_request();
      if (!good)
        return false;
    }
    if (cases >= batch_cases && worked_.size() < std::size(requests) / 2) {
      std::printf("only %zu of %zu requests ever succeed\n", worked_.size(), std::size(requests));
      return false;
    }
    return true;
  }

private:
  static constexpr std::size_t scratch_bytes = 64 << 10;
#ifdef __SANITIZE_ADDRESS__
  static constexpr bool sanitized = true;
#else
  static constexpr bool sanitized = false;
#endif

  std::uint32_t word() {
    return static_cast<std::uint32_t>(random_());
  }
  std::uint32_t below(std::uint32_t limit) {
    return word() % limit;
  }
  bool one_in(std::uint32_t n) {
    return below(n) == 0;
  }
  int fd_of(Device device) const {
    return device == Device::kfd ? kfd_ : render_;
  }

  std::uint64_t pointer() {
    switch (below(20)) {
    case 0:
      return random_();
    case 1:
      return below(8192);
    case 2:
      return reinterpret_cast<std::uint64_t>(scratch_) + scratch_bytes - below(32); // across the end
    default:
      return reinterpret_cast<std::uint64_t>(scratch_) + below(scratch_bytes / 16) * 8;
    }
  }
  // Something that a field may hold.
  std::uint64_t value() {
    switch (below(14)) {
    case 0:
      return random_();
    case 1:
      return word();
    case 2:
      return ~0ull >> below(64);
    case 3:
      return 1ull << below(64);
    case 4:
    case 5:
      return pointer();
    case 6:
      return page << below(8);
    case 7:
      return 0x2000'0000'0000ull + below(64) * page;
    case 8:
      return gpu_id_;
    case 9:
      return std::uint64_t{gpu_id_} << 32 | below(8); // a memory handle
    case 10: {
      const int fds[] = {kfd_, render_, event_, -1, 0};
      return static_cast<std::uint32_t>(fds[below(std::size(fds))]);
    }
    default:
      return below(12);
    }
  }
  void fill_scratch() {
    for (std::size_t at = 0; at < 4096; at += 8) {
      const std::uint64_t v = value();
      std::memcpy(scratch_ + at, &v, 8);
    }
  }
  void fill(std::uint8_t* to, std::size_t size) {
    for (std::size_t at = 0; at < size;) {
      const std::size_t width = one_in(2) && at % 8 == 0 ? 8 : 4;
      const std::uint64_t v = value();
      std::memcpy(to + at, &v, std::min(width, size - at));
      at += width;
    }
  }

  // The call, as any program makes it, and what it leaves.
  int call(const Request& request, unsigned long number) {
    errno = 0;
    const int result = ioctl(fd_of(request.device), number, argument_);
    if (result >= 0 && request.fd_at >= 0) {
      std::int32_t fd = -1;
      std::memcpy(&fd, argument_ + request.fd_at, 4);
      if (fd > STDERR_FILENO && fd != kfd_ && fd != render_ && fd != event_)
        close(fd);
    }
    return result;
  }
  void shorten_time_out(const Request& request) {
    const std::uint64_t soon = one_in(2) ? 0 : 1;
    std::memcpy(argument_ + request.timeout_at, &soon, request.timeout_bytes);
  }

  // Nothing in the argument may name memory of the program's own, which the kernel or the GPU would then
  // write: its heap, its libraries, a sanitizer's. Halves of pointers that changed do.
  void spare_own_memory(std::size_t size) {
    constexpr std::uint64_t begin = 0x1'0000, end = 1ull << 47;
    constexpr std::uint64_t nothing = 0x2000'0000'0000, nothing_end = 0x3000'0000'0000;
    for (std::size_t at = 0; at + 8 <= size; at += 8) {
      std::uint64_t address = 0;
      std::memcpy(&address, argument_ + at, 8);
      const bool high =
          address >> 32 >= 0x1000 && address < end && !(address >= nothing && address < nothing_end);
      const bool shadow = address >= 0x7fff8000 && address < 0x1000'7fff'8000 && sanitized;
      const std::uint64_t offset = address - reinterpret_cast<std::uint64_t>(scratch_);
      if (address >= begin && (high || shadow) && offset >= scratch_bytes + page) {
        address = reinterpret_cast<std::uint64_t>(scratch_) + below(scratch_bytes / 16) * 8;
        std::memcpy(argument_ + at, &address, 8);
      }
    }
  }

  bool known_request() {
    const Request& request = requests[below(std::size(requests))];
    const std::size_t size = _IOC_SIZE(request.number);
    auto& worked = worked_[request.number];
    if (!worked.empty() && !one_in(4)) {
      const Bytes& before = worked[below(static_cast<std::uint32_t>(worked.size()))];
      std::memcpy(argument_, before.data(), before.size());
      for (std::uint32_t changes = below(3); changes > 0 && size >= 4; --changes) {
        const std::size_t at = below(static_cast<std::uint32_t>(size / 4)) * 4;
        const std::uint64_t v = value();
        std::memcpy(argument_ + at, &v, at % 8 == 0 && size - at >= 8 && one_in(2) ? 8 : 4);
      }
    } else {
      fill(argument_, size);
    }
    if (request.timeout_bytes != 0)
      shorten_time_out(request);
    spare_own_memory(size);
    if (request.number == DRM_IOCTL_AMDGPU_CS)
      return true; // its pointers are another's matter: submission()
    const Bytes arguments(argument_, argument_ + size);
    const int result = call(request, request.number);
    if (result >= 0 && worked.size() < 32)
      worked.push_back(arguments);
    if (result < 0 && (errno <= 0 || errno >= 4096)) {
      std::printf("request %#lx failed with errno %d\n", request.number, errno);
      return false;
    }
    return true;
  }

  // Numbers that the kernel does not have. (Neither driver looks at the type.)
  bool unknown_request() {
    const Device device = one_in(2) ? Device::kfd : Device::render;
    const unsigned type = one_in(8) ? below(256) : device == Device::kfd ? 'K' : 'd';
    const unsigned nr = below(256);
    const unsigned long number = _IOC(below(4), type, nr, below(64) * 4);
    bool known = false;
    for (const Request& request : requests)
      known = known || (request.device == device && _IOC_NR(request.number) == nr);
    // Calls that are in no table here: DRM's own of old, KFD's retired ones.
    const bool core = device == Device::render && (nr < 0x40 || nr >= 0xa0);
    if (known || core)
      return true;
    fill(argument_, 256);
    if (call({device, number}, number) >= 0) {
      std::printf("unknown request %#lx succeeded\n", number);
      return false;
    }
    return true;
  }

  bool map() {
    const std::uint64_t offset = one_in(2) ? value() & ~(page - 1) : random_() & ~(page - 1);
    const std::size_t size = page << below(4);
    void* address =
        mmap(nullptr, size, one_in(2) ? PROT_READ : PROT_READ | PROT_WRITE,
             one_in(4) ? MAP_PRIVATE : MAP_SHARED, one_in(2) ? kfd_ : render_, static_cast<off_t>(offset));
    if (address != MAP_FAILED)
      munmap(address, size);
    return true;
  }

  // Memory that comes and goes while jobs copy from it and to it: KFD's in the first two places, DRM's, and
  // the program's own.
  static constexpr std::uint64_t passing_bytes = 1 << 20;
  static constexpr unsigned passing_places = 4;
  static std::uint64_t passing_va(unsigned place) {
    return 0x2000'1000'0000ull + place * 2 * passing_bytes;
  }

  template <class Args>
  bool succeeds(Device device, unsigned long number, Args&& args) {
    return ioctl(fd_of(device), number, &args) >= 0;
  }

  bool pass() {
    const unsigned place = below(passing_places);
    if (place == passing_places - 1 && one_in(2)) {
      const int protection = one_in(3) ? PROT_NONE : PROT_READ | PROT_WRITE;
      if (one_in(2))
        mprotect(own_memory_, passing_bytes, protection);
      else
        mmap(own_memory_, passing_bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
      return true;
    }
    std::uint64_t& handle = passing_[place];
    if (place == 2)
      handle = handle != 0 ? go_from_drm(place, handle) : come_to_drm(place);
    else
      handle = handle != 0 ? go_from_kfd(handle) : come_to_kfd(place);
    return true;
  }
  // These answer the handle, or 0.
  std::uint64_t come_to_kfd(unsigned place) {
    kfd_ioctl_alloc_memory_of_gpu_args memory{};
    memory.va_addr = passing_va(place);
    memory.size = passing_bytes;
    memory.gpu_id = gpu_id_;
    memory.flags = ALLOC_MEM_FLAGS_WRITABLE | (place == 0   ? ALLOC_MEM_FLAGS_VRAM
                                               : place == 1 ? ALLOC_MEM_FLAGS_GTT
                                                            : ALLOC_MEM_FLAGS_USERPTR);
    memory.mmap_offset = reinterpret_cast<u64>(own_memory_);
    if (!succeeds(Device::kfd, ioc::ALLOC_MEMORY_OF_GPU, memory))
      return 0;
    succeeds(Device::kfd, ioc::MAP_MEMORY_TO_GPU,
             kfd_ioctl_map_memory_to_gpu_args{memory.handle, reinterpret_cast<u64>(&gpu_id_), 1, 0});
    return memory.handle;
  }
  std::uint64_t go_from_kfd(std::uint64_t handle) {
    succeeds(Device::kfd, ioc::UNMAP_MEMORY_FROM_GPU,
             kfd_ioctl_unmap_memory_from_gpu_args{handle, reinterpret_cast<u64>(&gpu_id_), 1, 0});
    succeeds(Device::kfd, ioc::FREE_MEMORY_OF_GPU, kfd_ioctl_free_memory_of_gpu_args{handle});
    return 0;
  }
  std::uint64_t come_to_drm(unsigned place) {
    drm_amdgpu_gem_create create = {};
    create.in.bo_size = passing_bytes;
    create.in.domains = AMDGPU_GEM_DOMAIN_GTT;
    if (!succeeds(Device::render, DRM_IOCTL_AMDGPU_GEM_CREATE, create))
      return 0;
    drm_amdgpu_gem_va va = {};
    va.handle = create.out.handle;
    va.operation = AMDGPU_VA_OP_REPLACE;
    va.flags = AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE;
    va.va_address = passing_va(place);
    va.map_size = passing_bytes;
    succeeds(Device::render, DRM_IOCTL_AMDGPU_GEM_VA, va);
    return create.out.handle;
  }
  // What is mapped in its place goes from under the jobs that run.
  std::uint64_t go_from_drm(unsigned place, std::uint64_t handle) {
    const std::uint64_t next = one_in(2) ? come_to_drm(place) : 0;
    drm_gem_close close_args = {};
    close_args.handle = static_cast<std::uint32_t>(handle);
    succeeds(Device::render, DRM_IOCTL_GEM_CLOSE, close_args);
    return next;
  }

  // COPY, linear, for the DMA ring.
  std::uint32_t add_copy(std::uint32_t* to, std::uint32_t at) {
    const std::uint64_t target = passing_va(below(passing_places)),
                        source = passing_va(below(passing_places));
    for (const std::uint32_t w :
         {1u, static_cast<std::uint32_t>(passing_bytes) - 1, 0u, static_cast<std::uint32_t>(source),
          static_cast<std::uint32_t>(source >> 32), static_cast<std::uint32_t>(target),
          static_cast<std::uint32_t>(target >> 32)})
      to[at++] = w;
    return at;
  }

  // A command submission whose packets, chunks and numbers are right or not.
  bool submission() {
    std::uint32_t* ib = ib_cpu_;
    if (!ib)
      return true;
    std::uint32_t words = 0;
    const bool copies = one_in(3);
    if (copies) {
      words = add_copy(ib, add_copy(ib, words));
      while (words < 16)
        ib[words++] = 0;
    } else if (one_in(3)) {
      while (words < 16)
        ib[words++] = word();
    } else {
      const auto to = static_cast<std::uint32_t>(ib_va_) + 2048;
      for (const std::uint32_t w : {0xc0033700u, 5u << 8 | 1u << 20, to,
                                    static_cast<std::uint32_t>(ib_va_ >> 32), word()}) // WRITE_DATA
        ib[words++] = w;
      while (words < 16)
        ib[words++] = 0xffff1000;
      for (std::uint32_t changes = below(3); changes > 0; --changes)
        ib[below(16)] ^= 1u << below(32);
    }
    auto* at = reinterpret_cast<std::uint64_t*>(scratch_ + 8192);
    std::uint32_t count = 0;
    std::uint64_t bodies = reinterpret_cast<std::uint64_t>(scratch_ + 16384);
    const auto add = [&](std::uint32_t id, const void* body, std::size_t bytes) {
      auto* chunk = reinterpret_cast<drm_amdgpu_cs_chunk*>(bodies);
      chunk->chunk_id = id;
      chunk->length_dw = static_cast<std::uint32_t>(bytes / 4);
      chunk->chunk_data = bodies + 32;
      std::memcpy(reinterpret_cast<void*>(bodies + 32), body, bytes);
      at[count++] = bodies;
      bodies += 256;
    };
    drm_amdgpu_cs_chunk_ib command = {};
    command.va_start = ib_va_;
    command.ib_bytes = words * 4;
    command.ip_type = one_in(4) ? below(4) : copies ? AMDGPU_HW_IP_DMA : AMDGPU_HW_IP_COMPUTE;
    add(AMDGPU_CHUNK_ID_IB, &command, sizeof command);
    for (std::uint32_t more = below(3); more > 0; --more) {
      std::uint32_t body[6];
      for (std::uint32_t& w : body)
        w = static_cast<std::uint32_t>(one_in(4) ? value() : below(4));
      // Waiting for a point that is to come blocks, as it should: DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT.
      body[1] &= ~2u;
      add(below(12), body, sizeof body);
    }
    drm_amdgpu_cs args = {};
    args.in.ctx_id = one_in(8) ? static_cast<std::uint32_t>(value()) : context_;
    args.in.bo_list_handle = one_in(8) ? below(3) : 0;
    args.in.num_chunks = count;
    args.in.chunks = reinterpret_cast<std::uint64_t>(at);
    for (std::uint32_t changes = one_in(2) ? below(3) : 0; changes > 0; --changes) {
      auto* word_at = reinterpret_cast<std::uint32_t*>(at[0]) + below(16);
      *word_at = static_cast<std::uint32_t>(value());
    }
    if (one_in(16))
      args.in.num_chunks = below(64);
    if (one_in(16))
      at[below(count)] = pointer();
    std::memcpy(argument_, &args, sizeof args);
    if (call({Device::render, DRM_IOCTL_AMDGPU_CS}, DRM_IOCTL_AMDGPU_CS) < 0 &&
        (errno == ECANCELED || errno == ETIME))
      make_context();
    return true;
  }

  template <class T>
  bool worked(Device device, unsigned long number, T& args) {
    std::memcpy(argument_, &args, sizeof args);
    const Bytes before(argument_, argument_ + sizeof args);
    if (ioctl(fd_of(device), number, argument_) < 0)
      return false;
    worked_[number].push_back(before);
    std::memcpy(&args, argument_, sizeof args);
    return true;
  }

  void make_context() {
    drm_amdgpu_ctx args = {};
    args.in.op = AMDGPU_CTX_OP_ALLOC_CTX;
    if (worked(Device::render, DRM_IOCTL_AMDGPU_CTX, args))
      context_ = args.out.alloc.ctx_id;
  }

  void make_working_state() {
    kfd_ioctl_get_process_apertures_args apertures{};
    worked(Device::kfd, ioc::GET_PROCESS_APERTURES, apertures);
    gpu_id_ = apertures.process_apertures[0].gpu_id;
    kfd_ioctl_acquire_vm_args vm{static_cast<u32>(render_), gpu_id_};
    worked(Device::kfd, ioc::ACQUIRE_VM, vm);
    std::memcpy(scratch_ + 4096, &gpu_id_, 4);
    for (u32 i = 0; i < 4; ++i) {
      kfd_ioctl_alloc_memory_of_gpu_args memory{};
      memory.va_addr = 0x2000'0000'0000ull + i * 16 * page;
      memory.size = page << i;
      memory.gpu_id = gpu_id_;
      memory.flags = (i % 2 ? ALLOC_MEM_FLAGS_GTT : ALLOC_MEM_FLAGS_VRAM) | ALLOC_MEM_FLAGS_WRITABLE;
      worked(Device::kfd, ioc::ALLOC_MEMORY_OF_GPU, memory);
      kfd_ioctl_map_memory_to_gpu_args map{memory.handle, reinterpret_cast<u64>(scratch_) + 4096, 1, 0};
      worked(Device::kfd, ioc::MAP_MEMORY_TO_GPU, map);
    }
    kfd_ioctl_create_queue_args queue{};
    queue.ring_base_address = 0x2000'0000'0000ull + 16 * page; // 8 KiB
    queue.ring_size = 2 * page;
    queue.read_pointer_address = queue.write_pointer_address = 0x2000'0000'0000ull;
    queue.gpu_id = gpu_id_;
    queue.queue_type = QUEUE_TYPE_SDMA;
    queue.queue_percentage = 100;
    worked(Device::kfd, ioc::CREATE_QUEUE, queue);
    for (const u32 type : {EVENT_SIGNAL, EVENT_MEMORY, EVENT_HW_EXCEPTION}) {
      kfd_ioctl_create_event_args event{};
      event.event_type = type;
      worked(Device::kfd, ioc::CREATE_EVENT, event);
    }

    SvmCall svm{{reinterpret_cast<u64>(scratch_), 4 * page, SVM_OP_SET_ATTR, 2},
                {{SVM_ATTR_ACCESS, gpu_id_}, {SVM_ATTR_PREFETCH_LOC, gpu_id_}}};
    worked(Device::kfd, svm_with_attributes, svm);
    svm = {{svm.args.start_addr, svm.args.size, SVM_OP_GET_ATTR, 2},
           {{SVM_ATTR_ACCESS, gpu_id_}, {SVM_ATTR_SET_FLAGS, 0}}};
    worked(Device::kfd, svm_with_attributes, svm);

    make_context();
    for (int i = 0; i < 3; ++i) {
      drm_syncobj_create syncobj = {};
      worked(Device::render, DRM_IOCTL_SYNCOBJ_CREATE, syncobj);
    }
    drm_amdgpu_gem_create create = {};
    create.in.bo_size = 2 * page;
    create.in.alignment = page;
    create.in.domains = AMDGPU_GEM_DOMAIN_GTT;
    if (!worked(Device::render, DRM_IOCTL_AMDGPU_GEM_CREATE, create))
      return;
    drm_amdgpu_gem_va va = {};
    va.handle = create.out.handle;
    va.operation = AMDGPU_VA_OP_MAP;
    va.flags = AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE | AMDGPU_VM_PAGE_EXECUTABLE;
    va.va_address = 0x3000'0000'0000ull;
    va.map_size = 2 * page;
    drm_amdgpu_gem_mmap mmap_args = {};
    mmap_args.in.handle = create.out.handle;
    if (!worked(Device::render, DRM_IOCTL_AMDGPU_GEM_VA, va) ||
        !worked(Device::render, DRM_IOCTL_AMDGPU_GEM_MMAP, mmap_args))
      return;
    void* cpu = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED, render_,
                     static_cast<off_t>(mmap_args.out.addr_ptr));
    if (cpu != MAP_FAILED) {
      ib_va_ = va.va_address;
      ib_cpu_ = static_cast<std::uint32_t*>(cpu);
    }
  }

  std::mt19937_64 random_;
  int kfd_ = -1, render_ = -1, event_ = -1;
  std::uint8_t* scratch_ = nullptr;
  std::uint8_t* argument_ = nullptr;
  void* own_memory_ = nullptr;
  std::array<std::uint64_t, passing_places> passing_{}; // handles; 0: not there
  u32 gpu_id_ = 0;
  std::uint32_t context_ = 0;
  std::uint64_t ib_va_ = 0;
  std::uint32_t* ib_cpu_ = nullptr;
  std::map<unsigned long, std::vector<Bytes>> worked_;
};

TEST(KernelFuzz, ioctls) {
  const std::uint64_t cases = from_environment("CUDA_SHIM_FUZZ_CASES", 50'000);
  const std::uint64_t seed = from_environment("CUDA_SHIM_FUZZ_SEED", 20);
  std::printf("seed %llu, %llu cases\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(cases));
  for (std::uint64_t batch = 0; batch * batch_cases < cases; ++batch) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      setenv("CUDA_SHIM_EMU_WATCHDOG", "20", 1);
      const bool good = Batch(seed + batch).run(batch_cases);
      std::fflush(stdout);
      _exit(good ? 0 : 1);
    }
    const auto end = std::chrono::steady_clock::now() + batch_limit;
    int status = 0;
    pid_t ended = 0;
    while ((ended = waitpid(child, &status, WNOHANG)) == 0 && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (ended == 0) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      FAIL() << "a batch hangs: seed " << seed + batch;
    }
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status) << ": seed " << seed + batch;
    ASSERT_EQ(WEXITSTATUS(status), 0) << "seed " << seed + batch;
  }
}

} // namespace
