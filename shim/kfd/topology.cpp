#include <kfd/topology.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <memory>
#include <optional>
#include <unistd.h>

#include <fmt/format.h>
#include <util/fd.hpp>

namespace shim::kfd {

using util::fail;
using util::Fd;

namespace {

constexpr const char* nodes_directory = "/sys/class/kfd/kfd/topology/nodes";
constexpr const char* amdgpu_names_file = "/usr/share/libdrm/amdgpu.ids";

// heap_type of a memory bank (linux/kfd_sysfs.h names only the flags, the kernel's kfd_crat.h the heaps).
constexpr std::uint64_t heap_fb_public = 1;
constexpr std::uint64_t heap_fb_private = 2;

std::optional<std::string> read_file(const std::string& path) {
  Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid())
    return std::nullopt;
  std::string text;
  char chunk[4096];
  for (;;) {
    ssize_t got = ::read(file.get(), chunk, sizeof chunk);
    if (got < 0)
      return std::nullopt;
    if (got == 0)
      return text;
    text.append(chunk, static_cast<std::size_t>(got));
  }
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())))
    text.pop_back();
  return text;
}

// "key value" lines. Values that are no numbers are left out.
class Properties {
public:
  explicit Properties(const std::string& text) {
    std::size_t at = 0;
    while (at < text.size()) {
      std::size_t end = std::min(text.find('\n', at), text.size());
      std::size_t space = text.find(' ', at);
      if (space < end) {
        std::uint64_t value = 0;
        if (std::from_chars(text.data() + space + 1, text.data() + end, value).ec == std::errc{})
          values_[text.substr(at, space - at)] = value;
      }
      at = end + 1;
    }
  }
  std::uint64_t get(const char* key, std::uint64_t otherwise = 0) const {
    auto found = values_.find(key);
    return found == values_.end() ? otherwise : found->second;
  }
  std::uint32_t get32(const char* key, std::uint32_t otherwise = 0) const {
    return static_cast<std::uint32_t>(get(key, otherwise));
  }

private:
  std::map<std::string, std::uint64_t> values_;
};

