// What a table of refusals works on: a render node and a primary node with a buffer, a context and a syncobj
// each attempt may use, and ioctls whose errno is the answer.
#pragma once

#include "drm_test_device.hpp"

#include <cstdint>
#include <cstring>
#include <functional>
#include <ostream>
#include <string>
#include <sys/mman.h>
#include <vector>

namespace drm_test {

inline constexpr std::uint64_t bad_pointer = 0x10; // below everything that is ever mapped
inline constexpr std::uint32_t no_handle = 9999;
inline constexpr std::uint64_t va_base = 0x2'0000'0000;

template <class T>
std::uint64_t address_of(const T* object) {
  return reinterpret_cast<std::uint64_t>(object);
}

class Bench {
public:
  int fd() const { return render_.get(); }
  int primary() {
    if (primary_.get() < 0)
      primary_ = UniqueFd(open("/dev/dri/card0", O_RDWR | O_CLOEXEC));
    return primary_.get();
  }

  template <class T>
  int call(unsigned long request, T args) {
    const int error = ioctl_error(fd(), request, &args);
    std::memcpy(last_, &args, sizeof args);
    static_assert(sizeof args <= sizeof last_);
    return error;
  }
  template <class T>
  int call_primary(unsigned long request, T args) {
    return ioctl_error(primary(), request, &args);
  }
  // What the last call() left in its arguments.
  template <class T>
  const T& answer() const {
    return *reinterpret_cast<const T*>(last_);
  }

  std::uint32_t buffer(std::uint64_t size = 65536, std::uint64_t flags = 0,
                       std::uint64_t domains = AMDGPU_GEM_DOMAIN_GTT) {
    drm_amdgpu_gem_create args = {};
    args.in = {size, 0, domains, flags};
    EXPECT_EQ(call(DRM_IOCTL_AMDGPU_GEM_CREATE, args), 0);
    return answer<drm_amdgpu_gem_create>().out.handle;
  }
  std::uint32_t userptr(std::uint32_t flags = AMDGPU_GEM_USERPTR_REGISTER) {
    if (!memory_)
      memory_ = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    drm_amdgpu_gem_userptr args = {address_of(static_cast<char*>(memory_)), 8192, flags, 0};
    EXPECT_EQ(call(DRM_IOCTL_AMDGPU_GEM_USERPTR, args), 0);
    return answer<drm_amdgpu_gem_userptr>().handle;
  }
  void* memory() const { return memory_; }
  std::uint32_t context() {
    drm_amdgpu_ctx args = {};
    args.in.op = AMDGPU_CTX_OP_ALLOC_CTX;
    EXPECT_EQ(call(DRM_IOCTL_AMDGPU_CTX, args), 0);
    return answer<drm_amdgpu_ctx>().out.alloc.ctx_id;
  }
  std::uint32_t syncobj(std::uint32_t flags = 0) {
    EXPECT_EQ(call(DRM_IOCTL_SYNCOBJ_CREATE, drm_syncobj_create{0, flags}), 0);
    return answer<drm_syncobj_create>().handle;
  }
  int context_op(std::uint32_t op, std::uint32_t id, std::uint32_t flags = 0, std::int32_t priority = 0) {
    drm_amdgpu_ctx args = {};
    args.in.op = op;
    args.in.ctx_id = id;
    args.in.flags = flags;
    args.in.priority = priority;
    return call(DRM_IOCTL_AMDGPU_CTX, args);
  }
  int va(std::uint32_t operation, std::uint32_t handle, std::uint64_t at, std::uint64_t offset,
         std::uint64_t size, std::uint32_t flags = AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE) {
    drm_amdgpu_gem_va args = {};
    args.handle = handle;
    args.operation = operation;
    args.flags = flags;
    args.va_address = at;
    args.offset_in_bo = offset;
    args.map_size = size;
    return call(DRM_IOCTL_AMDGPU_GEM_VA, args);
  }
  // AMDGPU_CS with the chunks given.
  int submit(std::uint32_t context, const std::vector<drm_amdgpu_cs_chunk>& chunks,
             std::uint32_t buffer_list = 0) {
    std::vector<std::uint64_t> pointers;
    for (const drm_amdgpu_cs_chunk& chunk : chunks)
      pointers.push_back(address_of(&chunk));
    drm_amdgpu_cs args = {};
    args.in.ctx_id = context;
    args.in.bo_list_handle = buffer_list;
    args.in.num_chunks = static_cast<std::uint32_t>(pointers.size());
    args.in.chunks = address_of(pointers.data());
    return call(DRM_IOCTL_AMDGPU_CS, args);
  }
  template <class T>
  static drm_amdgpu_cs_chunk chunk(std::uint32_t id, const T& body) {
    return {id, sizeof body / 4, address_of(&body)};
  }

  ~Bench() {
    if (memory_)
      munmap(memory_, 8192);
  }

private:
  UniqueFd render_{open_render_node()}, primary_;
  void* memory_ = nullptr;
  alignas(8) unsigned char last_[512] = {};
};

// One row: how to break a rule, and what the kernel says then.
struct Refusal {
  const char* name;
  int (*attempt)(Bench&);
  int expected;
};
inline void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.name;
}
inline std::string name_of(const ::testing::TestParamInfo<Refusal>& info) {
  return info.param.name;
}

class RefusalTest : public ::testing::TestWithParam<Refusal> {
protected:
  void expect_refused() {
    Bench bench;
    ASSERT_GE(bench.fd(), 0) << "no /dev/dri/renderD128: is libkfd-emu.so preloaded?";
    EXPECT_STREQ(strerrorname_np(GetParam().attempt(bench)), strerrorname_np(GetParam().expected));
  }
};

} // namespace drm_test
