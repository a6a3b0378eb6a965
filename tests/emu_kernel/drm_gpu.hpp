// Command submissions through libdrm_amdgpu: a context, a page for the command buffer and one for data, and
// jobs that wait until the test lets them go on, so that a fence is pending for as long as a test wants.
#pragma once

#include "drm_test_device.hpp"

#include <amdgpu.h>

#include <atomic>
#include <cstring>
#include <vector>

namespace drm_test {

class Gpu {
public:
  Gpu() : device_fd_(open_render_node()) {
    std::uint32_t major = 0, minor = 0;
    EXPECT_EQ(amdgpu_device_initialize(device_fd_.get(), &major, &minor, &device_), 0);
    EXPECT_EQ(amdgpu_cs_ctx_create(device_, &context_), 0);
    memory_ = allocate(memory_handle_, memory_va_, &cpu_);
    std::memset(cpu_, 0, memory_bytes);
  }
  ~Gpu() {
    release(); // nothing may wait on memory that goes
    amdgpu_cs_ctx_free(context_);
    amdgpu_bo_cpu_unmap(memory_);
    amdgpu_bo_free(memory_);
    amdgpu_va_range_free(memory_va_);
    amdgpu_device_deinitialize(device_);
  }
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  int fd() const { return amdgpu_device_get_fd(device_); }
  amdgpu_device_handle device() const { return device_; }
  amdgpu_context_handle context() const { return context_; }
  std::uint32_t buffer_handle() const { return memory_handle_; }
  std::uint32_t* data() const { return cpu_ + data_offset; }

  std::uint64_t data_address() const { return memory_address_ + data_offset * 4; }

  // Gated jobs wait until release().
  void release() { std::atomic_ref(*data()).store(1); }

  struct Extra {
    std::vector<drm_amdgpu_cs_chunk_sem> in, out;
    std::vector<drm_amdgpu_cs_chunk_syncobj> timeline_wait, timeline_signal;
    std::vector<drm_amdgpu_cs_chunk_dep> dependencies;
  };

  // Submits a job that waits for the gate (where `gated`) and then writes `value` to data()[word]. 0 or
  // -errno.
  int submit(bool gated, std::uint32_t word, std::uint32_t value, const Extra& extra,
             std::uint64_t* sequence = nullptr, std::uint32_t ip = AMDGPU_HW_IP_COMPUTE,
             std::uint32_t ring = 0) {
    std::uint32_t* commands = cpu_ + (next_slot_++ % slots) * slot_dwords;
    const std::uint32_t offset = static_cast<std::uint32_t>(commands - cpu_);
    std::uint32_t at = 0;
    if (gated) {
      const std::uint64_t gate = memory_address_ + data_offset * 4;
      // WAIT_REG_MEM: memory, equal to 1
      const std::uint32_t wait[] = {
          0xc0053c00, 0x13, static_cast<std::uint32_t>(gate), static_cast<std::uint32_t>(gate >> 32), 1,
          0xffffffff, 4};
      for (std::uint32_t dword : wait)
        commands[at++] = dword;
    }
    const std::uint64_t target = memory_address_ + (data_offset + word) * 4;
    // WRITE_DATA: memory, confirmed
    const std::uint32_t write[] = {0xc0033700, 5u << 8 | 1u << 20, static_cast<std::uint32_t>(target),
                                   static_cast<std::uint32_t>(target >> 32), value};
    for (std::uint32_t dword : write)
      commands[at++] = dword;
    while (at % 8 != 0)
      commands[at++] = 0xffff1000; // a NOP of one dword

    drm_amdgpu_cs_chunk_ib ib = {};
    ib.va_start = memory_address_ + offset * 4;
    ib.ib_bytes = at * 4;
    ib.ip_type = ip;
    ib.ring = ring;
    drm_amdgpu_bo_list_entry entry = {memory_handle_, 0};
    drm_amdgpu_bo_list_in buffers = {~0u, ~0u, 1, sizeof entry, reinterpret_cast<std::uint64_t>(&entry)};
    std::vector<drm_amdgpu_cs_chunk> chunks = {chunk(AMDGPU_CHUNK_ID_IB, &ib, 1),
                                               chunk(AMDGPU_CHUNK_ID_BO_HANDLES, &buffers, 1)};
    add(chunks, AMDGPU_CHUNK_ID_SYNCOBJ_IN, extra.in);
    add(chunks, AMDGPU_CHUNK_ID_SYNCOBJ_OUT, extra.out);
    add(chunks, AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_WAIT, extra.timeline_wait);
    add(chunks, AMDGPU_CHUNK_ID_SYNCOBJ_TIMELINE_SIGNAL, extra.timeline_signal);
    add(chunks, AMDGPU_CHUNK_ID_DEPENDENCIES, extra.dependencies);
    std::uint64_t number = 0;
    const int result =
        amdgpu_cs_submit_raw2(device_, context_, 0, static_cast<int>(chunks.size()), chunks.data(), &number);
    if (sequence)
      *sequence = number;
    return result;
  }

