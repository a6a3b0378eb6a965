// The card as a drm file shows it: identity, what it is made of, buffers and address space, and what is
// refused.
#include "drm_test_device.hpp"

#include <amdgpu.h>

#include <cstring>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace {

using namespace drm_test;

class DrmDeviceTest : public WithDevice {
protected:
  int create_buffer(std::uint64_t size, std::uint64_t domains, std::uint64_t flags, std::uint32_t& handle) {
    drm_amdgpu_gem_create args = {};
    args.in.bo_size = size;
    args.in.domains = domains;
    args.in.domain_flags = flags;
    const int error = ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_CREATE, &args);
    handle = args.out.handle;
    return error;
  }
  std::uint32_t buffer(std::uint64_t size = 65536, std::uint64_t flags = 0) {
    std::uint32_t handle = 0;
    EXPECT_EQ(create_buffer(size, AMDGPU_GEM_DOMAIN_GTT, flags, handle), 0);
    return handle;
  }
  int va(std::uint32_t operation, std::uint32_t handle, std::uint64_t address, std::uint64_t offset,
         std::uint64_t size, std::uint32_t flags = AMDGPU_VM_PAGE_READABLE | AMDGPU_VM_PAGE_WRITEABLE) {
    drm_amdgpu_gem_va args = {};
    args.handle = handle;
    args.operation = operation;
    args.flags = flags;
    args.va_address = address;
    args.offset_in_bo = offset;
    args.map_size = size;
    return ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_VA, &args);
  }
  template <class T>
  int info(std::uint32_t query, T& out) {
    drm_amdgpu_info args = {};
    args.return_pointer = reinterpret_cast<std::uint64_t>(&out);
    args.return_size = sizeof out;
    args.query = query;
    return ioctl_error(fd(), DRM_IOCTL_AMDGPU_INFO, &args);
  }
};

TEST_F(DrmDeviceTest, driver_is_amdgpu_of_linux_6_12) {
  drmVersionPtr version = drmGetVersion(fd());
  ASSERT_NE(version, nullptr);
  EXPECT_STREQ(version->name, "amdgpu");
  EXPECT_STREQ(version->desc, "AMD GPU");
  EXPECT_EQ(version->version_major, 3);
  EXPECT_EQ(version->version_minor, 61);
  drmFreeVersion(version);
  struct stat status;
  ASSERT_EQ(fstat(fd(), &status), 0);
  EXPECT_TRUE(S_ISCHR(status.st_mode));
  EXPECT_EQ(status.st_rdev, makedev(226, 128));
}

TEST_F(DrmDeviceTest, libdrm_finds_the_pci_device) {
  drmDevicePtr devices[4];
  const int count = drmGetDevices2(0, devices, 4);
  ASSERT_EQ(count, 1);
  EXPECT_EQ(devices[0]->bustype, DRM_BUS_PCI);
  EXPECT_EQ(devices[0]->businfo.pci->bus, 3);
  EXPECT_EQ(devices[0]->deviceinfo.pci->vendor_id, 0x1002);
  EXPECT_EQ(devices[0]->deviceinfo.pci->device_id, 0x73bf);
  EXPECT_STREQ(devices[0]->nodes[DRM_NODE_RENDER], "/dev/dri/renderD128");
  drmFreeDevices(devices, count);
}

TEST_F(DrmDeviceTest, libdrm_amdgpu_reads_a_navi21) {
  std::uint32_t major = 0, minor = 0;
  amdgpu_device_handle device = nullptr;
  ASSERT_EQ(amdgpu_device_initialize(fd(), &major, &minor, &device), 0);
  amdgpu_gpu_info gpu = {};
  ASSERT_EQ(amdgpu_query_gpu_info(device, &gpu), 0);
  EXPECT_EQ(gpu.family_id, static_cast<std::uint32_t>(AMDGPU_FAMILY_NV));
  EXPECT_EQ(gpu.cu_active_number, 72u);
  unsigned units = 0;
  for (const auto& engine : gpu.cu_bitmap)
    for (std::uint32_t array : engine)
      units += static_cast<unsigned>(__builtin_popcount(array));
  EXPECT_EQ(units, 72u);
  EXPECT_EQ(gpu.gb_addr_cfg, 0x545u);
  EXPECT_STREQ(amdgpu_get_marketing_name(device), "AMD Radeon RX 6800 XT");
  drm_amdgpu_info_hw_ip rings = {};
  ASSERT_EQ(amdgpu_query_hw_ip_info(device, AMDGPU_HW_IP_COMPUTE, 0, &rings), 0);
  EXPECT_EQ(rings.available_rings, 0xfu);
  ASSERT_EQ(amdgpu_query_hw_ip_info(device, AMDGPU_HW_IP_VCN_DEC, 0, &rings), 0);
  EXPECT_EQ(rings.available_rings, 0u) << "no video engine";
  amdgpu_device_deinitialize(device);
}

