#include "gpu_fixture.hpp"

#include <amdgpu.h>
#include <amdgpu_drm.h>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "code_object.hpp"
#include "kernels_gfx.hpp"

namespace {

using namespace shim::kfd;
using shim::util::Fd;

// Memory that another driver stack on the same card exports, as Vulkan would.
struct Exporter {
  Exporter() {
    std::string path = "/dev/dri/renderD" + std::to_string(test::device().properties().drm_render_minor);
    fd = Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    std::uint32_t major = 0;
    std::uint32_t minor = 0;
    EXPECT_EQ(amdgpu_device_initialize(fd.get(), &major, &minor, &device), 0);
  }
  ~Exporter() {
    if (bo)
      amdgpu_bo_free(bo);
    amdgpu_device_deinitialize(device);
  }

  Fd export_bo(std::uint64_t size, std::uint32_t domain, std::uint32_t** cpu = nullptr,
               const amdgpu_bo_metadata* metadata = nullptr) {
    amdgpu_bo_alloc_request request{};
    request.alloc_size = size;
    request.preferred_heap = domain;
    request.flags = AMDGPU_GEM_CREATE_CPU_ACCESS_REQUIRED;
    EXPECT_EQ(amdgpu_bo_alloc(device, &request, &bo), 0);
    if (metadata) {
      amdgpu_bo_metadata copy = *metadata;
      EXPECT_EQ(amdgpu_bo_set_metadata(bo, &copy), 0);
    }
    if (cpu) {
      void* mapped = nullptr;
      EXPECT_EQ(amdgpu_bo_cpu_map(bo, &mapped), 0);
      *cpu = static_cast<std::uint32_t*>(mapped);
    }
    std::uint32_t shared = 0;
    EXPECT_EQ(amdgpu_bo_export(bo, amdgpu_bo_handle_type_dma_buf_fd, &shared), 0);
    return Fd(static_cast<int>(shared));
  }

