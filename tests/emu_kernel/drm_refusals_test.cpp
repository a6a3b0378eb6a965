// Every rule of the DRM core, PRIME and amdgpu's buffer calls that docs/kernel-abi-drm.md names, broken once:
// the errno is the kernel's (drm_ioctl.c, drm_auth.c, drm_gem.c, drm_prime.c, amdgpu_gem.c, amdgpu_object.c,
// amdgpu_vm.c), 6.12's but where a row says 7.2.
#include "drm_bench.hpp"

#include <cstring>
#include <linux/capability.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

namespace {

using namespace drm_test;

class CoreRefusals : public RefusalTest {};
class GemRefusals : public RefusalTest {};
class VaRefusals : public RefusalTest {};
class InfoRefusals : public RefusalTest {};
TEST_P(CoreRefusals, give_the_kernels_errno) {
  expect_refused();
}
TEST_P(GemRefusals, give_the_kernels_errno) {
  expect_refused();
}
TEST_P(VaRefusals, give_the_kernels_errno) {
  expect_refused();
}
TEST_P(InfoRefusals, give_the_kernels_errno) {
  expect_refused();
}

bool may_administer() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & 1u << CAP_SYS_ADMIN);
}

int raw(int fd, unsigned long request, std::uint64_t pointer) {
  return ioctl(fd, request, pointer) == 0 ? 0 : errno;
}

