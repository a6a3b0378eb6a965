#include "cache.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>
#include <util/env.hpp>
#include <util/log.hpp>

namespace shim::jit {
namespace {

namespace fs = std::filesystem;

constexpr unsigned long default_limit = 1ul << 30;
constexpr const char* suffix = ".gfx";

// Empty where there is no cache.
fs::path directory() {
  if (util::env_string("CUDA_CACHE_DISABLE").value_or("0") != "0")
    return {};
  if (const auto path = util::env_string("CUDA_CACHE_PATH"))
    return *path;
  if (const auto path = util::env_string("XDG_CACHE_HOME"))
    return fs::path(*path) / "cuda-shim";
  if (const auto path = util::env_string("HOME"))
    return fs::path(*path) / ".cache" / "cuda-shim";
  return {};
}

fs::path file_of(const fs::path& folder, const Digest& key) {
  return folder / (to_hex(key) + suffix);
}

struct CachedFile {
  fs::path path;
  fs::file_time_type used;
  std::uintmax_t size = 0;
};

// Removes the files that were used longest ago, until three quarters of the limit are left.
void prune(const fs::path& folder, std::uintmax_t limit) {
  std::error_code error;
  std::vector<CachedFile> files;
  std::uintmax_t total = 0;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code gone;
    CachedFile file{entry.path(), entry.last_write_time(gone), entry.file_size(gone)};
    if (gone || file.path.extension() != suffix)
      continue;
    total += file.size;
    files.push_back(std::move(file));
  }
  if (total <= limit)
    return;
  std::sort(files.begin(), files.end(),
            [](const CachedFile& a, const CachedFile& b) { return a.used < b.used; });
  for (const CachedFile& file : files) {
    if (total <= limit / 4 * 3)
      break;
    fs::remove(file.path, error);
    total -= file.size;
  }
}

} // namespace

// A file is: the digest of the data, then the data.
std::optional<std::string> cache_load(const Digest& key) {
  const fs::path folder = directory();
  if (folder.empty())
    return std::nullopt;
  const fs::path path = file_of(folder, key);
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return std::nullopt;
  std::ostringstream content;
  content << file.rdbuf();
  std::string data = std::move(content).str();
  Digest digest;
  if (data.size() < digest.size())
    return std::nullopt;
  std::copy_n(data.begin(), digest.size(), reinterpret_cast<char*>(digest.data()));
  data.erase(0, digest.size());
  if (sha1(data) != digest) {
    util::log_warn("{} is damaged", path.string());
    return std::nullopt;
  }
  std::error_code ignored;
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
  return data;
}

void cache_store(const Digest& key, std::string_view data) {
  const fs::path folder = directory();
  const unsigned long limit = util::env_number("CUDA_CACHE_MAXSIZE").value_or(default_limit);
  if (folder.empty() || data.size() > limit)
    return;
  std::error_code error;
  fs::create_directories(folder, error);
  std::string name = (folder / "new.XXXXXX").string();
  const int fd = error ? -1 : mkstemp(name.data());
  if (fd < 0) {
    util::log_info("nothing is cached: {} cannot be written", folder.string());
    return;
  }
  const Digest digest = sha1(data);
  bool written = write(fd, digest.data(), digest.size()) == static_cast<ssize_t>(digest.size());
  while (written && !data.empty()) {
    const ssize_t count = write(fd, data.data(), data.size());
    written = count > 0;
    data.remove_prefix(written ? static_cast<std::size_t>(count) : 0);
  }
  close(fd);
  if (written)
    fs::rename(name, file_of(folder, key), error);
  if (!written || error)
    fs::remove(name, error);
  prune(folder, limit);
}

} // namespace shim::jit