TEST_F(DrmDeviceTest, queries_are_checked) {
  std::uint64_t value = 0;
  EXPECT_EQ(info(0x7777, value), EINVAL);
  drm_amdgpu_info args = {};
  args.query = AMDGPU_INFO_ACCEL_WORKING;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_INFO, &args), EINVAL) << "no room for the answer";
  std::uint32_t working = 0;
  EXPECT_EQ(info(AMDGPU_INFO_ACCEL_WORKING, working), 0);
  EXPECT_EQ(working, 1u);
  std::uint64_t before = 0, after = 0;
  EXPECT_EQ(info(AMDGPU_INFO_TIMESTAMP, before), 0);
  usleep(1000);
  EXPECT_EQ(info(AMDGPU_INFO_TIMESTAMP, after), 0);
  EXPECT_GE(after - before, 100'000u) << "100 MHz for a millisecond";
}

TEST_F(DrmDeviceTest, memory_usage_counts_buffers) {
  std::uint64_t before = 0, during = 0, after = 0;
  ASSERT_EQ(info(AMDGPU_INFO_VRAM_USAGE, before), 0);
  std::uint32_t handle = 0;
  ASSERT_EQ(create_buffer(1 << 20, AMDGPU_GEM_DOMAIN_VRAM, 0, handle), 0);
  ASSERT_EQ(info(AMDGPU_INFO_VRAM_USAGE, during), 0);
  EXPECT_EQ(during - before, 1u << 20);
  drm_gem_close close_args = {handle, 0};
  ASSERT_EQ(ioctl_error(fd(), DRM_IOCTL_GEM_CLOSE, &close_args), 0);
  ASSERT_EQ(info(AMDGPU_INFO_VRAM_USAGE, after), 0);
  EXPECT_EQ(after, before);
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_GEM_CLOSE, &close_args), EINVAL);
}

TEST_F(DrmDeviceTest, memory_usage_survives_a_change_of_placement) {
  std::uint64_t before = 0, after = 0;
  ASSERT_EQ(info(AMDGPU_INFO_VRAM_USAGE, before), 0);
  std::uint32_t handle = 0;
  ASSERT_EQ(create_buffer(1 << 20, AMDGPU_GEM_DOMAIN_VRAM, 0, handle), 0);
  drm_amdgpu_gem_op place = {handle, AMDGPU_GEM_OP_SET_PLACEMENT, AMDGPU_GEM_DOMAIN_GTT};
  ASSERT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_OP, &place), 0);
  drm_gem_close close_args = {handle, 0};
  ASSERT_EQ(ioctl_error(fd(), DRM_IOCTL_GEM_CLOSE, &close_args), 0);
  ASSERT_EQ(info(AMDGPU_INFO_VRAM_USAGE, after), 0);
  EXPECT_EQ(after, before);
}

TEST_F(DrmDeviceTest, buffer_creation_is_checked) {
  std::uint32_t handle = 0;
  EXPECT_EQ(create_buffer(4096, 0, 0, handle), 0) << "no domain at all means system memory";
  EXPECT_EQ(create_buffer(4096, 0x40, 0, handle), EINVAL);
  EXPECT_EQ(create_buffer(4096, AMDGPU_GEM_DOMAIN_VRAM | AMDGPU_GEM_DOMAIN_GDS, 0, handle), EINVAL);
  EXPECT_EQ(create_buffer(4096, AMDGPU_GEM_DOMAIN_VRAM, 1ull << 40, handle), EINVAL);
  EXPECT_EQ(create_buffer(4096, AMDGPU_GEM_DOMAIN_VRAM, AMDGPU_GEM_CREATE_ENCRYPTED, handle), EINVAL);
  EXPECT_EQ(create_buffer(1ull << 45, AMDGPU_GEM_DOMAIN_GTT, 0, handle), ENOMEM);
}