const Refusal core[] = {
    {"foreign_ioctl_type", [](Bench& b) { return raw(b.fd(), _IOR('K', 0x01, std::uint64_t), bad_pointer); },
     ENOTTY},
    {"unknown_core_number", [](Bench& b) { return b.call(DRM_IO(0x03), 0); }, EINVAL},
    {"unknown_amdgpu_number", [](Bench& b) { return b.call(DRM_IO(DRM_COMMAND_BASE + 0x3f), 0); }, EINVAL},
    {"null_argument", [](Bench& b) { return raw(b.fd(), DRM_IOCTL_SYNCOBJ_CREATE, 0); }, EFAULT},
    {"bad_argument", [](Bench& b) { return raw(b.fd(), DRM_IOCTL_AMDGPU_CS, bad_pointer); }, EFAULT},
    {"argument_is_read_before_permission",
     [](Bench& b) { return raw(b.fd(), DRM_IOCTL_AMDGPU_SCHED, bad_pointer); }, EFAULT},
    {"version_name_nowhere",
     [](Bench& b) {
       drm_version args = {};
       args.name_len = 16;
       args.name = reinterpret_cast<char*>(bad_pointer);
       return b.call(DRM_IOCTL_VERSION, args);
     },
     EFAULT},
    {"unknown_capability",
     [](Bench& b) {
       return b.call(DRM_IOCTL_GET_CAP, drm_get_cap{0x99, 0});
     },
     EOPNOTSUPP},
    {"dumb_buffer_capability",
     [](Bench& b) {
       return b.call(DRM_IOCTL_GET_CAP, drm_get_cap{DRM_CAP_DUMB_BUFFER, 0});
     },
     EOPNOTSUPP},
    {"exclusive_open",
     [](Bench&) { return open("/dev/dri/renderD128", O_RDWR | O_EXCL | O_CLOEXEC) < 0 ? errno : 0; }, EBUSY},

    {"render_get_unique", [](Bench& b) { return b.call(DRM_IOCTL_GET_UNIQUE, drm_unique{}); }, EACCES},
    {"render_get_magic", [](Bench& b) { return b.call(DRM_IOCTL_GET_MAGIC, drm_auth{}); }, EACCES},
    {"render_get_client", [](Bench& b) { return b.call(DRM_IOCTL_GET_CLIENT, drm_client{}); }, EACCES},
    {"render_get_stats", [](Bench& b) { return b.call(DRM_IOCTL_GET_STATS, drm_stats{}); }, EACCES},
    {"render_set_version", [](Bench& b) { return b.call(DRM_IOCTL_SET_VERSION, drm_set_version{}); }, EACCES},
    {"render_set_client_cap", [](Bench& b) { return b.call(DRM_IOCTL_SET_CLIENT_CAP, drm_set_client_cap{}); },
     EACCES},
    {"render_auth_magic", [](Bench& b) { return b.call(DRM_IOCTL_AUTH_MAGIC, drm_auth{}); }, EACCES},
    {"render_set_master", [](Bench& b) { return b.call(DRM_IOCTL_SET_MASTER, 0); }, EACCES},
    {"render_drop_master", [](Bench& b) { return b.call(DRM_IOCTL_DROP_MASTER, 0); }, EACCES},
    {"render_flink",
     [](Bench& b) {
       return b.call(DRM_IOCTL_GEM_FLINK, drm_gem_flink{b.buffer(), 0});
     },
     EACCES},
    {"render_open_by_name",
     [](Bench& b) {
       return b.call(DRM_IOCTL_GEM_OPEN, drm_gem_open{1, 0, 0});
     },
     EACCES},
    {"render_mode_resources",
     [](Bench& b) { return b.call(DRM_IOCTL_MODE_GETRESOURCES, drm_mode_card_res{}); }, EACCES},
    {"render_dumb_buffer",
     [](Bench& b) { return b.call(DRM_IOCTL_MODE_CREATE_DUMB, drm_mode_create_dumb{}); }, EACCES},
    {"mode_argument_is_read_before_permission",
     [](Bench& b) { return raw(b.fd(), DRM_IOCTL_MODE_GETRESOURCES, bad_pointer); }, EFAULT},
    {"render_vblank", [](Bench& b) { return b.call(DRM_IOCTL_WAIT_VBLANK, drm_wait_vblank{}); }, EACCES},
    {"render_finish", [](Bench& b) { return b.call(DRM_IOCTL_FINISH, drm_lock{}); }, EACCES},

    {"client_of_another_index",
     [](Bench& b) {
       return b.call_primary(DRM_IOCTL_GET_CLIENT, drm_client{1, 0, 0, 0, 0, 0});
     },
     EINVAL},
    {"version_of_another_interface",
     [](Bench& b) {
       return b.call_primary(DRM_IOCTL_SET_VERSION, drm_set_version{2, 0, -1, -1});
     },
     EINVAL},
    {"version_of_another_driver",
     [](Bench& b) {
       return b.call_primary(DRM_IOCTL_SET_VERSION, drm_set_version{1, 1, 4, 0});
     },
     EINVAL},
    {"magic_0", [](Bench& b) { return b.call_primary(DRM_IOCTL_AUTH_MAGIC, drm_auth{0}); }, EINVAL},
    {"magic_that_nobody_has", [](Bench& b) { return b.call_primary(DRM_IOCTL_AUTH_MAGIC, drm_auth{77}); },
     EINVAL},
    {"client_cap_without_display",
     [](Bench& b) {
       return b.call_primary(DRM_IOCTL_SET_CLIENT_CAP, drm_set_client_cap{2, 1});
     },
     EOPNOTSUPP},
    {"modes_without_display",
     [](Bench& b) { return b.call_primary(DRM_IOCTL_MODE_GETRESOURCES, drm_mode_card_res{}); }, EOPNOTSUPP},
    {"vblank_without_display",
     [](Bench& b) { return b.call_primary(DRM_IOCTL_WAIT_VBLANK, drm_wait_vblank{}); }, EOPNOTSUPP},
    {"framebuffer_without_display",
     [](Bench& b) { return b.call_primary(DRM_IOCTL_MODE_GETFB2, drm_mode_fb_cmd2{}); }, EINVAL},
    {"attaching_a_mode_does_nothing",
     [](Bench& b) { return b.call_primary(DRM_IOCTL_MODE_ATTACHMODE, drm_mode_mode_cmd{}); }, 0},
    {"set_unique",
     [](Bench& b) {
       const int error = b.call_primary(DRM_IOCTL_SET_UNIQUE, drm_unique{});
       return may_administer() ? error : error == EACCES ? EINVAL : -1; // EACCES for who is not root
     },
     EINVAL},
    {"legacy_finish_does_nothing", [](Bench& b) { return b.call_primary(DRM_IOCTL_FINISH, drm_lock{}); }, 0},
    {"flink_of_no_buffer",
     [](Bench& b) {
       return b.call_primary(DRM_IOCTL_GEM_FLINK, drm_gem_flink{no_handle, 0});
     },
     ENOENT},
    {"open_of_no_name",
     [](Bench& b) {
       return b.call_primary(DRM_IOCTL_GEM_OPEN, drm_gem_open{0, 0, 0});
     },
     ENOENT},
    {"open_of_what_another_vm_always_has",
     [](Bench& b) {
       drm_amdgpu_gem_create args = {};
       args.in = {4096, 0, AMDGPU_GEM_DOMAIN_GTT, AMDGPU_GEM_CREATE_VM_ALWAYS_VALID};
       EXPECT_EQ(ioctl_error(b.primary(), DRM_IOCTL_AMDGPU_GEM_CREATE, &args), 0);
       drm_gem_flink flink = {args.out.handle, 0};
       EXPECT_EQ(ioctl_error(b.primary(), DRM_IOCTL_GEM_FLINK, &flink), 0);
       drm_gem_open again = {flink.name, 0, 0};
       EXPECT_EQ(ioctl_error(b.primary(), DRM_IOCTL_GEM_OPEN, &again), 0) << "by the VM's own file";
       const UniqueFd other(open("/dev/dri/card0", O_RDWR | O_CLOEXEC));
       return ioctl_error(other.get(), DRM_IOCTL_GEM_OPEN, &again);
     },
     EPERM},

    {"close_of_no_handle",
     [](Bench& b) {
       return b.call(DRM_IOCTL_GEM_CLOSE, drm_gem_close{no_handle, 0});
     },
     EINVAL},
    {"close_twice",
     [](Bench& b) {
       const std::uint32_t handle = b.buffer();
       b.call(DRM_IOCTL_GEM_CLOSE, drm_gem_close{handle, 0});
       return b.call(DRM_IOCTL_GEM_CLOSE, drm_gem_close{handle, 0});
     },
     EINVAL},
    {"export_flags",
     [](Bench& b) {
       return b.call(DRM_IOCTL_PRIME_HANDLE_TO_FD, drm_prime_handle{b.buffer(), 1u << 5, -1});
     },
     EINVAL},
    {"export_of_no_handle",
     [](Bench& b) {
       return b.call(DRM_IOCTL_PRIME_HANDLE_TO_FD, drm_prime_handle{no_handle, 0, -1});
     },
     ENOENT},
    {"export_of_program_memory",
     [](Bench& b) {
       return b.call(DRM_IOCTL_PRIME_HANDLE_TO_FD, drm_prime_handle{b.userptr(), 0, -1});
     },
     EPERM},
    {"export_of_vm_always_valid",
     [](Bench& b) {
       const std::uint32_t handle = b.buffer(4096, AMDGPU_GEM_CREATE_VM_ALWAYS_VALID);
       return b.call(DRM_IOCTL_PRIME_HANDLE_TO_FD, drm_prime_handle{handle, 0, -1});
     },
     EPERM},
    {"import_of_no_descriptor",
     [](Bench& b) {
       return b.call(DRM_IOCTL_PRIME_FD_TO_HANDLE, drm_prime_handle{0, 0, -1});
     },
     EBADF},
    {"import_of_an_eventfd",
     [](Bench& b) {
       const UniqueFd event(eventfd(0, EFD_CLOEXEC));
       return b.call(DRM_IOCTL_PRIME_FD_TO_HANDLE, drm_prime_handle{0, 0, event.get()});
     },
     EINVAL},
    {"import_of_a_foreign_memfd",
     [](Bench& b) {
       const UniqueFd memory(static_cast<int>(syscall(SYS_memfd_create, "anything", 1u)));
       EXPECT_EQ(ftruncate(memory.get(), 65536), 0);
       return b.call(DRM_IOCTL_PRIME_FD_TO_HANDLE, drm_prime_handle{0, 0, memory.get()});
     },
     EINVAL},
};
INSTANTIATE_TEST_SUITE_P(Drm, CoreRefusals, ::testing::ValuesIn(core), name_of);

