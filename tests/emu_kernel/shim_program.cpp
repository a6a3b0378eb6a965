// A CUDA program that meets, somewhere, a system call that fails. It goes through the driver three times:
// once something may go wrong, which it must be told; what it then gives back must be gone. Prints what it
// saw:
//   own calls are done
//   pass N: CUDA_SUCCESS | the error and the call that gave it | a wrong result
//   descriptors: LOW + HIGH       after each pass (HIGH: those that stand for buffers)
#include <atomic>
#include <cuda.h>

#include <amdgpu_drm.h>
#include <drm.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <string>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr const char* ptx = R"ptx(
.version 6.0
.target sm_30
.address_size 64
.visible .entry add_index(.param .u64 data)
{
  .reg .u32 %r<3>;
  .reg .u64 %rd<4>;
  ld.param.u64 %rd0, [data];
  mov.u32 %r0, %tid.x;
  cvta.to.global.u64 %rd1, %rd0;
  mul.wide.u32 %rd2, %r0, 4;
  add.u64 %rd3, %rd1, %rd2;
  ld.global.u32 %r1, [%rd3];
  add.u32 %r2, %r1, %r0;
  st.global.u32 [%rd3], %r2;
  ret;
}
)ptx";

constexpr std::size_t count = 64, bytes = count * sizeof(std::uint32_t);
constexpr std::size_t external_bytes = 65536;

// What Vulkan would give: a buffer and a semaphore.
struct Exported {
  int render = -1, memory = -1;
  int semaphores[2] = {-1, -1};
  std::uint32_t syncobjs[2] = {}; // what the semaphores stand for
};

// One of the program's own calls, which may be the one that fails.
template <class Args>
bool own_call(int fd, unsigned long request, Args& args) {
  constexpr int attempts = 3;
  for (int i = 0; i < attempts; ++i) {
    if (ioctl(fd, request, &args) == 0)
      return true;
    if (errno == ETIME)
      return false;
  }
  return false;
}

bool make_exported(Exported& exported) {
  exported.render = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
  drm_amdgpu_gem_create gem{};
  gem.in.bo_size = external_bytes;
  gem.in.domains = AMDGPU_GEM_DOMAIN_VRAM;
  drm_prime_handle prime{};
  if (exported.render < 0 || ioctl(exported.render, DRM_IOCTL_AMDGPU_GEM_CREATE, &gem) != 0)
    return false;
  prime.handle = gem.out.handle;
  prime.flags = DRM_CLOEXEC | DRM_RDWR;
  if (ioctl(exported.render, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime) != 0)
    return false;
  exported.memory = prime.fd;
  for (int i = 0; i < 2; ++i) {
    drm_syncobj_create syncobj{};
    drm_syncobj_handle handle{};
    if (ioctl(exported.render, DRM_IOCTL_SYNCOBJ_CREATE, &syncobj) != 0)
      return false;
    handle.handle = syncobj.handle;
    if (ioctl(exported.render, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &handle) != 0)
      return false;
    exported.syncobjs[i] = syncobj.handle;
    exported.semaphores[i] = handle.fd;
  }
  return true;
}

void print_descriptors() {
  constexpr int first_hidden = 1024;
  int low = 0, high = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(directory))
    if (entry->d_name[0] != '.')
      ++(std::atoi(entry->d_name) < first_hidden ? low : high);
  closedir(directory);
  std::printf("descriptors: %d + %d\n", low, high);
}

// One pass. A call that fails ends it; what was made is given back in reverse order.
class Pass {
public:
  explicit Pass(const Exported& exported) : exported_(exported) {}
  ~Pass() {
    while (!undo_.empty()) {
      undo_.back()();
      undo_.pop_back();
    }
  }

  std::string run() {
    const bool done = start() && memory() && launch() && interop();
    return done ? "CUDA_SUCCESS" : failure_;
  }

private:
  bool ok(CUresult result, const char* call) {
    if (result == CUDA_SUCCESS)
      return true;
    const char* name = nullptr;
    cuGetErrorName(result, &name);
    failure_ = std::string(name ? name : "an unknown error") + " from " + call;
    return false;
  }
  bool right(bool as_expected, const char* what) {
    if (!as_expected)
      failure_ = std::string("wrong result: ") + what;
    return as_expected;
  }
  template <class F>
  void later(F undo) {
    undo_.emplace_back(undo);
  }