  Fd fd;
  amdgpu_device_handle device = nullptr;
  amdgpu_bo_handle bo = nullptr;
};

void gpu_fill(std::uint64_t address, std::uint32_t items, std::uint32_t value) {
  static const auto& code = *new test::CodeObject(kernels_gfx); // the device goes before statics do
  auto queue = test::device().create_queue();
  ASSERT_TRUE(queue);
  auto done = test::device().acquire_signal(SignalKind::interrupting);
  ASSERT_TRUE(done);
  Buffer arguments = test::pack_arguments(address, value);
  test::submit_dispatch(**queue, {.kernel = code.kernel("fill"), .items = items}, arguments, done->handle());
  ASSERT_TRUE(test::completes(*done));
}

TEST(allocation, gtt_is_seen_by_the_cpu_at_the_gpu_address) {
  auto buffer = test::device().allocate(MemoryKind::gtt, 10000);
  ASSERT_TRUE(buffer);
  EXPECT_EQ(buffer->size(), 12288u);
  EXPECT_EQ(reinterpret_cast<std::uint64_t>(buffer->cpu()), buffer->address());
  std::memset(buffer->cpu(), 0x5a, buffer->size());
  EXPECT_EQ(buffer->cpu_as<unsigned char>()[12287], 0x5a);
}

TEST(allocation, vram_starts_as_zeros_and_host_access_shows_what_the_gpu_wrote) {
  auto buffer = test::device().allocate(MemoryKind::vram, 1 << 20, {.host_access = true});
  ASSERT_TRUE(buffer);
  EXPECT_EQ(buffer->cpu_as<std::uint32_t>()[1000], 0u);
  gpu_fill(buffer->address(), 4096, 7);
  EXPECT_EQ(buffer->cpu_as<std::uint32_t>()[4095], 7u + 4095);
  EXPECT_EQ(buffer->cpu_as<std::uint32_t>()[4096], 0u);
}

TEST(allocation, without_host_access_the_range_is_reserved_and_has_no_pointer) {
  auto buffer = test::device().allocate(MemoryKind::vram, 4096);
  ASSERT_TRUE(buffer);
  EXPECT_EQ(buffer->cpu(), nullptr);
  void* wanted = reinterpret_cast<void*>(buffer->address());
  void* got = ::mmap(wanted, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  EXPECT_EQ(got, MAP_FAILED);
}

TEST(allocation, large_buffers_are_aligned_for_large_pages) {
  auto small = test::device().allocate(MemoryKind::vram, 4096);
  auto large = test::device().allocate(MemoryKind::vram, 3 << 20);
  auto asked = test::device().allocate(MemoryKind::vram, 4096, {.alignment = 1 << 20});
  ASSERT_TRUE(small && large && asked);
  EXPECT_EQ(large->address() % (2 << 20), 0u);
  EXPECT_EQ(asked->address() % (1 << 20), 0u);
}

TEST(allocation, nothing_and_too_much_are_refused) {
  EXPECT_EQ(test::device().allocate(MemoryKind::vram, 0).code(), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(test::device().allocate(MemoryKind::vram, 1ull << 45).code(), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(test::device().allocate(MemoryKind::vram, ~0ull).code(), CUDA_ERROR_OUT_OF_MEMORY);
}

TEST(allocation, memory_comes_back_when_the_buffer_goes) {
  auto before = test::device().memory_info();
  ASSERT_TRUE(before);
  {
    auto buffer = test::device().allocate(MemoryKind::vram, 64 << 20);
    ASSERT_TRUE(buffer);
    auto during = test::device().memory_info();
    ASSERT_TRUE(during);
    EXPECT_LE(during->free + (64 << 20), before->free);
    EXPECT_LE(during->free, during->total);
  }
  auto after = test::device().memory_info();
  ASSERT_TRUE(after);
  EXPECT_EQ(after->free, before->free);
}

TEST(host_registration, the_gpu_writes_where_the_cpu_reads) {
  std::size_t size = 8192;
  void* pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  auto* words = static_cast<std::uint32_t*>(pages);
  {
    auto buffer = test::device().register_host(words + 16, 4096);
    ASSERT_TRUE(buffer);
    EXPECT_EQ(buffer->address(), reinterpret_cast<std::uint64_t>(pages));
    EXPECT_EQ(buffer->size(), size);
    gpu_fill(reinterpret_cast<std::uint64_t>(words + 16), 1024, 100);
  }
  EXPECT_EQ(words[15], 0u);
  EXPECT_EQ(words[16], 100u);
  EXPECT_EQ(words[16 + 1023], 100u + 1023);
  ::munmap(pages, size);
}

TEST(import, the_gpu_writes_into_the_exporters_memory) {
  Exporter exporter;
  std::uint32_t* theirs = nullptr;
  Fd fd = exporter.export_bo(1 << 20, AMDGPU_GEM_DOMAIN_VRAM, &theirs);
  auto buffer = test::device().import_dmabuf(fd.get());
  ASSERT_TRUE(buffer);
  EXPECT_EQ(buffer->size(), 1u << 20);
  gpu_fill(buffer->address() + 4096, 1024, 42);
  EXPECT_EQ(theirs[1023], 0u);
  EXPECT_EQ(theirs[1024], 42u);
  EXPECT_EQ(theirs[2047], 42u + 1023);
}

TEST(import, twice_gives_two_addresses_that_alias_and_outlive_each_other) {
  Exporter exporter;
  std::uint32_t* theirs = nullptr;
  Fd fd = exporter.export_bo(65536, AMDGPU_GEM_DOMAIN_GTT, &theirs);
  auto first = test::device().import_dmabuf(fd.get());
  auto second = test::device().import_dmabuf(fd.get());
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->address(), second->address());
  gpu_fill(first->address(), 64, 1000);
  EXPECT_EQ(theirs[63], 1063u);
  *first = Buffer();
  gpu_fill(second->address(), 64, 2000);
  EXPECT_EQ(theirs[63], 2063u);
}

TEST(import, the_memory_outlives_the_exporter) {
  std::optional<Buffer> buffer;
  {
    Exporter exporter;
    Fd fd = exporter.export_bo(65536, AMDGPU_GEM_DOMAIN_VRAM);
    auto imported = test::device().import_dmabuf(fd.get());
    ASSERT_TRUE(imported);
    buffer = *std::move(imported);
    amdgpu_bo_free(std::exchange(exporter.bo, nullptr));
  }
  gpu_fill(buffer->address(), 1024, 1);
}

TEST(import, of_an_object_that_is_held_needs_no_descriptor_of_it) {
  Exporter exporter;
  std::uint32_t* theirs = nullptr;
  Fd fd = exporter.export_bo(65536, AMDGPU_GEM_DOMAIN_GTT, &theirs);
  auto first = test::device().hold_dmabuf(fd.get());
  auto second = test::device().hold_dmabuf(fd.get());
  ASSERT_TRUE(first && second);
  fd.reset();
  auto mapped = test::device().map_object(*first);
  ASSERT_TRUE(mapped);
  *first = ExternalObject();
  gpu_fill(mapped->address(), 64, 1000);
  EXPECT_EQ(theirs[63], 1063u);
  auto again = test::device().map_object(*second);
  ASSERT_TRUE(again);
  *second = ExternalObject();
  *mapped = Buffer();
  gpu_fill(again->address(), 64, 2000);
  EXPECT_EQ(theirs[63], 2063u);
}

TEST(import, metadata_comes_with_size_and_tiling) {
  Exporter exporter;
  amdgpu_bo_metadata metadata{};
  metadata.tiling_info = AMDGPU_TILING_SET(SWIZZLE_MODE, 27);
  metadata.size_metadata = 40;
  for (unsigned i = 0; i < 10; ++i)
    metadata.umd_metadata[i] = 0x1000 + i;
  Fd fd = exporter.export_bo(8192, AMDGPU_GEM_DOMAIN_VRAM, nullptr, &metadata);
  auto object = test::device().hold_dmabuf(fd.get());
  ASSERT_TRUE(object);
  const DmabufInfo* info = &object->info();
  EXPECT_EQ(info->size, 8192u);
  EXPECT_EQ(info->kind, MemoryKind::vram);
  EXPECT_EQ(info->tiling_info, metadata.tiling_info);
  ASSERT_EQ(info->metadata.size(), 10u);
  EXPECT_EQ(info->metadata[9], 0x1009u);
}

TEST(import, what_is_no_dmabuf_is_refused_and_stays_open) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  Fd read_end(pipe_ends[0]);
  Fd write_end(pipe_ends[1]);
  Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Fd event(::eventfd(0, EFD_CLOEXEC));
  Fd memory(::memfd_create("ordinary", MFD_CLOEXEC));
  for (int fd : {read_end.get(), null.get(), event.get(), memory.get(), test::device().render_fd()}) {
    EXPECT_EQ(test::device().import_dmabuf(fd).code(), CUDA_ERROR_UNKNOWN);
    EXPECT_EQ(test::device().hold_dmabuf(fd).code(), CUDA_ERROR_UNKNOWN);
    EXPECT_NE(::fcntl(fd, F_GETFD), -1);
  }
  EXPECT_EQ(test::device().import_dmabuf(-1).code(), CUDA_ERROR_UNKNOWN);
  EXPECT_EQ(test::device().import_dmabuf(999).code(), CUDA_ERROR_UNKNOWN);
}

} // namespace