int create(Bench& b, std::uint64_t size, std::uint64_t domains, std::uint64_t flags = 0) {
  drm_amdgpu_gem_create args = {};
  args.in = {size, 0, domains, flags};
  return b.call(DRM_IOCTL_AMDGPU_GEM_CREATE, args);
}
int userptr(Bench& b, std::uint64_t address, std::uint64_t size, std::uint32_t flags) {
  return b.call(DRM_IOCTL_AMDGPU_GEM_USERPTR, drm_amdgpu_gem_userptr{address, size, flags, 0});
}
int map_handle(Bench& b, std::uint32_t handle) {
  drm_amdgpu_gem_mmap args = {};
  args.in.handle = handle;
  return b.call(DRM_IOCTL_AMDGPU_GEM_MMAP, args);
}
int metadata(Bench& b, std::uint32_t handle, std::uint32_t op, std::uint32_t size) {
  drm_amdgpu_gem_metadata args = {};
  args.handle = handle;
  args.op = op;
  args.data.data_size_bytes = size;
  return b.call(DRM_IOCTL_AMDGPU_GEM_METADATA, args);
}
constexpr std::uint32_t registered = AMDGPU_GEM_USERPTR_REGISTER;
constexpr std::uint32_t validated = registered | AMDGPU_GEM_USERPTR_VALIDATE;

// Program memory of two pages of the given kind, for as long as the row runs.
template <class Attempt>
int with_pages(int protection, int flags, Attempt attempt) {
  void* pages = mmap(nullptr, 8192, protection, flags, -1, 0);
  const int result = attempt(reinterpret_cast<std::uint64_t>(pages));
  munmap(pages, 8192);
  return result;
}

