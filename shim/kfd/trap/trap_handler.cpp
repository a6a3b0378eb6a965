#include "trap_handler.hpp"

#include <cstring>
#include <span>

#include <kfd/device.hpp>
#include <util/log.hpp>

#include "../ioctl.hpp"
#include "trap_gfx10_1.hpp"
#include "trap_gfx10_3.hpp"
#include "trap_gfx11.hpp"

namespace shim::kfd {

namespace {

constexpr std::uint64_t doorbells = 1024; // of a process, of 8 bytes each
constexpr std::uint64_t table_bytes = doorbells * sizeof(amd_signal_t*);

std::span<const unsigned char> code_for(const NodeProperties& node) {
  switch (node.gfx_major() * 100 + node.gfx_minor()) {
  case 1001:
    return trap_gfx10_1;
  case 1003:
    return trap_gfx10_3;
  case 1100:
  case 1105:
    return trap_gfx11;
  default:
    return {};
  }
}

} // namespace

Result<std::unique_ptr<TrapHandler>> TrapHandler::install(Device& device) {
  const std::span<const unsigned char> code = code_for(device.properties());
  if (code.empty()) {
    util::log_info("no trap handler for {}: a kernel that traps is not noticed",
                   device.properties().gfx_name());
    return std::unique_ptr<TrapHandler>{};
  }
  Result<Buffer> memory =
      device.allocate(MemoryKind::gtt, table_bytes + code.size(), {.executable = true, .uncached = true});
  if (!memory)
    return memory.error();
  std::memset(memory->cpu(), 0, table_bytes);
  std::memcpy(memory->cpu_as<std::byte>() + table_bytes, code.data(), code.size());
  kfd_ioctl_set_trap_handler_args args{};
  args.tba_addr = memory->address() + table_bytes;
  args.tma_addr = memory->address();
  args.gpu_id = device.properties().gpu_id;
  if (Result<void> set = call_ioctl(device.process().kfd_fd(), requests::set_trap_handler, args); !set)
    return set.error();
  return std::unique_ptr<TrapHandler>(new TrapHandler(*std::move(memory)));
}

void TrapHandler::set_signal(std::uint64_t doorbell_offset, amd_signal_t* signal) {
  const std::uint64_t doorbell = doorbell_offset / sizeof(std::uint64_t) % doorbells;
  __atomic_store_n(&memory_.cpu_as<amd_signal_t*>()[doorbell], signal, __ATOMIC_RELEASE);
}

} // namespace shim::kfd
