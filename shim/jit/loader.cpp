#include "loader.hpp"

#include <dlfcn.h>
#include <filesystem>
#include <mutex>
#include <string>
#include <sys/stat.h>

#include <fmt/format.h>
#include <util/env.hpp>

namespace shim::jit {
namespace {

constexpr const char* library_name = "libcuda-shim-jit.so";

// Beside the shared object (or program) that this code is in.
std::string library_path() {
  if (auto path = util::env_string("CUDA_SHIM_JIT_LIBRARY"))
    return *path;
  Dl_info info = {};
  if (!dladdr(reinterpret_cast<const void*>(&library_path), &info) || !info.dli_fname)
    return library_name;
  // libcuda.so.1 may be a link that stands elsewhere.
  std::error_code error;
  const std::filesystem::path own = std::filesystem::canonical(info.dli_fname, error);
  return error ? library_name : (own.parent_path() / library_name).string();
}

util::Result<const BackendInterface*> open_backend() {
  const std::string path = library_path();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return util::fail(CUDA_ERROR_JIT_COMPILER_NOT_FOUND, "dlopen: {}", dlerror());
  auto* get = reinterpret_cast<BackendFunction*>(dlsym(library, backend_symbol));
  const BackendInterface* interface = get ? get() : nullptr;
  if (!interface || interface->revision != compiler_revision)
    return util::fail(CUDA_ERROR_JIT_COMPILER_NOT_FOUND, "{} is of another version", path);
  return interface;
}

} // namespace

std::string backend_identity() {
  struct stat status = {};
  if (stat(library_path().c_str(), &status) != 0)
    return {};
  return fmt::format("{}:{}:{}.{}", compiler_revision, status.st_size, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec);
}

util::Result<const BackendInterface*> backend() {
  static std::mutex mutex;
  static const BackendInterface* opened = nullptr;
  const std::lock_guard lock(mutex);
  if (opened)
    return opened;
  auto result = open_backend();
  if (result)
    opened = *result;
  return result;
}

} // namespace shim::jit