const Refusal gem[] = {
    {"create_doorbell", [](Bench& b) { return create(b, 4096, 0x40); }, EINVAL},
    {"create_unknown_domain", [](Bench& b) { return create(b, 4096, 0x80); }, EINVAL},
    {"create_domain_beyond_32_bits", [](Bench& b) { return create(b, 4096, 1ull << 40 | 4); }, EINVAL},
    {"create_vram_and_gds",
     [](Bench& b) { return create(b, 4096, AMDGPU_GEM_DOMAIN_VRAM | AMDGPU_GEM_DOMAIN_GDS); }, EINVAL},
    {"create_gws_and_oa", [](Bench& b) { return create(b, 1, AMDGPU_GEM_DOMAIN_GWS | AMDGPU_GEM_DOMAIN_OA); },
     EINVAL},
    {"create_gds_of_the_vm",
     [](Bench& b) { return create(b, 64, AMDGPU_GEM_DOMAIN_GDS, AMDGPU_GEM_CREATE_VM_ALWAYS_VALID); },
     EINVAL},
    {"create_unknown_flag", [](Bench& b) { return create(b, 4096, AMDGPU_GEM_DOMAIN_VRAM, 1ull << 40); },
     EINVAL},
    {"create_kernel_flag",
     [](Bench& b) { return create(b, 4096, AMDGPU_GEM_DOMAIN_VRAM, AMDGPU_GEM_CREATE_VRAM_CONTIGUOUS); },
     EINVAL},
    {"create_encrypted",
     [](Bench& b) { return create(b, 4096, AMDGPU_GEM_DOMAIN_VRAM, AMDGPU_GEM_CREATE_ENCRYPTED); }, EINVAL},
    {"create_of_size_0", [](Bench& b) { return create(b, 0, AMDGPU_GEM_DOMAIN_GTT); }, ENOSPC},
    {"create_size_that_overflows", [](Bench& b) { return create(b, ~0ull, AMDGPU_GEM_DOMAIN_VRAM); }, ENOSPC},
    {"create_more_gtt_than_there_is", [](Bench& b) { return create(b, 1ull << 45, AMDGPU_GEM_DOMAIN_GTT); },
     ENOMEM},
    {"create_more_vram_than_anything", [](Bench& b) { return create(b, 1ull << 45, AMDGPU_GEM_DOMAIN_VRAM); },
     ENOMEM},
    {"create_more_system_memory_than_mmap_can_name",
     [](Bench& b) { return create(b, 1ull << 45, AMDGPU_GEM_DOMAIN_CPU); }, ENOSPC},

    {"mmap_of_no_handle", [](Bench& b) { return map_handle(b, no_handle); }, ENOENT},
    {"mmap_clears_its_argument_first",
     [](Bench& b) {
       const int error = map_handle(b, no_handle);
       return b.answer<drm_amdgpu_gem_mmap>().out.addr_ptr == 0 ? error : -1;
     },
     ENOENT},
    {"mmap_without_cpu_access",
     [](Bench& b) { return map_handle(b, b.buffer(4096, AMDGPU_GEM_CREATE_NO_CPU_ACCESS)); }, EPERM},
    {"mmap_of_program_memory", [](Bench& b) { return map_handle(b, b.userptr()); }, EPERM},
    {"mmap_of_gds", [](Bench& b) { return map_handle(b, b.buffer(64, 0, AMDGPU_GEM_DOMAIN_GDS)); }, EPERM},
    {"mmap_at_no_offset",
     [](Bench& b) { return mmap(nullptr, 4096, PROT_READ, MAP_SHARED, b.fd(), 0) == MAP_FAILED ? errno : 0; },
     EINVAL},
    {"mmap_by_a_file_without_a_handle",
     [](Bench& b) {
       map_handle(b, b.buffer());
       const auto offset = static_cast<off_t>(b.answer<drm_amdgpu_gem_mmap>().out.addr_ptr);
       const UniqueFd other(open_render_node());
       return mmap(nullptr, 4096, PROT_READ, MAP_SHARED, other.get(), offset) == MAP_FAILED ? errno : 0;
     },
     EACCES},
    {"mmap_longer_than_the_buffer_by_a_file_without_a_handle",
     [](Bench& b) {
       map_handle(b, b.buffer(4096));
       const auto offset = static_cast<off_t>(b.answer<drm_amdgpu_gem_mmap>().out.addr_ptr);
       const UniqueFd other(open_render_node());
       return mmap(nullptr, 8192, PROT_READ, MAP_SHARED, other.get(), offset) == MAP_FAILED ? errno : 0;
     },
     EINVAL},
    {"mmap_after_close",
     [](Bench& b) {
       const std::uint32_t handle = b.buffer();
       map_handle(b, handle);
       const auto offset = static_cast<off_t>(b.answer<drm_amdgpu_gem_mmap>().out.addr_ptr);
       b.call(DRM_IOCTL_GEM_CLOSE, drm_gem_close{handle, 0});
       return mmap(nullptr, 4096, PROT_READ, MAP_SHARED, b.fd(), offset) == MAP_FAILED ? errno : 0;
     },
     EINVAL},
    {"mmap_longer_than_the_buffer",
     [](Bench& b) {
       map_handle(b, b.buffer(4096));
       const auto offset = static_cast<off_t>(b.answer<drm_amdgpu_gem_mmap>().out.addr_ptr);
       return mmap(nullptr, 8192, PROT_READ, MAP_SHARED, b.fd(), offset) == MAP_FAILED ? errno : 0;
     },
     EINVAL},

    {"mmap_from_the_middle",
     [](Bench& b) {
       map_handle(b, b.buffer(8192));
       const auto offset = static_cast<off_t>(b.answer<drm_amdgpu_gem_mmap>().out.addr_ptr) + 4096;
       return mmap(nullptr, 4096, PROT_READ, MAP_SHARED, b.fd(), offset) == MAP_FAILED ? errno : 0;
     },
     EINVAL},
    {"mmap_copied_on_write",
     [](Bench& b) {
       map_handle(b, b.buffer(4096));
       const auto offset = static_cast<off_t>(b.answer<drm_amdgpu_gem_mmap>().out.addr_ptr);
       return mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, b.fd(), offset) == MAP_FAILED ? errno : 0;
     },
     EINVAL},
    {"dma_buf_read_only_mapped_for_writing",
     [](Bench& b) {
       EXPECT_EQ(b.call(DRM_IOCTL_PRIME_HANDLE_TO_FD, drm_prime_handle{b.buffer(), DRM_CLOEXEC, -1}), 0);
       const UniqueFd file(b.answer<drm_prime_handle>().fd);
       EXPECT_NE(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file.get(), 4096), MAP_FAILED);
       return mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, file.get(), 0) == MAP_FAILED ? errno : 0;
     },
     EACCES},
    {"dma_buf_without_cpu_access",
     [](Bench& b) {
       const std::uint32_t handle = b.buffer(4096, AMDGPU_GEM_CREATE_NO_CPU_ACCESS);
       EXPECT_EQ(b.call(DRM_IOCTL_PRIME_HANDLE_TO_FD, drm_prime_handle{handle, DRM_CLOEXEC | DRM_RDWR, -1}),
                 0);
       const UniqueFd file(b.answer<drm_prime_handle>().fd);
       return mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file.get(), 0) == MAP_FAILED ? errno : 0;
     },
     EPERM},
    {"dma_buf_mapped_beyond_its_end",
     [](Bench& b) {
       EXPECT_EQ(b.call(DRM_IOCTL_PRIME_HANDLE_TO_FD, drm_prime_handle{b.buffer(8192), DRM_CLOEXEC, -1}), 0);
       const UniqueFd file(b.answer<drm_prime_handle>().fd);
       return mmap(nullptr, 8192, PROT_READ, MAP_SHARED, file.get(), 4096) == MAP_FAILED ? errno : 0;
     },
     EINVAL},

    {"wait_idle_of_no_handle",
     [](Bench& b) {
       drm_amdgpu_gem_wait_idle args = {};
       args.in.handle = no_handle;
       return b.call(DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE, args);
     },
     ENOENT},

    {"metadata_of_no_handle",
     [](Bench& b) { return metadata(b, no_handle, AMDGPU_GEM_METADATA_OP_GET_METADATA, 0); }, ENOENT},
    {"metadata_too_large",
     [](Bench& b) { return metadata(b, b.buffer(), AMDGPU_GEM_METADATA_OP_SET_METADATA, 257); }, EINVAL},

    {"op_on_no_handle",
     [](Bench& b) {
       return b.call(DRM_IOCTL_AMDGPU_GEM_OP, drm_amdgpu_gem_op{no_handle, 0, 0});
     },
     ENOENT},
    {"op_unknown",
     [](Bench& b) {
       return b.call(DRM_IOCTL_AMDGPU_GEM_OP, drm_amdgpu_gem_op{b.buffer(), 9, 0});
     },
     EINVAL},
    {"op_padding_before_the_handle_7_2",
     [](Bench& b) {
       struct LongOp { // drm_amdgpu_gem_op, as long as in Linux 7.2
         std::uint32_t handle, op;
         std::uint64_t value;
         std::uint32_t num_entries, padding;
       };
       return b.call(DRM_IOWR(DRM_COMMAND_BASE + DRM_AMDGPU_GEM_OP, LongOp), LongOp{no_handle, 0, 0, 0, 1});
     },
     EINVAL},
    {"op_mapping_info_is_newer",
     [](Bench& b) {
       return b.call(DRM_IOCTL_AMDGPU_GEM_OP, drm_amdgpu_gem_op{b.buffer(), 2, 0});
     },
     EINVAL},
    {"op_info_to_nowhere",
     [](Bench& b) {
       return b.call(DRM_IOCTL_AMDGPU_GEM_OP,
                     drm_amdgpu_gem_op{b.buffer(), AMDGPU_GEM_OP_GET_GEM_CREATE_INFO, bad_pointer});
     },
     EFAULT},
    {"op_placement_of_program_memory",
     [](Bench& b) {
       return b.call(DRM_IOCTL_AMDGPU_GEM_OP,
                     drm_amdgpu_gem_op{b.userptr(), AMDGPU_GEM_OP_SET_PLACEMENT, AMDGPU_GEM_DOMAIN_GTT});
     },
     EPERM},

    {"userptr_address_off_page", [](Bench& b) { return userptr(b, 0x10001, 4096, registered); }, EINVAL},
    {"userptr_size_off_page", [](Bench& b) { return userptr(b, 0x10000, 4095, registered); }, EINVAL},
    {"userptr_beyond_user_space_before_flags_7_2",
     [](Bench& b) { return userptr(b, 0x7fff'ffff'f000, 4096, registered | 0x10); }, EFAULT},
    {"userptr_that_wraps_around_7_2", [](Bench& b) { return userptr(b, 0x10000, ~0ull << 13, registered); },
     EFAULT},
    {"userptr_unknown_flag", [](Bench& b) { return userptr(b, 0x10000, 4096, registered | 0x10); }, EINVAL},
    {"userptr_written_and_not_registered", [](Bench& b) { return userptr(b, 0x10000, 4096, 0); }, EACCES},
    {"userptr_of_nothing", [](Bench& b) { return userptr(b, 0x10000, 0, registered); }, ENOSPC},
    {"userptr_validated_and_not_there", [](Bench& b) { return userptr(b, 0x10000, 4096, validated); },
     EFAULT},
    {"userptr_validated_and_half_there",
     [](Bench& b) {
       return with_pages(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, [&](std::uint64_t pages) {
         munmap(reinterpret_cast<void*>(pages + 4096), 4096);
         return userptr(b, pages, 8192, validated);
       });
     },
     EFAULT},
    {"userptr_validated_and_unreadable",
     [](Bench& b) {
       return with_pages(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
                         [&](std::uint64_t pages) { return userptr(b, pages, 8192, validated); });
     },
     EFAULT},
    {"userptr_validated_and_not_writable",
     [](Bench& b) {
       return with_pages(PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
                         [&](std::uint64_t pages) { return userptr(b, pages, 8192, validated); });
     },
     EPERM},
    {"userptr_anonymous_only_and_a_file",
     [](Bench& b) {
       return with_pages(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, [&](std::uint64_t pages) {
         return userptr(b, pages, 8192, validated | AMDGPU_GEM_USERPTR_ANONONLY);
       });
     },
     EPERM},
};
INSTANTIATE_TEST_SUITE_P(Amdgpu, GemRefusals, ::testing::ValuesIn(gem), name_of);

