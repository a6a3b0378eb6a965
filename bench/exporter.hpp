// Descriptors as another API would export them: dma-bufs and syncobjs of the render node, through libdrm.
#pragma once

#include <cstdint>

struct amdgpu_device;
struct amdgpu_bo;

namespace bench {

class Exporter {
public:
  Exporter();
  ~Exporter();
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

  // A new descriptor of one buffer of `buffer_bytes` in VRAM.
  int export_buffer() const;
  // A new descriptor of one syncobj, and of another one, the gate.
  int export_syncobj() const;
  int export_gate() const;
  // Signals the gate's timeline.
  void open_gate(std::uint64_t value) const;
  // Waits until the syncobj's timeline has reached `value`.
  void wait_for(std::uint64_t value) const;

  static constexpr std::uint64_t buffer_bytes = 64u << 20;

private:
  int render_node_ = -1;
  amdgpu_device* device_ = nullptr;
  amdgpu_bo* buffer_ = nullptr;
  std::uint32_t syncobj_ = 0;
  std::uint32_t gate_ = 0;
};

} // namespace bench
