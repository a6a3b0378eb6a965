#include "sysfs.hpp"

#include "device.hpp"
#include "kfd_limits.hpp"
#include "process.hpp"
#include "real.hpp"
#include "settings.hpp"

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace emu::kernel::sysfs {
namespace {

constexpr const char* tree_version = "tree-2";
constexpr const char* pci_path = "/sys/devices/pci0000:03/0000:03:00.0";

[[gnu::format(printf, 1, 2)]] std::string text(const char* format, ...) {
  char buffer[4096];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

// Builds below one root with the real kernel's calls.
class Builder {
public:
  explicit Builder(std::string root) : root_(std::move(root)) { directory(""); }

  void directory(const std::string& path) {
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
      syscall(SYS_mkdir, (root_ + path.substr(0, slash)).c_str(), 0755);
    syscall(SYS_mkdir, (root_ + path).c_str(), 0755);
  }

  void file(const std::string& path, const void* content, std::size_t size, mode_t mode = 0444) {
    directory(path.substr(0, path.rfind('/')));
    const int fd = real::open((root_ + path).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 || real::write(fd, content, size) != static_cast<long>(size))
      complain("cannot write %s%s", root_.c_str(), path.c_str());
    if (fd >= 0)
      real::close(fd);
  }
  void file(const std::string& path, const std::string& content, mode_t mode = 0444) {
    file(path, content.data(), content.size(), mode);
  }

  void link(const std::string& path, const std::string& target) {
    directory(path.substr(0, path.rfind('/')));
    syscall(SYS_symlink, target.c_str(), (root_ + path).c_str());
  }

private:
  std::string root_;
};

std::string read_host_file(const char* path) {
  std::string content;
  const int fd = real::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return content;
  char buffer[4096];
  for (long n; (n = real::read(fd, buffer, sizeof buffer)) > 0;)
    content.append(buffer, static_cast<std::size_t>(n));
  real::close(fd);
  return content;
}

// --- the KFD topology, in the words of kfd_topology.c
// -------------------------------------------------------------

using Properties = std::vector<std::pair<const char*, std::uint64_t>>;

std::string lines(const Properties& properties) {
  std::string all;
  for (const auto& [name, value] : properties)
    all += text("%s %llu\n", name, static_cast<unsigned long long>(value));
  return all;
}

void link_properties(Builder& tree, const std::string& node, unsigned from, unsigned to) {
  constexpr std::uint64_t pci_express = 2, weight = 20, pci4_x16_mbps = 32768;
  tree.file(node + "/io_links/0/properties", lines({{"type", pci_express},
                                                    {"version_major", 0},
                                                    {"version_minor", 0},
                                                    {"node_from", from},
                                                    {"node_to", to},
                                                    {"weight", weight},
                                                    {"min_latency", 0},
                                                    {"max_latency", 0},
                                                    {"min_bandwidth", 312},
                                                    {"max_bandwidth", pci4_x16_mbps},
                                                    {"recommended_transfer_size", 0},
                                                    {"recommended_sdma_engine_id_mask", 0},
                                                    {"flags", 1}}));
}

void memory_bank(Builder& tree, const std::string& node, std::uint64_t heap, std::uint64_t size,
                 unsigned width, unsigned clock) {
  tree.file(node + "/mem_banks/0/properties", lines({{"heap_type", heap},
                                                     {"size_in_bytes", size},
                                                     {"flags", 0},
                                                     {"width", width},
                                                     {"mem_clk_max", clock}}));
}

void empty_lists(Builder& tree, const std::string& node) {
  for (const char* name : {"/mem_banks", "/caches", "/io_links", "/p2p_links", "/perf"})
    tree.directory(node + name);
}

void cpu_node(Builder& tree, const std::string& node) {
  const auto cpus = static_cast<std::uint64_t>(sysconf(_SC_NPROCESSORS_ONLN));
  const std::uint64_t ram =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  empty_lists(tree, node);
  tree.file(node + "/gpu_id", "0\n");
  tree.file(node + "/name", "\n");
  Properties properties = {{"cpu_cores_count", cpus},
                           {"simd_count", 0},
                           {"mem_banks_count", 1},
                           {"caches_count", 0},
                           {"io_links_count", 1}};
  for (const char* zero : {"p2p_links_count",
                           "cpu_core_id_base",
                           "simd_id_base",
                           "max_waves_per_simd",
                           "lds_size_in_kb",
                           "gds_size_in_kb",
                           "num_gws",
                           "wave_front_size",
                           "array_count",
                           "simd_arrays_per_engine",
                           "cu_per_simd_array",
                           "simd_per_cu",
                           "max_slots_scratch_cu",
                           "gfx_target_version",
                           "vendor_id",
                           "device_id",
                           "location_id",
                           "domain",
                           "drm_render_minor",
                           "hive_id",
                           "num_sdma_engines",
                           "num_sdma_xgmi_engines",
                           "num_sdma_queues_per_engine",
                           "num_cp_queues",
                           "cwsr_size",
                           "ctl_stack_size"})
    properties.emplace_back(zero, 0);
  properties.emplace_back("max_engine_clk_ccompute", 0);
  tree.file(node + "/properties", lines(properties));
  memory_bank(tree, node, 0, ram, 0, 0);
  link_properties(tree, node, card::cpu_node, card::gpu_node);
}

struct Cache {
  unsigned kib, level, line, shared_by; // compute units
  unsigned type;
};
constexpr unsigned cache_data = 1, cache_instruction = 2, cache_simd = 8; // HSA_CACHE_TYPE_*

// Compute units are numbered through with the holes of disabled ones, shader array by shader array, as
// kfd_fill_cache_non_crat_info() does.
unsigned gpu_caches(Builder& tree, const std::string& node) {
  constexpr unsigned first_unit = 0x80001000; // simd_id_base
  unsigned count = 0;
  auto add = [&](const Cache& cache, unsigned processor, const std::vector<std::uint32_t>& maps) {
    std::string siblings;
    for (const std::uint32_t map : maps)
      for (unsigned bit = 0; bit < 32; ++bit)
        siblings += map >> bit & 1 ? "1," : "0,";
    siblings.back() = '\n';
    tree.file(node + text("/caches/%u/properties", count++), lines({{"processor_id_low", processor},
                                                                    {"level", cache.level},
                                                                    {"size", cache.kib},
                                                                    {"cache_line_size", cache.line},
                                                                    {"cache_lines_per_tag", 0},
                                                                    {"association", 0},
                                                                    {"latency", 0},
                                                                    {"type", cache.type}}) +
                                                                 "sibling_map " + siblings);
  };
  constexpr Cache per_array[] = {{16, 1, 128, 1, cache_data | cache_simd},
                                 {32, 1, 64, 2, cache_instruction | cache_simd},
                                 {16, 1, 64, 2, cache_data | cache_simd},
                                 {128, 1, 128, 10, cache_data | cache_simd}};
  for (const Cache& cache : per_array) {
    unsigned processor = first_unit;
    for (unsigned engine = 0; engine < card::shader_engines; ++engine)
      for (const std::uint32_t units : card::unit_bitmap) {
        for (unsigned block = 0; block < card::units_per_array; block += cache.shared_by) {
          std::uint32_t map = units >> block & ((1u << cache.shared_by) - 1);
          if (map != 0) {
            const auto inactive = static_cast<unsigned>(__builtin_ctz(map));
            add(cache, processor + inactive, {map >> inactive});
          }
          processor += cache.shared_by < card::units_per_array - block ? cache.shared_by
                                                                       : card::units_per_array - block;
        }
      }
  }
  std::vector<std::uint32_t> all;
  for (unsigned engine = 0; engine < card::shader_engines; ++engine)
    for (const std::uint32_t units : card::unit_bitmap)
      all.push_back(units);
  add({4096, 2, 128, 10, cache_data | cache_simd}, first_unit, all);
  add({128 * 1024, 3, 64, 10, cache_data | cache_simd}, first_unit, all);
  return count;
}

void gpu_node(Builder& tree, const std::string& node) {
  // HSA_CAP_*: watch points (4, as log2), doorbell type 2, trap debugging with firmware support.
  constexpr std::uint64_t ordinary = 0x80 | 2 << 8 | 2 << 12 | 0x8000 | 0x10000 | 0x20000 | 0x20000000 |
                                     std::uint64_t{card::chip_revision} << 22;
  constexpr std::uint64_t svm_api = 0x08000000; // HSA_CAP_SVMAPI_SUPPORTED
  const std::uint64_t capability = ordinary | (settings::shared_virtual_memory() ? svm_api : 0);
  constexpr std::uint64_t debug_properties = 7 | 29 << 4 | 0x400;
  empty_lists(tree, node);
  const unsigned caches = gpu_caches(tree, node);
  tree.file(node + "/gpu_id", text("%u\n", card::gpu_id));
  tree.file(node + "/name", text("%s\n", card::chip_name));
  tree.file(node + "/properties", lines({{"cpu_cores_count", 0},
                                         {"simd_count", card::compute_units * card::simds_per_unit},
                                         {"mem_banks_count", 1},
                                         {"caches_count", caches},
                                         {"io_links_count", 1},
                                         {"p2p_links_count", 0},
                                         {"cpu_core_id_base", 0},
                                         {"simd_id_base", 0x80001000},
                                         {"max_waves_per_simd", card::waves_per_simd},
                                         {"lds_size_in_kb", card::lds_kib},
                                         {"gds_size_in_kb", 0},
                                         {"num_gws", card::gws_count},
                                         {"wave_front_size", card::wavefront_size},
                                         {"array_count", card::shader_engines * card::arrays_per_engine},
                                         {"simd_arrays_per_engine", card::arrays_per_engine},
                                         {"cu_per_simd_array", card::units_per_array},
                                         {"simd_per_cu", card::simds_per_unit},
                                         {"max_slots_scratch_cu", card::scratch_slots_per_unit},
                                         {"gfx_target_version", card::gfx_target_version},
                                         {"vendor_id", card::vendor_id},
                                         {"device_id", card::device_id},
                                         {"location_id", card::location_id},
                                         {"domain", card::pci_domain},
                                         {"drm_render_minor", card::render_minor},
                                         {"hive_id", 0},
                                         {"num_sdma_engines", kfd_limits::sdma_engines},
                                         {"num_sdma_xgmi_engines", kfd_limits::xgmi_sdma_engines},
                                         {"num_sdma_queues_per_engine", card::sdma_queues_per_engine},
                                         {"num_cp_queues", card::cp_queues},
                                         {"cwsr_size", kfd_limits::cwsr_size},
                                         {"ctl_stack_size", kfd_limits::ctl_stack_size},
                                         {"max_engine_clk_fcompute", card::max_engine_clock_mhz},
                                         {"local_mem_size", 0},
                                         {"fw_version", card::mec_firmware},
                                         {"capability", capability},
                                         {"debug_prop", debug_properties},
                                         {"sdma_fw_version", card::sdma_firmware},
                                         {"unique_id", card::unique_id},
                                         {"num_xcc", 1},
                                         {"max_engine_clk_ccompute", 0}}));
  memory_bank(tree, node, card::heap_type_fb_public, settings::vram_size(), card::vram_width_bits,
              card::max_memory_clock_mhz);
  link_properties(tree, node, card::gpu_node, card::cpu_node);
}

void topology(Builder& tree) {
  const std::string root = "/sys/devices/virtual/kfd/kfd";
  const std::string top = root + "/topology";
  tree.file(top + "/generation_id", "2\n");
  tree.file(top + "/system_properties", "platform_oem 0\nplatform_id 0\nplatform_rev 0\n");
  cpu_node(tree, text("%s/nodes/%u", top.c_str(), card::cpu_node));
  gpu_node(tree, text("%s/nodes/%u", top.c_str(), card::gpu_node));
  tree.file(root + "/dev", text("%u:0\n", card::kfd_major));
  tree.file(root + "/uevent", text("MAJOR=%u\nMINOR=0\nDEVNAME=kfd\n", card::kfd_major), 0644);
  tree.link("/sys/class/kfd/kfd", "../../devices/virtual/kfd/kfd");
}

// --- the PCI device and its DRM nodes
// ------------------------------------------------------------------------------

std::string pci_config() {
  std::string config(256, '\0');
  auto put16 = [&](std::size_t at, unsigned value) {
    config[at] = static_cast<char>(value);
    config[at + 1] = static_cast<char>(value >> 8);
  };
  put16(0x00, card::vendor_id);
  put16(0x02, card::device_id);
  put16(0x04, 0x0407); // command: I/O, memory, bus master, INTx off
  put16(0x06, 0x0810); // status: capability list
  config[0x08] = static_cast<char>(card::revision_id);
  config[0x0b] = 0x03; // display controller
  put16(0x2c, card::subsystem_vendor_id);
  put16(0x2e, card::subsystem_device_id);
  return config;
}

void drm_node(Builder& tree, const char* name, unsigned minor) {
  const std::string node = std::string(pci_path) + "/drm/" + name;
  tree.file(node + "/dev", text("%u:%u\n", card::drm_major, minor));
  tree.file(node + "/uevent",
            text("MAJOR=%u\nMINOR=%u\nDEVNAME=dri/%s\nDEVTYPE=drm_minor\n", card::drm_major, minor, name),
            0644);
  tree.link(node + "/device", "../../../0000:03:00.0");
  tree.link(node + "/subsystem", "../../../../../class/drm");
  tree.link(std::string("/sys/class/drm/") + name,
            std::string("../../devices/pci0000:03/0000:03:00.0/drm/") + name);
  tree.link(text("/sys/dev/char/%u:%u", card::drm_major, minor),
            std::string("../../devices/pci0000:03/0000:03:00.0/drm/") + name);
  tree.file(std::string("/dev/dri/") + name, std::string(), 0666);
}

// Host PCI devices stay visible beside the emulated one.
void host_pci_devices(Builder& tree) {
  const int fd = real::open("/sys/bus/pci/devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return;
  struct Entry {
    std::uint64_t inode;
    std::int64_t offset;
    std::uint16_t length;
    std::uint8_t type;
    char name[];
  };
  alignas(8) char buffer[8192];
  for (long n; (n = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0;)
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->length;
      char target[PATH_MAX];
      const std::string path = std::string("/sys/bus/pci/devices/") + entry->name;
      const int length = real::readlink(path.c_str(), target, sizeof target);
      if (length > 9 && std::strncmp(target, "../../../", 9) == 0 &&
          std::strcmp(entry->name, card::pci_slot) != 0)
        tree.link(path, "/sys/" + std::string(target + 9, static_cast<std::size_t>(length) - 9));
    }
  real::close(fd);
}

void pci_device(Builder& tree) {
  const std::string device = pci_path;
  tree.file(device + "/vendor", text("0x%04x\n", card::vendor_id));
  tree.file(device + "/device", text("0x%04x\n", card::device_id));
  tree.file(device + "/subsystem_vendor", text("0x%04x\n", card::subsystem_vendor_id));
  tree.file(device + "/subsystem_device", text("0x%04x\n", card::subsystem_device_id));
  tree.file(device + "/revision", text("0x%02x\n", card::revision_id));
  tree.file(device + "/class", text("0x%06x\n", card::pci_class));
  tree.file(device + "/config", pci_config(), 0644);
  tree.file(device + "/uevent",
            text("DRIVER=amdgpu\nPCI_CLASS=%X\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\nPCI_SLOT_NAME=%s\n"
                 "MODALIAS=pci:v%08Xd%08Xsv%08Xsd%08Xbc03sc00i00\n",
                 card::pci_class, card::vendor_id, card::device_id, card::subsystem_vendor_id,
                 card::subsystem_device_id, card::pci_slot, card::vendor_id, card::device_id,
                 card::subsystem_vendor_id, card::subsystem_device_id),
            0644);
  tree.file(device + "/numa_node", "-1\n", 0644);
  tree.file(device + "/local_cpulist", read_host_file("/sys/devices/system/cpu/online"));
  tree.file(device + "/enable", "1\n", 0644);
  tree.file(device + "/boot_vga", "0\n");
  tree.file(device + "/current_link_speed", "16.0 GT/s PCIe\n");
  tree.file(device + "/max_link_speed", "16.0 GT/s PCIe\n");
  tree.file(device + "/current_link_width", "16\n");
  tree.file(device + "/max_link_width", "16\n");
  tree.file(device + "/unique_id", text("%016llx\n", static_cast<unsigned long long>(card::unique_id)));
  tree.file(device + "/mem_info_vram_total",
            text("%llu\n", static_cast<unsigned long long>(settings::vram_size())));
  tree.file(device + "/mem_info_vis_vram_total",
            text("%llu\n", static_cast<unsigned long long>(settings::vram_size())));
  tree.link(device + "/subsystem", "../../../bus/pci");
  tree.link(device + "/driver", "../../../bus/pci/drivers/amdgpu");
  tree.link(std::string("/sys/bus/pci/devices/") + card::pci_slot,
            "../../../devices/pci0000:03/0000:03:00.0");
  tree.link(std::string("/sys/bus/pci/drivers/amdgpu/") + card::pci_slot,
            "../../../../devices/pci0000:03/0000:03:00.0");
  drm_node(tree, "card0", card::primary_minor);
  drm_node(tree, "renderD128", card::render_minor);
  tree.link(std::string("/dev/dri/by-path/pci-") + card::pci_slot + "-card", "../card0");
  tree.link(std::string("/dev/dri/by-path/pci-") + card::pci_slot + "-render", "../renderD128");
  tree.file("/sys/class/drm/version", "drm 1.1.0 20060810\n");
}

void build(const std::string& root) {
  Builder tree(root);
  topology(tree);
  pci_device(tree);
  host_pci_devices(tree);
  tree.file("/dev/kfd", std::string(), 0666);
  tree.file("/sys/module/amdgpu/initstate", "live\n");
  tree.file("/sys/module/amdgpu/refcnt", "1\n");
  tree.directory("/sys/module/amdgpu/parameters");
  tree.directory("/sys/module/amdgpu/holders");
  tree.file("/proc/modules",
            "amdgpu 13000000 1 - Live 0x0000000000000000\n" + read_host_file("/proc/modules"));
}

// --- paths
// ---------------------------------------------------------------------------------------------------------

const std::string& root() {
  static const std::string* path = [] {
    auto* made = new std::string(machine_directory() + "/" + tree_version);
    if (settings::vram_size() != card::vram_size)
      *made += "-" + std::to_string(settings::vram_size() >> 20) + "M";
    if (settings::shared_virtual_memory())
      *made += "-svm";
    struct stat64 there {};
    if (syscall(SYS_newfstatat, AT_FDCWD, made->c_str(), &there, 0) == 0)
      return made;
    const std::string temporary = *made + "." + std::to_string(getpid());
    build(temporary);
    // Somebody else may have been first; what was made here is the same then.
    if (syscall(SYS_rename, temporary.c_str(), made->c_str()) != 0 && errno != ENOTEMPTY && errno != EEXIST)
      complain("cannot make %s: %s", made->c_str(), std::strerror(errno));
    return made;
  }();
  return *path;
}

// Is `path` this prefix, ending there or at a slash?
bool below(const char* path, const char* prefix, std::size_t length) {
  return std::strncmp(path, prefix, length) == 0 && (path[length] == 0 || path[length] == '/');
}
template <std::size_t n>
bool below(const char* path, const char (&prefix)[n]) {
  return below(path, prefix, n - 1);
}

bool is_ours(const char* path) {
  if (path[0] != '/')
    return false;
  switch (path[1]) {
  case 'd':
    return below(path, "/dev/kfd") || below(path, "/dev/dri");
  case 'p':
    return std::strcmp(path, "/proc/modules") == 0;
  case 's':
    if (std::strncmp(path, "/sys/", 5) != 0)
      return false;
    switch (path[5]) {
    case 'b':
      return below(path, "/sys/bus/pci/devices") || below(path, "/sys/bus/pci/drivers/amdgpu");
    case 'c':
      return below(path, "/sys/class/kfd") || below(path, "/sys/class/drm");
    case 'd':
      return std::strncmp(path, "/sys/dev/char/226:", 18) == 0 || below(path, "/sys/devices/virtual/kfd") ||
             below(path, "/sys/devices/pci0000:03");
    case 'm':
      return below(path, "/sys/module/amdgpu");
    default:
      return false;
    }
  default:
    return false;
  }
}

} // namespace

const char* redirect(const char* path, char (&buffer)[PATH_MAX]) {
  if (!path || !is_ours(path))
    return path;
  const std::string& base = root();
  const std::size_t length = std::strlen(path);
  if (base.size() + length >= PATH_MAX)
    return path;
  std::memcpy(buffer, base.data(), base.size());
  std::memcpy(buffer + base.size(), path, length + 1);
  return buffer;
}

Device device_at(const char* path) {
  if (!path || std::strncmp(path, "/dev/", 5) != 0)
    return Device::none;
  if (std::strcmp(path, "/dev/kfd") == 0)
    return Device::kfd;
  if (std::strncmp(path, "/dev/dri/", 9) != 0)
    return Device::none;
  const char* name = path + 9;
  char target[PATH_MAX];
  if (std::strncmp(name, "by-path/", 8) == 0) {
    char real_path[PATH_MAX];
    const int length = real::readlink(redirect(path, real_path), target, sizeof target - 1);
    if (length <= 3)
      return Device::none;
    target[length] = 0;
    name = target + 3; // "../"
  }
  if (std::strcmp(name, "renderD128") == 0)
    return Device::render;
  return std::strcmp(name, "card0") == 0 ? Device::primary : Device::none;
}

void unredirect(char* path) {
  if (!path || path[0] != '/')
    return;
  const std::string& base = root();
  if (std::strncmp(path, base.c_str(), base.size()) != 0 || path[base.size()] != '/')
    return;
  std::memmove(path, path + base.size(), std::strlen(path + base.size()) + 1);
}

} // namespace emu::kernel::sysfs