constexpr std::uint32_t map = AMDGPU_VA_OP_MAP, unmap = AMDGPU_VA_OP_UNMAP, clear = AMDGPU_VA_OP_CLEAR,
                        replace = AMDGPU_VA_OP_REPLACE;

struct LongVa { // drm_amdgpu_gem_va, as long as in Linux 7.2
  std::uint32_t handle, pad, operation, flags;
  std::uint64_t address, offset, size, timeline_point;
  std::uint32_t timeline, in_count;
  std::uint64_t in;
};
// A mapping with fences in and out of it.
int map_with_fences(Bench& b, std::uint32_t flags, std::uint32_t timeline, std::uint32_t in_count,
                    std::uint64_t in) {
  const std::uint32_t handle = b.buffer();
  return b.call(
      DRM_IOW(DRM_COMMAND_BASE + DRM_AMDGPU_GEM_VA, LongVa),
      LongVa{handle, 0, map, flags | AMDGPU_VM_PAGE_READABLE, va_base, 0, 4096, 1, timeline, in_count, in});
}
int map_after(Bench& b, std::uint32_t syncobj) {
  return map_with_fences(b, 0, 0, 1, address_of(&syncobj));
}

const Refusal va[] = {
    {"below_the_reserved_bottom", [](Bench& b) { return b.va(map, b.buffer(), 0xf000, 0, 4096); }, EINVAL},
    {"hole_begins", [](Bench& b) { return b.va(map, b.buffer(), 0x0000'8000'0000'0000, 0, 4096); }, EINVAL},
    {"hole_ends", [](Bench& b) { return b.va(map, b.buffer(), 0xffff'7fff'ffff'f000, 0, 4096); }, EINVAL},
    {"reserved_top", [](Bench& b) { return b.va(map, b.buffer(), 0xffff'ffff'ffff'f000, 0, 4096); }, EINVAL},
    {"flags_beyond_the_known", [](Bench& b) { return b.va(map, b.buffer(), va_base, 0, 4096, 1u << 20); },
     EINVAL},
    {"sparse_and_readable",
     [](Bench& b) {
       return b.va(map, b.buffer(), va_base, 0, 4096, AMDGPU_VM_PAGE_PRT | AMDGPU_VM_PAGE_READABLE);
     },
     EINVAL},
    {"operation_0", [](Bench& b) { return b.va(0, b.buffer(), va_base, 0, 4096); }, EINVAL},
    {"operation_5", [](Bench& b) { return b.va(5, b.buffer(), va_base, 0, 4096); }, EINVAL},
    {"flags_before_operation_before_handle", [](Bench& b) { return b.va(9, no_handle, va_base, 0, 4096); },
     EINVAL},
    {"map_of_no_handle", [](Bench& b) { return b.va(map, no_handle, va_base, 0, 4096); }, ENOENT},
    {"unmap_of_no_handle", [](Bench& b) { return b.va(unmap, no_handle, va_base, 0, 4096); }, ENOENT},
    {"replace_with_no_handle", [](Bench& b) { return b.va(replace, no_handle, va_base, 0, 4096); }, ENOENT},
    {"map_address_off_page", [](Bench& b) { return b.va(map, b.buffer(), va_base + 8, 0, 4096); }, EINVAL},
    {"map_offset_off_page", [](Bench& b) { return b.va(map, b.buffer(), va_base, 8, 4096); }, EINVAL},
    {"map_size_off_page", [](Bench& b) { return b.va(map, b.buffer(), va_base, 0, 4095); }, EINVAL},
    {"map_of_nothing", [](Bench& b) { return b.va(map, b.buffer(), va_base, 0, 0); }, EINVAL},
    {"map_beyond_the_buffer", [](Bench& b) { return b.va(map, b.buffer(8192), va_base, 4096, 8192); },
     EINVAL},
    {"map_offset_that_overflows",
     [](Bench& b) { return b.va(map, b.buffer(8192), va_base, ~0ull << 12, 8192); }, EINVAL},
    {"map_size_that_overflows", [](Bench& b) { return b.va(map, b.buffer(8192), va_base, 0, ~0ull << 12); },
     EINVAL},
    {"map_over_another",
     [](Bench& b) {
       const std::uint32_t handle = b.buffer();
       EXPECT_EQ(b.va(map, handle, va_base, 0, 16384), 0);
       return b.va(map, handle, va_base + 8192, 0, 16384);
     },
     EINVAL},
    {"unmap_of_a_range_that_wraps_around_7_2",
     [](Bench& b) {
       const std::uint32_t handle = b.buffer();
       EXPECT_EQ(b.va(map, handle, va_base, 0, 4096), 0);
       return b.va(unmap, handle, va_base, 0, ~0ull << 12);
     },
     EINVAL},
    {"range_that_wraps_around_before_handle_7_2",
     [](Bench& b) { return b.va(map, no_handle, va_base, 0, ~0ull << 12); }, EINVAL},
    {"delayed_with_a_fence_out_7_2",
     [](Bench& b) { return map_with_fences(b, AMDGPU_VM_DELAY_UPDATE, b.syncobj(), 0, 0); }, EINVAL},
    {"fence_out_to_no_syncobj_7_2", [](Bench& b) { return map_with_fences(b, 0, no_handle, 0, 0); }, ENOENT},
    {"fences_in_from_nowhere_7_2", [](Bench& b) { return map_with_fences(b, 0, 0, 1, bad_pointer); }, EFAULT},
    {"more_fences_in_than_memory_7_2", [](Bench& b) { return map_with_fences(b, 0, 0, ~0u, bad_pointer); },
     ENOMEM},
    {"fence_in_of_syncobj_0_7_2", [](Bench& b) { return map_after(b, 0); }, EINVAL},
    {"fence_in_of_no_syncobj_7_2", [](Bench& b) { return map_after(b, no_handle); }, ENOENT},
    {"fence_in_that_is_not_there_7_2", [](Bench& b) { return map_after(b, b.syncobj()); }, EINVAL},
    {"fences_in_and_out_mean_nothing",
     [](Bench& b) {
       const std::uint32_t in = b.syncobj(DRM_SYNCOBJ_CREATE_SIGNALED);
       return map_with_fences(b, 0, b.syncobj(), 1, address_of(&in));
     },
     0},
    {"unmap_of_no_mapping", [](Bench& b) { return b.va(unmap, b.buffer(), va_base, 0, 4096); }, ENOENT},
    {"unmap_in_the_middle",
     [](Bench& b) {
       const std::uint32_t handle = b.buffer();
       EXPECT_EQ(b.va(map, handle, va_base, 0, 16384), 0);
       return b.va(unmap, handle, va_base + 4096, 0, 4096);
     },
     ENOENT},
    {"unmap_of_anothers_mapping",
     [](Bench& b) {
       EXPECT_EQ(b.va(map, b.buffer(), va_base, 0, 4096), 0);
       return b.va(unmap, b.buffer(), va_base, 0, 4096);
     },
     ENOENT},
    {"clear_off_page", [](Bench& b) { return b.va(clear, 0, va_base + 8, 0, 4096); }, EINVAL},
    {"clear_of_nothing", [](Bench& b) { return b.va(clear, 0, va_base, 0, 0); }, EINVAL},
    {"replace_beyond_the_buffer", [](Bench& b) { return b.va(replace, b.buffer(4096), va_base, 0, 8192); },
     EINVAL},
    {"replace_off_page", [](Bench& b) { return b.va(replace, b.buffer(), va_base + 1, 0, 4096); }, EINVAL},
    {"sparse_offset_off_page", [](Bench& b) { return b.va(map, 0, va_base, 8, 4096, AMDGPU_VM_PAGE_PRT); },
     EINVAL},
    {"sparse_unmap_of_no_mapping",
     [](Bench& b) { return b.va(unmap, 0, va_base, 0, 4096, AMDGPU_VM_PAGE_PRT); }, ENOENT},
    {"vmid_that_another_vm_has",
     [](Bench& b) {
       drm_amdgpu_vm args = {};
       args.in.op = AMDGPU_VM_OP_RESERVE_VMID;
       EXPECT_EQ(b.call(DRM_IOCTL_AMDGPU_VM, args), 0);
       EXPECT_EQ(b.call(DRM_IOCTL_AMDGPU_VM, args), 0) << "its own again";
       const UniqueFd other(open_render_node());
       return ioctl_error(other.get(), DRM_IOCTL_AMDGPU_VM, &args);
     },
     ENOENT},
    {"vm_flags",
     [](Bench& b) {
       drm_amdgpu_vm args = {};
       args.in.flags = 1;
       return b.call(DRM_IOCTL_AMDGPU_VM, args);
     },
     EINVAL},
    {"vm_operation",
     [](Bench& b) {
       drm_amdgpu_vm args = {};
       args.in.op = 0;
       return b.call(DRM_IOCTL_AMDGPU_VM, args);
     },
     EINVAL},
};
INSTANTIATE_TEST_SUITE_P(Amdgpu, VaRefusals, ::testing::ValuesIn(va), name_of);

struct Query {
  std::uint32_t query;
  std::uint32_t size = 64;
  std::uint32_t a = 0, b = 0, c = 0;
  std::uint64_t pointer = 1; // 1: a buffer of 64 bytes
};
int info(Bench& b, const Query& query) {
  unsigned char out[512];
  drm_amdgpu_info args = {};
  args.query = query.query;
  args.return_size = query.size;
  args.return_pointer = query.pointer == 1 ? address_of(out) : query.pointer;
  const std::uint32_t parameters[] = {query.a, query.b, query.c};
  std::memcpy(&args.query_hw_ip, parameters, sizeof parameters);
  return b.call(DRM_IOCTL_AMDGPU_INFO, args);
}

const Refusal queries[] = {
    {"no_room",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_ACCEL_WORKING, 0});
     },
     EINVAL},
    {"null_pointer",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_ACCEL_WORKING, 4, 0, 0, 0, 0});
     },
     EINVAL},
    {"answer_to_nowhere",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_DEV_INFO, 64, 0, 0, 0, bad_pointer});
     },
     EFAULT},
    {"unknown_query", [](Bench& b) { return info(b, {0x7777}); }, EINVAL},
    {"crtc", [](Bench& b) { return info(b, {AMDGPU_INFO_CRTC_FROM_ID}); }, EINVAL},
    {"engine_instance",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_HW_IP_INFO, 64, 0, 4});
     },
     EINVAL},
    {"engine_kind",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_HW_IP_INFO, 64, 10});
     },
     EINVAL},
    {"count_of_absent_engines",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_HW_IP_COUNT, 64, AMDGPU_HW_IP_VCN_DEC});
     },
     EINVAL},
    {"firmware_kind",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_FW_VERSION, 64, 0x99});
     },
     EINVAL},
    {"firmware_kind_0",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_FW_VERSION, 64, 0});
     },
     EINVAL},
    {"firmware_kind_9",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_FW_VERSION, 64, 9});
     },
     EINVAL},
    {"firmware_of_an_unknown_trusted_application",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_FW_VERSION, 64, AMDGPU_INFO_FW_TA, 0, 8});
     },
     EINVAL},
    {"firmware_instance",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_FW_VERSION, 64, AMDGPU_INFO_FW_GFX_ME, 1});
     },
     EINVAL},
    {"firmware_of_a_third_mec",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_FW_VERSION, 64, AMDGPU_INFO_FW_GFX_MEC, 0, 2});
     },
     EINVAL},
    {"register_that_is_not_shown",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_READ_MMR_REG, 4, 0x1234, 1, ~0u});
     },
     EFAULT},
    {"register_of_engine_4",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_READ_MMR_REG, 4, 0x263e, 1, 0xff00u | 4});
     },
     EINVAL},
    {"register_of_array_2",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_READ_MMR_REG, 4, 0x263e, 1, 0x02ff});
     },
     EINVAL},
    {"too_many_registers",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_READ_MMR_REG, 4, 0x263e, 129, ~0u});
     },
     EINVAL},
    {"bios_image",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_VBIOS, 64, AMDGPU_INFO_VBIOS_IMAGE, 0});
     },
     EINVAL},
    {"bios_question",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_VBIOS, 64, 9});
     },
     EINVAL},
    {"decoder_handles",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_NUM_HANDLES, 64, AMDGPU_HW_IP_UVD});
     },
     ENODATA},
    {"handles_of_others",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_NUM_HANDLES, 64, AMDGPU_HW_IP_GFX});
     },
     EINVAL},
    {"sensor",
     [](Bench& b) {
       return info(b, {AMDGPU_INFO_SENSOR, 64, 0x99});
     },
     EINVAL},
    {"ras", [](Bench& b) { return info(b, {AMDGPU_INFO_RAS_ENABLED_FEATURES}); }, EINVAL},
    {"video_without_an_engine", [](Bench& b) { return info(b, {AMDGPU_INFO_VIDEO_CAPS}); }, EINVAL},
    {"user_queue_areas_are_newer", [](Bench& b) { return info(b, {0x24}); }, EINVAL},
};
INSTANTIATE_TEST_SUITE_P(Amdgpu, InfoRefusals, ::testing::ValuesIn(queries), name_of);

} // namespace
