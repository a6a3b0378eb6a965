// One buffer, in the VM that KFD acquired, by GEM handles and by KFD's memory: who keeps whose mappings.
// There is one bo_va for all of them, and it counts (amdgpu_gem.c, kfd_mem_attach() in
// amdgpu_amdkfd_gpuvm.c).
#include "kfd_test_device.hpp"

#include <amdgpu_drm.h>
#include <drm.h>

using namespace kfd_test;

namespace {

class KfdGem : public KfdDevice {
protected:
  static constexpr std::uint64_t size = 4 * page;

  void SetUp() override {
    KfdDevice::SetUp();
    acquire();
    exporter_ = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
    drm_amdgpu_gem_create create{};
    create.in.bo_size = size;
    create.in.domains = AMDGPU_GEM_DOMAIN_VRAM;
    ASSERT_EQ(call(exporter_, DRM_IOCTL_AMDGPU_GEM_CREATE, create), 0);
    drm_prime_handle prime{create.out.handle, DRM_CLOEXEC | DRM_RDWR, -1};
    ASSERT_EQ(call(exporter_, DRM_IOCTL_PRIME_HANDLE_TO_FD, prime), 0);
    fd_ = prime.fd;
    for (std::uint64_t& address : address_)
      address = reinterpret_cast<std::uint64_t>(reserve(size));
  }
  void TearDown() override {
    for (std::uint64_t address : address_)
      munmap(reinterpret_cast<void*>(address), size);
    close(fd_);
    close(exporter_);
    KfdDevice::TearDown();
  }

  std::uint64_t import_to_kfd(std::uint64_t address) {
    kfd_ioctl_import_dmabuf_args args{address, 0, gpu_, static_cast<u32>(fd_)};
    EXPECT_EQ(call(kfd_, ioc::IMPORT_DMABUF, args), 0);
    return args.handle;
  }
  u32 open_gem() {
    drm_prime_handle prime{0, 0, fd_};
    EXPECT_EQ(call(render_, DRM_IOCTL_PRIME_FD_TO_HANDLE, prime), 0);
    return prime.handle;
  }
  long close_gem(u32 handle) {
    drm_gem_close close{handle, 0};
    return call(render_, DRM_IOCTL_GEM_CLOSE, close);
  }
  long gem_va(u32 operation, u32 handle, std::uint64_t address) {
    drm_amdgpu_gem_va va{};
    va.handle = handle;
    va.operation = operation;
    va.flags = AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE;
    va.va_address = address;
    va.map_size = size;
    return call(render_, DRM_IOCTL_AMDGPU_GEM_VA, va);
  }
  // The VM gives a range once (EINVAL), whoever asks.
  bool is_mapped(std::uint64_t address) {
    drm_amdgpu_gem_create create{};
    create.in.bo_size = size;
    create.in.domains = AMDGPU_GEM_DOMAIN_GTT;
    EXPECT_EQ(call(render_, DRM_IOCTL_AMDGPU_GEM_CREATE, create), 0);
    const u32 probe = create.out.handle;
    const long mapped = gem_va(AMDGPU_VA_OP_MAP, probe, address);
    EXPECT_TRUE(mapped == 0 || mapped == -EINVAL) << mapped;
    EXPECT_EQ(close_gem(probe), 0); // unmaps it too
    return mapped == -EINVAL;
  }

  int exporter_ = -1;
  int fd_ = -1;
  std::uint64_t address_[2] = {};
};

TEST_F(KfdGem, closing_a_handle_leaves_what_kfd_mapped) {
  const std::uint64_t memory = import_to_kfd(address_[0]);
  ASSERT_EQ(map(memory), 0);
  const u32 handle = open_gem();
  EXPECT_EQ(close_gem(handle), 0);
  EXPECT_TRUE(is_mapped(address_[0]));
  EXPECT_EQ(unmap(memory), 0);
  EXPECT_FALSE(is_mapped(address_[0]));
  EXPECT_EQ(free(memory), 0);
}

TEST_F(KfdGem, freeing_kfds_memory_leaves_what_the_handle_and_other_imports_mapped) {
  const u32 handle = open_gem();
  ASSERT_EQ(gem_va(AMDGPU_VA_OP_MAP, handle, address_[0]), 0);
  const std::uint64_t first = import_to_kfd(address_[1]);
  ASSERT_EQ(map(first), 0);
  EXPECT_EQ(unmap(first), 0);
  EXPECT_EQ(free(first), 0);
  EXPECT_TRUE(is_mapped(address_[0]));

  const std::uint64_t second = import_to_kfd(address_[1]);
  ASSERT_EQ(map(second), 0);
  EXPECT_EQ(close_gem(handle), 0);
  EXPECT_TRUE(is_mapped(address_[1]));
  EXPECT_EQ(unmap(second), 0);
  EXPECT_EQ(free(second), 0);
  EXPECT_FALSE(is_mapped(address_[0]));
  EXPECT_FALSE(is_mapped(address_[1]));
}

TEST_F(KfdGem, a_handles_mapping_stays_as_long_as_kfd_has_the_buffer) {
  const std::uint64_t memory = import_to_kfd(address_[0]);
  ASSERT_EQ(map(memory), 0);
  const u32 handle = open_gem();
  ASSERT_EQ(gem_va(AMDGPU_VA_OP_MAP, handle, address_[1]), 0);
  EXPECT_EQ(close_gem(handle), 0);
  EXPECT_TRUE(is_mapped(address_[1]));
  EXPECT_EQ(unmap(memory), 0);
  EXPECT_TRUE(is_mapped(address_[1])) << "unmapped is not detached";
  EXPECT_EQ(free(memory), 0);
  EXPECT_FALSE(is_mapped(address_[1]));
}

TEST_F(KfdGem, kfd_has_the_buffer_from_the_first_mapping_on) {
  const std::uint64_t memory = import_to_kfd(address_[0]);
  u32 handle = open_gem();
  ASSERT_EQ(gem_va(AMDGPU_VA_OP_MAP, handle, address_[1]), 0);
  EXPECT_EQ(close_gem(handle), 0);
  EXPECT_FALSE(is_mapped(address_[1])) << "an import alone attaches nothing";
  EXPECT_EQ(free(memory), 0);
}

TEST_F(KfdGem, one_handle_however_often_it_is_imported_and_one_close) {
  const u32 handle = open_gem();
  EXPECT_EQ(open_gem(), handle);
  ASSERT_EQ(gem_va(AMDGPU_VA_OP_MAP, handle, address_[0]), 0);
  EXPECT_EQ(close_gem(handle), 0);
  EXPECT_FALSE(is_mapped(address_[0]));
  EXPECT_EQ(close_gem(handle), -EINVAL);
}

TEST_F(KfdGem, a_file_of_its_own_is_no_concern_of_kfds) {
  const std::uint64_t memory = import_to_kfd(address_[0]);
  ASSERT_EQ(map(memory), 0);
  const int other = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
  drm_prime_handle prime{0, 0, fd_};
  ASSERT_EQ(call(other, DRM_IOCTL_PRIME_FD_TO_HANDLE, prime), 0);
  drm_gem_close closing{prime.handle, 0};
  EXPECT_EQ(call(other, DRM_IOCTL_GEM_CLOSE, closing), 0);
  EXPECT_TRUE(is_mapped(address_[0]));
  close(other);
  EXPECT_TRUE(is_mapped(address_[0]));
  EXPECT_EQ(unmap(memory), 0);
  EXPECT_EQ(free(memory), 0);
}

} // namespace
