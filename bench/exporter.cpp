#include "exporter.hpp"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

#include <amdgpu.h>
#include <amdgpu_drm.h>
#include <xf86drm.h>

#include "batch.hpp"

namespace bench {

Exporter::Exporter() {
  render_node_ = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
  if (render_node_ < 0) {
    std::perror("/dev/dri/renderD128");
    std::exit(EXIT_FAILURE);
  }
  std::uint32_t major, minor;
  BENCH_REQUIRE(amdgpu_device_initialize(render_node_, &major, &minor, &device_));
  amdgpu_bo_alloc_request request = {};
  request.alloc_size = buffer_bytes;
  request.phys_alignment = 4096;
  request.preferred_heap = AMDGPU_GEM_DOMAIN_VRAM;
  BENCH_REQUIRE(amdgpu_bo_alloc(device_, &request, &buffer_));
  BENCH_REQUIRE(drmSyncobjCreate(render_node_, 0, &syncobj_));
  BENCH_REQUIRE(drmSyncobjCreate(render_node_, 0, &gate_));
}

Exporter::~Exporter() {
  drmSyncobjDestroy(render_node_, gate_);
  drmSyncobjDestroy(render_node_, syncobj_);
  amdgpu_bo_free(buffer_);
  amdgpu_device_deinitialize(device_);
  close(render_node_);
}

int Exporter::export_buffer() const {
  std::uint32_t fd;
  BENCH_REQUIRE(amdgpu_bo_export(buffer_, amdgpu_bo_handle_type_dma_buf_fd, &fd));
  return static_cast<int>(fd);
}

int Exporter::export_syncobj() const {
  int fd = -1;
  BENCH_REQUIRE(drmSyncobjHandleToFD(render_node_, syncobj_, &fd));
  return fd;
}

int Exporter::export_gate() const {
  int fd = -1;
  BENCH_REQUIRE(drmSyncobjHandleToFD(render_node_, gate_, &fd));
  return fd;
}

void Exporter::open_gate(std::uint64_t value) const {
  std::uint32_t handle = gate_;
  BENCH_REQUIRE(drmSyncobjTimelineSignal(render_node_, &handle, &value, 1));
}

void Exporter::wait_for(std::uint64_t value) const {
  std::uint32_t handle = syncobj_;
  BENCH_REQUIRE(drmSyncobjTimelineWait(render_node_, &handle, &value, 1, INT64_MAX,
                                       DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, nullptr));
}

} // namespace bench