TEST_F(DrmDeviceTest, cpu_mapping_needs_permission) {
  const std::uint32_t hidden = buffer(4096, AMDGPU_GEM_CREATE_NO_CPU_ACCESS);
  drm_amdgpu_gem_mmap map = {};
  map.in.handle = hidden;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_MMAP, &map), EPERM);
  map.in.handle = 9999;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_MMAP, &map), ENOENT);
  map.in.handle = buffer(4096);
  ASSERT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_MMAP, &map), 0);
  const auto offset = static_cast<off_t>(map.out.addr_ptr);
  const UniqueFd other(open_render_node());
  EXPECT_EQ(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, other.get(), offset), MAP_FAILED);
  EXPECT_EQ(errno, EACCES) << "a file that has no handle of it";
}

TEST_F(DrmDeviceTest, address_space_is_checked) {
  const std::uint32_t handle = buffer();
  constexpr std::uint64_t base = 0x1'0000'0000;
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, handle, 0x1000, 0, 4096), EINVAL) << "reserved bottom";
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, handle, 0x0000'8000'0000'0000, 0, 4096), EINVAL) << "the hole";
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, handle, 0xffff'ffff'ffff'f000, 0, 4096), EINVAL) << "reserved top";
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, handle, base + 1, 0, 4096), EINVAL);
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, handle, base, 100, 4096), EINVAL);
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, handle, base, 0, 65536 + 4096), EINVAL) << "beyond the buffer";
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, handle, base, 65536 - 4096, 8192), EINVAL);
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, 9999, base, 0, 4096), ENOENT);
  EXPECT_EQ(va(9, handle, base, 0, 4096), EINVAL);
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, handle, base, 0, 4096, 1u << 20), EINVAL);

  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, handle, base, 0, 16384), 0);
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, handle, base + 8192, 0, 16384), EINVAL) << "overlaps";
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, handle, 0xffff'8000'0000'0000, 0, 4096), 0) << "the upper half";
  EXPECT_EQ(va(AMDGPU_VA_OP_UNMAP, handle, base + 4096, 0, 4096), ENOENT) << "only whole mappings";
  EXPECT_EQ(va(AMDGPU_VA_OP_REPLACE, handle, base + 4096, 0, 4096), 0);
  EXPECT_EQ(va(AMDGPU_VA_OP_UNMAP, handle, base, 0, 4096), 0) << "what REPLACE left before it";
  EXPECT_EQ(va(AMDGPU_VA_OP_UNMAP, handle, base + 4096, 0, 4096), 0);
  EXPECT_EQ(va(AMDGPU_VA_OP_UNMAP, handle, base + 8192, 0, 4096), 0) << "and behind it";
  EXPECT_EQ(va(AMDGPU_VA_OP_CLEAR, 0, base, 0, 1 << 20), 0) << "nothing there is fine";
}

TEST_F(DrmDeviceTest, prime_gives_one_handle_for_one_buffer) {
  const std::uint32_t handle = buffer();
  int exported = -1;
  ASSERT_EQ(drmPrimeHandleToFD(fd(), handle, DRM_CLOEXEC | DRM_RDWR, &exported), 0);
  EXPECT_NE(ftruncate(exported, 0), 0);
  const UniqueFd dma_buf(exported);
  std::uint32_t again = 0;
  ASSERT_EQ(drmPrimeFDToHandle(fd(), exported, &again), 0);
  EXPECT_EQ(again, handle);
  const UniqueFd other(open_render_node());
  std::uint32_t first = 0, second = 0;
  ASSERT_EQ(drmPrimeFDToHandle(other.get(), exported, &first), 0);
  ASSERT_EQ(drmPrimeFDToHandle(other.get(), exported, &second), 0);
  EXPECT_EQ(first, second);
  std::uint32_t none = 0;
  EXPECT_NE(drmPrimeFDToHandle(fd(), fd(), &none), 0);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_NE(drmPrimeFDToHandle(fd(), -1, &none), 0);
  EXPECT_EQ(errno, EBADF);
  int out = -1;
  EXPECT_NE(drmPrimeHandleToFD(fd(), buffer(4096, AMDGPU_GEM_CREATE_VM_ALWAYS_VALID), 0, &out), 0);
  EXPECT_EQ(errno, EPERM);
}