  // Has the submission ended? Waits up to the time.
  bool finished(std::uint64_t sequence, std::uint64_t milliseconds, std::uint32_t ip = AMDGPU_HW_IP_COMPUTE,
                std::uint32_t ring = 0) {
    amdgpu_cs_fence fence = {context_, ip, 0, ring, sequence};
    std::uint32_t expired = 0;
    last_error_ = amdgpu_cs_query_fence_status(&fence, milliseconds * 1'000'000, 0, &expired);
    return last_error_ == 0 && expired != 0;
  }
  int last_error() const { return last_error_; }

  template <class T>
  static drm_amdgpu_cs_chunk chunk(std::uint32_t id, const T* data, std::size_t count) {
    return {id, static_cast<std::uint32_t>(count * sizeof(T) / 4), reinterpret_cast<std::uint64_t>(data)};
  }

private:
  static constexpr std::size_t memory_bytes = 64 * 1024;
  static constexpr std::uint32_t slot_dwords = 64, slots = 128, data_offset = slot_dwords * slots;

  template <class T>
  static void add(std::vector<drm_amdgpu_cs_chunk>& chunks, std::uint32_t id, const std::vector<T>& items) {
    if (!items.empty())
      chunks.push_back(chunk(id, items.data(), items.size()));
  }

  amdgpu_bo_handle allocate(std::uint32_t& handle, amdgpu_va_handle& va, std::uint32_t** cpu) {
    amdgpu_bo_alloc_request request = {memory_bytes, 4096, AMDGPU_GEM_DOMAIN_GTT, 0};
    amdgpu_bo_handle bo = nullptr;
    EXPECT_EQ(amdgpu_bo_alloc(device_, &request, &bo), 0);
    EXPECT_EQ(amdgpu_va_range_alloc(device_, amdgpu_gpu_va_range_general, memory_bytes, 4096, 0,
                                    &memory_address_, &va, 0),
              0);
    EXPECT_EQ(amdgpu_bo_va_op(bo, 0, memory_bytes, memory_address_, 0, AMDGPU_VA_OP_MAP), 0);
    EXPECT_EQ(amdgpu_bo_cpu_map(bo, reinterpret_cast<void**>(cpu)), 0);
    EXPECT_EQ(amdgpu_bo_export(bo, amdgpu_bo_handle_type_kms, &handle), 0);
    return bo;
  }

  UniqueFd device_fd_;
  amdgpu_device_handle device_ = nullptr;
  amdgpu_context_handle context_ = nullptr;
  amdgpu_bo_handle memory_ = nullptr;
  amdgpu_va_handle memory_va_ = nullptr;
  std::uint32_t memory_handle_ = 0;
  std::uint64_t memory_address_ = 0;
  std::uint32_t* cpu_ = nullptr;
  unsigned next_slot_ = 0;
  int last_error_ = 0;
};

} // namespace drm_test