  bool start() {
    CUdevice device = 0;
    CUcontext context = nullptr;
    std::size_t total = 0;
    if (!ok(cuInit(0), "cuInit") || !ok(cuDeviceGet(&device, 0), "cuDeviceGet") ||
        !ok(cuDeviceTotalMem(&total, device), "cuDeviceTotalMem") ||
        !ok(cuCtxCreate(&context, 0, device), "cuCtxCreate"))
      return false;
    later([context] { cuCtxDestroy(context); });
    if (!ok(cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate"))
      return false;
    later([stream = stream_] { cuStreamDestroy(stream); });
    return true;
  }

  bool memory() {
    if (!ok(cuMemAlloc(&data_, bytes), "cuMemAlloc"))
      return false;
    later([data = data_] { cuMemFree(data); });
    void* pinned = nullptr;
    if (!ok(cuMemHostAlloc(&pinned, bytes, 0), "cuMemHostAlloc"))
      return false;
    later([pinned] { cuMemFreeHost(pinned); });
    pinned_ = static_cast<std::uint32_t*>(pinned);
    void* own = mmap(nullptr, external_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    later([own] { munmap(own, external_bytes); });
    if (!ok(cuMemHostRegister(own, external_bytes, 0), "cuMemHostRegister"))
      return false;
    later([own] { cuMemHostUnregister(own); });
    std::vector<std::uint32_t> pageable(count);
    if (!ok(cuMemsetD32(data_, 7, count), "cuMemsetD32") ||
        !ok(cuMemcpyDtoH(pageable.data(), data_, bytes), "cuMemcpyDtoH"))
      return false;
    return right(pageable[count - 1] == 7, "cuMemsetD32");
  }

  bool launch() {
    CUmodule module = nullptr;
    CUfunction function = nullptr;
    CUevent event = nullptr;
    if (!ok(cuModuleLoadData(&module, ptx), "cuModuleLoadData"))
      return false;
    later([module] { cuModuleUnload(module); });
    if (!ok(cuModuleGetFunction(&function, module, "add_index"), "cuModuleGetFunction") ||
        !ok(cuEventCreate(&event, CU_EVENT_BLOCKING_SYNC), "cuEventCreate"))
      return false;
    later([event] { cuEventDestroy(event); });
    void* parameters[] = {&data_};
    if (!ok(cuLaunchKernel(function, 1, 1, 1, count, 1, 1, 0, stream_, parameters, nullptr),
            "cuLaunchKernel") ||
        !ok(cuMemcpyDtoHAsync(pinned_, data_, bytes, stream_), "cuMemcpyDtoHAsync") ||
        !ok(cuEventRecord(event, stream_), "cuEventRecord") ||
        !ok(cuEventSynchronize(event), "cuEventSynchronize"))
      return false;
    return right(pinned_[0] == 7 && pinned_[count - 1] == 7 + count - 1, "cuLaunchKernel") && host_function();
  }

  bool host_function() {
    std::atomic<bool> called = false;
    auto call = [](void* flag) { *static_cast<std::atomic<bool>*>(flag) = true; };
    return ok(cuLaunchHostFunc(stream_, call, &called), "cuLaunchHostFunc") &&
           ok(cuStreamSynchronize(stream_), "cuStreamSynchronize behind a host function") &&
           right(called, "cuLaunchHostFunc");
  }

  bool interop() {
    CUexternalMemory memory = nullptr;
    CUDA_EXTERNAL_MEMORY_HANDLE_DESC memory_desc{};
    memory_desc.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
    memory_desc.size = external_bytes;
    memory_desc.handle.fd = fcntl(exported_.memory, F_DUPFD_CLOEXEC, 0);
    if (!ok(cuImportExternalMemory(&memory, &memory_desc), "cuImportExternalMemory")) {
      close(memory_desc.handle.fd);
      return false;
    }
    later([memory] { cuDestroyExternalMemory(memory); });
    CUdeviceptr mapped = 0;
    CUDA_EXTERNAL_MEMORY_BUFFER_DESC buffer{};
    buffer.size = external_bytes;
    if (!ok(cuExternalMemoryGetMappedBuffer(&mapped, memory, &buffer), "cuExternalMemoryGetMappedBuffer"))
      return false;
    later([mapped] { cuMemFree(mapped); });

    CUexternalSemaphore semaphores[2] = {};
    for (int i = 0; i < 2; ++i)
      if (!import(exported_.semaphores[i], semaphores[i]))
        return false;
    CUexternalSemaphore semaphore = semaphores[0];
    CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal{};
    CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS wait{};
    std::vector<std::uint32_t> seen(count);
    return peer_waits(semaphore) && peer_signals(semaphore) &&
           ok(cuMemsetD32Async(mapped, 9, count, stream_), "cuMemsetD32Async") &&
           ok(cuSignalExternalSemaphoresAsync(&semaphore, &signal, 1, stream_),
              "cuSignalExternalSemaphoresAsync") &&
           ok(cuWaitExternalSemaphoresAsync(&semaphore, &wait, 1, stream_),
              "cuWaitExternalSemaphoresAsync") &&
           ok(cuStreamSynchronize(stream_), "cuStreamSynchronize") &&
           ok(cuMemcpyDtoH(seen.data(), mapped, bytes), "cuMemcpyDtoH of external memory") &&
           right(seen[count - 1] == 9, "external memory") && both_or_none(semaphores);
  }

  bool import(int fd, CUexternalSemaphore& semaphore) {
    CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC description{};
    description.type = CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD;
    description.handle.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (!ok(cuImportExternalSemaphore(&semaphore, &description), "cuImportExternalSemaphore")) {
      close(description.handle.fd);
      return false;
    }
    later([imported = semaphore] { cuDestroyExternalSemaphore(imported); });
    return true;
  }

  // What Vulkan does at the other end of a semaphore.
  bool peer_sees(int i, std::int64_t patience_ns) {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    drm_syncobj_wait wait{};
    wait.handles = reinterpret_cast<std::uint64_t>(&exported_.syncobjs[i]);
    wait.count_handles = 1;
    wait.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;
    wait.timeout_nsec = now.tv_sec * 1'000'000'000ll + now.tv_nsec + patience_ns;
    return own_call(exported_.render, DRM_IOCTL_SYNCOBJ_WAIT, wait);
  }
  bool peer_waits(CUexternalSemaphore semaphore) {
    constexpr std::int64_t patience_ns = 5'000'000'000;
    CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal{};
    return ok(cuMemsetD32Async(data_, 3, count, stream_), "cuMemsetD32Async") &&
           ok(cuSignalExternalSemaphoresAsync(&semaphore, &signal, 1, stream_),
              "cuSignalExternalSemaphoresAsync") &&
           right(peer_sees(0, patience_ns), "a semaphore that is never signaled");
  }
  bool peer_signals(CUexternalSemaphore semaphore) {
    drm_syncobj_array signal{};
    signal.handles = reinterpret_cast<std::uint64_t>(exported_.syncobjs);
    signal.count_handles = 1;
    CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS wait{};
    return right(own_call(exported_.render, DRM_IOCTL_SYNCOBJ_SIGNAL, signal), "the program's own signal") &&
           ok(cuWaitExternalSemaphoresAsync(&semaphore, &wait, 1, stream_),
              "cuWaitExternalSemaphoresAsync") &&
           ok(cuStreamSynchronize(stream_), "cuStreamSynchronize");
  }
  // A call for two semaphores that fails has done nothing to either.
  bool both_or_none(const CUexternalSemaphore (&semaphores)[2]) {
    CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signals[2] = {};
    CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS waits[2] = {};
    drm_syncobj_array both{};
    both.handles = reinterpret_cast<std::uint64_t>(exported_.syncobjs);
    both.count_handles = 2;
    if (!right(own_call(exported_.render, DRM_IOCTL_SYNCOBJ_RESET, both), "the program's own reset"))
      return false;
    if (!ok(cuSignalExternalSemaphoresAsync(semaphores, signals, 2, stream_),
            "cuSignalExternalSemaphoresAsync of two"))
      return right(!peer_sees(0, 0) && !peer_sees(1, 0), "half of a signal") && false;
    if (!ok(cuWaitExternalSemaphoresAsync(semaphores, waits, 2, stream_),
            "cuWaitExternalSemaphoresAsync of two"))
      return right(peer_sees(0, 0) && peer_sees(1, 0), "half of a wait") && false;
    return ok(cuStreamSynchronize(stream_), "cuStreamSynchronize");
  }

  const Exported& exported_;
  std::vector<std::function<void()>> undo_;
  std::string failure_;
  CUstream stream_ = nullptr;
  CUdeviceptr data_ = 0;
  std::uint32_t* pinned_ = nullptr;
};

} // namespace

int main() {
  constexpr int passes = 3; // in the last one nothing fails any more
  Exported exported;
  if (!make_exported(exported)) {
    std::puts("the program's own calls failed");
    return 0;
  }
  std::puts("own calls are done");
  for (int pass = 1; pass <= passes; ++pass) {
    std::printf("pass %d: %s\n", pass, Pass(exported).run().c_str());
    print_descriptors();
    std::fflush(stdout);
  }
  return 0;
}