TEST_F(DrmDeviceTest, userptr_memory_is_mapped_but_not_exported) {
  void* memory = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  drm_amdgpu_gem_userptr args = {};
  args.addr = reinterpret_cast<std::uint64_t>(memory);
  args.size = 8192;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_USERPTR, &args), EACCES)
      << "writable memory must be registered";
  args.flags = AMDGPU_GEM_USERPTR_REGISTER | AMDGPU_GEM_USERPTR_VALIDATE | AMDGPU_GEM_USERPTR_ANONONLY;
  args.addr += 1;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_USERPTR, &args), EINVAL);
  args.addr -= 1;
  ASSERT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_USERPTR, &args), 0);
  EXPECT_EQ(va(AMDGPU_VA_OP_MAP, args.handle, 0x2'0000'0000, 0, 8192), 0);
  drm_amdgpu_gem_create_in created = {};
  drm_amdgpu_gem_op ask = {args.handle, AMDGPU_GEM_OP_GET_GEM_CREATE_INFO,
                           reinterpret_cast<std::uint64_t>(&created)};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_GEM_OP, &ask), 0);
  EXPECT_EQ(created.domains, AMDGPU_GEM_DOMAIN_GTT);
  EXPECT_EQ(created.domain_flags, AMDGPU_GEM_CREATE_VRAM_WIPE_ON_RELEASE);
  int out = -1;
  EXPECT_NE(drmPrimeHandleToFD(fd(), args.handle, 0, &out), 0);
  EXPECT_EQ(errno, EPERM);
  munmap(memory, 8192);
}

TEST_F(DrmDeviceTest, render_node_refuses_what_is_for_masters) {
  drm_auth auth = {};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_GET_MAGIC, &auth), EACCES);
  drm_gem_flink flink = {};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_GEM_FLINK, &flink), EACCES);
  drm_amdgpu_sched sched = {};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_SCHED, &sched), EACCES);
  EXPECT_EQ(ioctl_error(fd(), DRM_IOW(0x5f, int), &sched), EINVAL) << "no such ioctl";
  std::uint64_t value = 0;
  EXPECT_EQ(drmGetCap(fd(), DRM_CAP_SYNCOBJ_TIMELINE, &value), 0);
  EXPECT_EQ(value, 1u);
  EXPECT_EQ(drmGetCap(fd(), DRM_CAP_PRIME, &value), 0);
  EXPECT_EQ(value, static_cast<std::uint64_t>(DRM_PRIME_CAP_IMPORT | DRM_PRIME_CAP_EXPORT));
}

TEST_F(DrmDeviceTest, contexts_and_buffer_lists_are_checked) {
  drm_amdgpu_ctx ctx = {};
  ctx.in.op = AMDGPU_CTX_OP_ALLOC_CTX;
  ASSERT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_CTX, &ctx), 0);
  const std::uint32_t id = ctx.out.alloc.ctx_id;
  ctx = {};
  ctx.in.op = AMDGPU_CTX_OP_QUERY_STATE2;
  ctx.in.ctx_id = id;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_CTX, &ctx), 0);
  EXPECT_EQ(ctx.out.state.flags, 0u);
  ctx = {};
  ctx.in.op = AMDGPU_CTX_OP_FREE_CTX;
  ctx.in.ctx_id = id;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_CTX, &ctx), 0);
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_CTX, &ctx), EINVAL);
  ctx.in.op = 77;
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_CTX, &ctx), EINVAL);

  drm_amdgpu_bo_list_entry entry = {9999, 0};
  drm_amdgpu_bo_list list = {};
  list.in = {AMDGPU_BO_LIST_OP_CREATE, 0, 1, sizeof entry, reinterpret_cast<std::uint64_t>(&entry)};
  EXPECT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_BO_LIST, &list), ENOENT);
  entry.bo_handle = buffer();
  ASSERT_EQ(ioctl_error(fd(), DRM_IOCTL_AMDGPU_BO_LIST, &list), 0);
  EXPECT_EQ(list.out.list_handle, 1u);
}

} // namespace
