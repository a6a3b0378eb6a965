#include "fault_injection.hpp"

#include "drm_uapi.hpp"
#include "kfd_ioctl.hpp"
#include "process.hpp"
#include "settings.hpp"

#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace emu::kernel::fault_injection {

constinit std::atomic<bool> is_active{false};

namespace {

constexpr const char* variable = "CUDA_SHIM_EMU_FAIL";

// An ioctl is its type and number; what is no ioctl has a key of its own.
using Key = std::uint32_t;
constexpr Key key_of(unsigned long request) {
  return static_cast<Key>(_IOC_TYPE(request) << 8 | _IOC_NR(request));
}
constexpr Key key_mmap = 0x10000, key_open = 0x10001, key_any = 0x10002;

struct Name {
  const char* name;
  Key key;
};
#define KFD(NAME)                                                                                            \
  { "AMDKFD_IOC_" #NAME, key_of(uapi::ioc::NAME) }
#define UAPI(NAME)                                                                                           \
  { #NAME, key_of(NAME) }
constexpr Name names[] = {
    {"*", key_any},
    {"mmap", key_mmap},
    {"open", key_open},
    KFD(GET_VERSION),
    KFD(CREATE_QUEUE),
    KFD(DESTROY_QUEUE),
    KFD(SET_MEMORY_POLICY),
    KFD(GET_CLOCK_COUNTERS),
    KFD(GET_PROCESS_APERTURES),
    KFD(UPDATE_QUEUE),
    KFD(CREATE_EVENT),
    KFD(DESTROY_EVENT),
    KFD(SET_EVENT),
    KFD(RESET_EVENT),
    KFD(WAIT_EVENTS),
    KFD(SET_SCRATCH_BACKING_VA),
    KFD(GET_TILE_CONFIG),
    KFD(SET_TRAP_HANDLER),
    KFD(GET_PROCESS_APERTURES_NEW),
    KFD(ACQUIRE_VM),
    KFD(ALLOC_MEMORY_OF_GPU),
    KFD(FREE_MEMORY_OF_GPU),
    KFD(MAP_MEMORY_TO_GPU),
    KFD(UNMAP_MEMORY_FROM_GPU),
    KFD(SET_CU_MASK),
    KFD(GET_QUEUE_WAVE_STATE),
    KFD(GET_DMABUF_INFO),
    KFD(IMPORT_DMABUF),
    KFD(ALLOC_QUEUE_GWS),
    KFD(SMI_EVENTS),
    KFD(SVM),
    KFD(SET_XNACK_MODE),
    KFD(CRIU_OP),
    KFD(AVAILABLE_MEMORY),
    KFD(EXPORT_DMABUF),
    KFD(RUNTIME_ENABLE),
    KFD(DBG_TRAP),
    UAPI(DRM_IOCTL_VERSION),
    UAPI(DRM_IOCTL_GET_UNIQUE),
    UAPI(DRM_IOCTL_GET_MAGIC),
    UAPI(DRM_IOCTL_GET_CLIENT),
    UAPI(DRM_IOCTL_SET_VERSION),
    UAPI(DRM_IOCTL_GEM_CLOSE),
    UAPI(DRM_IOCTL_GEM_FLINK),
    UAPI(DRM_IOCTL_GEM_OPEN),
    UAPI(DRM_IOCTL_GET_CAP),
    UAPI(DRM_IOCTL_SET_CLIENT_CAP),
    UAPI(DRM_IOCTL_AUTH_MAGIC),
    UAPI(DRM_IOCTL_SET_MASTER),
    UAPI(DRM_IOCTL_DROP_MASTER),
    UAPI(DRM_IOCTL_PRIME_HANDLE_TO_FD),
    UAPI(DRM_IOCTL_PRIME_FD_TO_HANDLE),
    UAPI(DRM_IOCTL_SYNCOBJ_CREATE),
    UAPI(DRM_IOCTL_SYNCOBJ_DESTROY),
    UAPI(DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD),
    UAPI(DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE),
    UAPI(DRM_IOCTL_SYNCOBJ_WAIT),
    UAPI(DRM_IOCTL_SYNCOBJ_RESET),
    UAPI(DRM_IOCTL_SYNCOBJ_SIGNAL),
    UAPI(DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT),
    UAPI(DRM_IOCTL_SYNCOBJ_QUERY),
    UAPI(DRM_IOCTL_SYNCOBJ_TRANSFER),
    UAPI(DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL),
    {"DRM_IOCTL_SYNCOBJ_EVENTFD", DRM_IOCTL_BASE << 8 | uapi::nr_syncobj_eventfd},
    UAPI(DRM_IOCTL_AMDGPU_GEM_CREATE),
    UAPI(DRM_IOCTL_AMDGPU_GEM_MMAP),
    UAPI(DRM_IOCTL_AMDGPU_CTX),
    UAPI(DRM_IOCTL_AMDGPU_BO_LIST),
    UAPI(DRM_IOCTL_AMDGPU_CS),
    UAPI(DRM_IOCTL_AMDGPU_INFO),
    UAPI(DRM_IOCTL_AMDGPU_GEM_METADATA),
    UAPI(DRM_IOCTL_AMDGPU_GEM_WAIT_IDLE),
    UAPI(DRM_IOCTL_AMDGPU_GEM_VA),
    UAPI(DRM_IOCTL_AMDGPU_WAIT_CS),
    UAPI(DRM_IOCTL_AMDGPU_GEM_OP),
    UAPI(DRM_IOCTL_AMDGPU_GEM_USERPTR),
    UAPI(DRM_IOCTL_AMDGPU_WAIT_FENCES),
    UAPI(DRM_IOCTL_AMDGPU_VM),
    UAPI(DRM_IOCTL_AMDGPU_FENCE_TO_HANDLE),
    UAPI(DRM_IOCTL_AMDGPU_SCHED),
    UAPI(DMA_BUF_IOCTL_SYNC),
    {"DMA_BUF_IOCTL_EXPORT_SYNC_FILE", 'b' << 8 | 2},
    {"DMA_BUF_IOCTL_IMPORT_SYNC_FILE", 'b' << 8 | 3},
    UAPI(SYNC_IOC_MERGE),
    {"SYNC_IOC_FILE_INFO", key_of(SYNC_IOC_FILE_INFO)},
};
#undef KFD
#undef UAPI

struct Rule {
  Key key = 0;
  std::uint64_t number = 0; // from 1
  bool later_ones_too = false;
  int error = 0;
  std::uint64_t calls = 0;
};

// One rule fires or none, whatever the threads do: calls are counted under a lock.
struct State {
  std::atomic_flag lock;
  std::vector<Rule> rules;
};
State* state = nullptr; // never destroyed

const char* name_of(Key key) {
  for (const Name& name : names)
    if (name.key == key)
      return name.name;
  return nullptr;
}

int errno_of(std::string_view name) {
  constexpr int last_errno = 133;
  for (int error = 1; error <= last_errno; ++error)
    if (const char* known = strerrorname_np(error); known && name == known)
      return error;
  return 0;
}

std::optional<Rule> parse_rule(std::string_view text) {
  const std::size_t first = text.find(':');
  const std::size_t second = first == text.npos ? text.npos : text.find(':', first + 1);
  if (second == text.npos)
    return std::nullopt;
  Rule rule;
  for (const Name& name : names)
    if (text.substr(0, first) == name.name)
      rule.key = name.key;
  std::string_view count = text.substr(first + 1, second - first - 1);
  if (count.ends_with('+')) {
    rule.later_ones_too = true;
    count.remove_suffix(1);
  }
  constexpr std::size_t max_digits = 9;
  if (count.empty() || count.size() > max_digits)
    return std::nullopt;
  for (const char c : count) {
    if (!std::isdigit(static_cast<unsigned char>(c)))
      return std::nullopt;
    rule.number = rule.number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  rule.error = errno_of(text.substr(second + 1));
  return rule.key && rule.number && rule.error ? std::optional(rule) : std::nullopt;
}

[[gnu::constructor]] void read_environment() {
  const char* value = std::getenv(variable);
  if (!value || !*value)
    return;
  state = new State;
  std::string_view rest = value;
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    more = comma != rest.npos;
    const std::optional<Rule> rule = parse_rule(rest.substr(0, comma));
    if (!rule)
      settings::refuse(variable, value,
                       "CALL:N:ERRNO or CALL:N+:ERRNO, more of them after commas; "
                       "CALL is an ioctl's name in the kernel's header, mmap, open or *");
    state->rules.push_back(*rule);
    if (more)
      rest.remove_prefix(comma + 1);
  }
  is_active.store(true, std::memory_order_relaxed);
}

int count(Key key) {
  int error = 0;
  std::uint64_t number = 0;
  while (state->lock.test_and_set(std::memory_order_acquire)) {
  }
  for (Rule& rule : state->rules) {
    if (rule.key != key && rule.key != key_any)
      continue;
    ++rule.calls;
    if (!error && (rule.calls == rule.number || (rule.later_ones_too && rule.calls > rule.number))) {
      error = rule.error;
      number = rule.calls;
    }
  }
  state->lock.clear(std::memory_order_release);
  if (error) {
    const char* name = name_of(key);
    complain("injected: %s (call %llu) fails with %s", name ? name : "an unknown ioctl",
             static_cast<unsigned long long>(number), strerrorname_np(error));
  }
  return -error;
}

} // namespace

int before_ioctl(unsigned long request) {
  return count(key_of(request));
}
int before_mmap() {
  return count(key_mmap);
}
int before_open() {
  return count(key_open);
}

} // namespace emu::kernel::fault_injection
