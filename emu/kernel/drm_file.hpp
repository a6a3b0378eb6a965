// An open file of the emulated card (/dev/dri/card0, renderD128): a GPU address space, buffer handles,
// syncobj handles, contexts, and the ioctls upon them, with the checks and errnos of Linux 6.12 and what 7.2
// refuses beyond. Thread-safe.
#pragma once

#include "drm_context.hpp"
#include "drm_uapi.hpp"
#include "fd_table.hpp"
#include "syncobj_table.hpp"
#include "vm.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace emu::kernel {

// A buffer list of AMDGPU_BO_LIST, or of one submission.
using BufferList = std::vector<std::shared_ptr<BufferObject>>;

class DrmFile : public File, public VmOwner {
public:
  explicit DrmFile(unsigned minor);
  ~DrmFile() override;

  long ioctl(unsigned long request, void* argument) override;
  long mmap(void* address, std::size_t length, int protection, int flags, off64_t offset) override;
  void fix_stat(struct stat64& out) const override;

  const std::shared_ptr<Vm>& vm() override { return vm_; }
  const File* file() const override { return this; }
  bool is_render() const;

  std::shared_ptr<BufferObject> find_buffer(std::uint32_t handle);
  // The handle that PRIME import gives: one by which the buffer was exported or imported, or a new one.
  std::uint32_t handle_for(const std::shared_ptr<BufferObject>& bo);
  std::uint32_t new_handle(std::shared_ptr<BufferObject> bo);
  bool has_handle_of(const BufferObject& bo);

private:
  struct Ioctl; // one row of the tables in drm_file.cpp
  friend struct IoctlTable;
  static const Ioctl* find_ioctl(unsigned nr);
  long permit(unsigned permission) const;
  long refused(unsigned long request, void* argument) const;

  // drm_file.cpp: what every DRM driver answers
  long version(drm_version& args);
  long get_unique(drm_unique& args);
  long get_magic(drm_auth& args);
  long auth_magic(drm_auth& args);
  long get_client(drm_client& args);
  long get_stats(drm_stats& args);
  long set_version(drm_set_version& args);
  long get_cap(drm_get_cap& args);
  long set_client_cap(drm_set_client_cap& args);
  long set_master(drm_auth& args);

  // drm_gem.cpp
  long gem_close(drm_gem_close& args);
  long gem_flink(drm_gem_flink& args);
  long gem_open(drm_gem_open& args);
  long prime_handle_to_fd(drm_prime_handle& args);
  long prime_fd_to_handle(drm_prime_handle& args);
  long gem_create(drm_amdgpu_gem_create& args);
  long gem_mmap(drm_amdgpu_gem_mmap& args);
  long gem_wait_idle(drm_amdgpu_gem_wait_idle& args);
  long gem_metadata(drm_amdgpu_gem_metadata& args);
  long gem_va(uapi::drm_amdgpu_gem_va& args);
  long gem_op(uapi::drm_amdgpu_gem_op& args);
  long gem_userptr(drm_amdgpu_gem_userptr& args);
  struct Name {
    std::uint32_t name = 0;
    int fd = -1; // hidden
  };
  static void forget_name(const Name& name);
  int check_va_syncobjs(const uapi::drm_amdgpu_gem_va& args);
  std::uint32_t add_handle_locked(std::shared_ptr<BufferObject> bo);
  int map_va(const uapi::drm_amdgpu_gem_va& args, std::uint64_t va, const std::shared_ptr<BufferObject>& bo);

  // drm_userptr.cpp
  static int check_user_pages(std::uint64_t address, std::uint64_t size, std::uint32_t flags);
  int check_user_pages(const BufferList& buffers);

  std::shared_ptr<BufferObject> unbound_memory();
  // Runs work(batch), which unmaps, behind the jobs that there are.
  template <class Work>
  int retire(Work work) {
    const Vm::Batch batch = vm_state_->retire();
    const int result = work(batch);
    vm_state_->finish_retired(*vm_);
    if (!vm_state_->is_retired(batch)) // the jobs ended meanwhile, maybe before anything was in the batch
      vm_->finish(batch);
    return result;
  }

  // drm_info.cpp
  long info(drm_amdgpu_info& args);
  long info_device(const drm_amdgpu_info& args);
  long info_memory(const drm_amdgpu_info& args);
  long info_ring(const drm_amdgpu_info& args);
  long info_registers(const drm_amdgpu_info& args);
  long info_sensor(const drm_amdgpu_info& args);

  // drm_context.cpp
  long ctx(drm_amdgpu_ctx& args);
  long sched(drm_amdgpu_sched& args);
  long vm_ioctl(drm_amdgpu_vm& args);
  long bo_list(drm_amdgpu_bo_list& args);
  long allocate_context(std::int32_t priority, std::uint32_t& id);
  static long query_context(const ContextState& state, drm_amdgpu_ctx& args, bool newer);
  static int read_buffer_list(const drm_amdgpu_bo_list_in& in, std::vector<drm_amdgpu_bo_list_entry>& out);
  int make_buffer_list(const std::vector<drm_amdgpu_bo_list_entry>& entries, BufferList& out);

  // drm_cs.cpp, drm_wait.cpp
  long cs(drm_amdgpu_cs& args);
  long wait_cs(drm_amdgpu_wait_cs& args);
  long wait_fences(drm_amdgpu_wait_fences& args);
  long wait_all_fences(drm_amdgpu_wait_fences& args, const std::vector<drm_amdgpu_fence>& fences);
  long wait_any_fence(drm_amdgpu_wait_fences& args, const std::vector<drm_amdgpu_fence>& fences);
  long fence_to_handle(drm_amdgpu_fence_to_handle& args);
  int user_fence(const drm_amdgpu_fence& user, FenceRef& fence);
  friend class Submitter;

  const unsigned minor_;
  const std::shared_ptr<Vm> vm_;
  const std::shared_ptr<VmState> vm_state_;
  SyncobjTable syncobjs_;
  ContextTable contexts_;

  std::mutex gem_mutex_;
  std::map<std::uint32_t, std::shared_ptr<BufferObject>> buffers_;
  // By which handles it was exported or imported (drm_prime_file_private); never empty.
  std::map<const BufferObject*, std::vector<std::uint32_t>> prime_handles_;
  std::map<std::uint32_t, std::shared_ptr<BufferList>> lists_;
  std::map<const BufferObject*, Name> names_;                  // GEM_FLINK
  std::map<const BufferObject*, std::uint32_t> userptr_flags_; // GEM_USERPTR
  bool has_bus_id_ = false;
  drm_magic_t magic_ = 0;
  std::shared_ptr<BufferObject> unbound_; // what sparse mappings show
};

} // namespace emu::kernel