// The numbered subdirectories of a directory, ascending.
std::vector<unsigned> numbered_entries(const std::string& path) {
  std::vector<unsigned> numbers;
  std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory)
    return numbers;
  while (const dirent* entry = ::readdir(directory.get())) {
    const char* end = entry->d_name + std::char_traits<char>::length(entry->d_name);
    unsigned number = 0;
    auto parsed = std::from_chars(entry->d_name, end, number);
    if (parsed.ec == std::errc{} && parsed.ptr == end)
      numbers.push_back(number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// The product name in libdrm's table: "73BF,\tC1,\tAMD Radeon RX 6800 XT".
std::optional<std::string> product_name(std::uint32_t device_id, std::uint32_t revision) {
  std::optional<std::string> table = read_file(amdgpu_names_file);
  if (!table)
    return std::nullopt;
  std::string key = fmt::format("\n{:04X},\t{:02X},\t", device_id, revision);
  std::size_t at = table->find(key);
  if (at == std::string::npos)
    return std::nullopt;
  at += key.size();
  return trimmed(table->substr(at, table->find('\n', at) - at));
}

std::uint32_t pci_revision(std::uint32_t render_minor) {
  std::optional<std::string> text =
      read_file(fmt::format("/sys/dev/char/226:{}/device/revision", render_minor));
  unsigned revision = 0;
  if (text)
    std::sscanf(text->c_str(), "%x", &revision);
  return revision;
}

void read_memory_banks(const std::string& directory, NodeProperties& node) {
  for (unsigned bank : numbered_entries(directory + "/mem_banks")) {
    Properties properties(read_file(fmt::format("{}/mem_banks/{}/properties", directory, bank)).value_or(""));
    std::uint64_t heap = properties.get("heap_type");
    if (heap != heap_fb_public && heap != heap_fb_private)
      continue;
    node.vram_bytes += properties.get("size_in_bytes");
    if (heap == heap_fb_public)
      node.vram_visible_bytes += properties.get("size_in_bytes");
    node.memory_bus_width = properties.get32("width");
    node.memory_clock_mhz = properties.get32("mem_clk_max");
  }
}

void read_caches(const std::string& directory, NodeProperties& node) {
  for (unsigned cache : numbered_entries(directory + "/caches")) {
    Properties properties(read_file(fmt::format("{}/caches/{}/properties", directory, cache)).value_or(""));
    if (properties.get("level") == 2)
      node.l2_cache_kib = std::max(node.l2_cache_kib, properties.get32("size"));
  }
}

void read_pci_address(const Properties& properties, NodeProperties& node) {
  // location_id is bus << 8 | device << 3 | function.
  std::uint32_t location = properties.get32("location_id");
  node.pci = {properties.get32("domain"), location >> 8 & 0xff, location >> 3 & 0x1f, location & 7};
}

std::optional<NodeProperties> read_node(unsigned number) {
  std::string directory = fmt::format("{}/{}", nodes_directory, number);
  std::optional<std::string> id_text = read_file(directory + "/gpu_id");
  std::optional<std::string> property_text = read_file(directory + "/properties");
  if (!id_text || !property_text)
    return std::nullopt;
  NodeProperties node;
  node.node = number;
  std::from_chars(id_text->data(), id_text->data() + id_text->size(), node.gpu_id);
  Properties properties(*property_text);
  node.simd_count = properties.get32("simd_count");
  if (node.gpu_id == 0 || node.simd_count == 0)
    return std::nullopt; // a CPU node

  node.name = trimmed(read_file(directory + "/name").value_or(""));
  read_pci_address(properties, node);
  node.vendor_id = properties.get32("vendor_id");
  node.device_id = properties.get32("device_id");
  node.unique_id = properties.get("unique_id");
  node.drm_render_minor = properties.get32("drm_render_minor");
  node.marketing_name = product_name(node.device_id, pci_revision(node.drm_render_minor)).value_or(node.name);
  node.gfx_target_version = properties.get32("gfx_target_version");
  node.simd_per_cu = std::max(1u, properties.get32("simd_per_cu", 1));
  node.compute_units = node.simd_count / node.simd_per_cu;
  node.max_waves_per_simd = properties.get32("max_waves_per_simd");
  node.wave_front_size = properties.get32("wave_front_size");
  node.array_count = properties.get32("array_count");
  node.simd_arrays_per_engine = std::max(1u, properties.get32("simd_arrays_per_engine", 1));
  node.shader_engines = std::max(1u, node.array_count / node.simd_arrays_per_engine);
  node.max_slots_scratch_cu = properties.get32("max_slots_scratch_cu");
  node.lds_size_kib = properties.get32("lds_size_in_kb");
  node.gds_size_kib = properties.get32("gds_size_in_kb");
  node.max_engine_clock_mhz = properties.get32("max_engine_clk_fcompute");
  node.num_sdma_engines = properties.get32("num_sdma_engines");
  node.num_cp_queues = properties.get32("num_cp_queues");
  node.num_xcc = std::max(1u, properties.get32("num_xcc", 1));
  node.capability = properties.get32("capability");
  read_memory_banks(directory, node);
  read_caches(directory, node);
  node.queue_sizes = compute_queue_sizes(node);
  return node;
}

constexpr std::uint32_t align(std::uint32_t value, std::uint32_t to) {
  return (value + to - 1) / to * to;
}

std::uint32_t vgpr_bytes_per_cu(std::uint32_t gfx) {
  if (gfx / 100 == 904 || gfx == 90010 || gfx == 90008)
    return 0x80000;
  if (gfx == 110000 || gfx == 110001 || gfx == 110501 || gfx == 120000 || gfx == 120001)
    return 0x60000;
  return 0x40000;
}

} // namespace

std::string NodeProperties::gfx_name() const {
  return fmt::format("gfx{}{}{:x}", gfx_major(), gfx_minor(), gfx_stepping());
}

QueueSizes compute_queue_sizes(const NodeProperties& node) {
  constexpr std::uint32_t page = 4096;
  constexpr std::uint32_t sgpr_bytes_per_cu = 0x4000;
  constexpr std::uint32_t lds_bytes_per_cu = 0x10000;
  constexpr std::uint32_t hwreg_bytes_per_cu = 0x1000;
  constexpr std::uint32_t save_area_header = 40;
  constexpr std::uint32_t debugger_bytes_per_wave = 32;
  constexpr std::uint32_t gfx10_control_stack_limit = 0x7000;
  constexpr std::uint32_t navi10 = 100100;

  std::uint32_t gfx = node.gfx_target_version;
  std::uint32_t units = node.simd_count / std::max(1u, node.simd_per_cu) / std::max(1u, node.num_xcc);
  std::uint32_t waves =
      gfx < navi10 ? std::min(units * 40, node.array_count / std::max(1u, node.simd_arrays_per_engine) * 512)
                   : units * 32;
  std::uint32_t wave_data = align(
      units * (vgpr_bytes_per_cu(gfx) + sgpr_bytes_per_cu + lds_bytes_per_cu + hwreg_bytes_per_cu), page);
  std::uint32_t bytes_per_wave = gfx >= navi10 ? 12 : 8;

  QueueSizes sizes;
  sizes.eop = 4096;
  sizes.control_stack = align(save_area_header + waves * bytes_per_wave + 8, page);
  if (gfx / 10000 == 10)
    sizes.control_stack = std::min(sizes.control_stack, gfx10_control_stack_limit);
  sizes.context_save = sizes.control_stack + wave_data;
  sizes.debug_memory = align(waves * debugger_bytes_per_wave, 64);
  return sizes;
}

Result<std::vector<NodeProperties>> read_topology() {
  std::vector<unsigned> numbers = numbered_entries(nodes_directory);
  if (numbers.empty())
    return fail(CUDA_ERROR_NO_DEVICE, "{}: no nodes; is the amdgpu driver loaded?", nodes_directory);
  std::vector<NodeProperties> nodes;
  for (unsigned number : numbers)
    if (std::optional<NodeProperties> node = read_node(number))
      nodes.push_back(std::move(*node));
  return nodes;
}

} // namespace shim::kfd
