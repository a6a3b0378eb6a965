// Loaded modules, their variables and their functions.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <core/handle.hpp>
#include <core/memory.hpp>
#include <jit/compiler.hpp>
#include <kfd/buffer.hpp>
#include <util/error.hpp>

namespace shim::core {

class Context;
class Module;

// A function's code on its device.
struct LoadedKernel {
  std::shared_ptr<const jit::Kernel> kernel;
  std::uint64_t kernel_object = 0; // GPU address of the descriptor
};

// Thread-safe.
class Function {
public:
  static constexpr HandleKind handle_kind = HandleKind::function;

  Function(Module& module, std::size_t entry) : module_(module), entry_(entry) {}

  Module& module() const { return module_; }
  const jit::Entry& entry() const;
  // Compiles on first use.
  Result<const LoadedKernel*> load() {
    if (const LoadedKernel* loaded = loaded_.load(std::memory_order_acquire))
      return loaded;
    return load_slow();
  }
  Result<int> attribute(CUfunction_attribute which);
  Result<void> set_attribute(CUfunction_attribute which, int value);

  std::uint64_t handle = 0;
  std::atomic<int> dynamic_shared_limit = -1; // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES; -1: not set
  std::atomic<int> carveout = -1;
  std::atomic<CUfunc_cache> cache_config = CU_FUNC_CACHE_PREFER_NONE;

  // What the deprecated cuFuncSetBlockShape, cuParamSet* and cuFuncSetSharedSize leave for cuLaunchGrid.
  struct LegacyLaunch {
    std::mutex mutex;
    unsigned block[3] = {1, 1, 1};
    unsigned shared_bytes = 0;
    std::vector<std::byte> parameters;
    std::size_t parameter_bytes = 0;
  };
  LegacyLaunch& legacy_launch() { return legacy_; }

private:
  Result<const LoadedKernel*> load_slow();

  Module& module_;
  const std::size_t entry_;
  std::mutex mutex_;
  LoadedKernel kernel_;
  std::atomic<const LoadedKernel*> loaded_ = nullptr;
  LegacyLaunch legacy_;
};

// What cuModuleLoadDataEx's options ask for.
struct JitOptions {
  unsigned optimization = 3;
  char* error_log = nullptr;
  std::size_t error_log_size = 0; // in: the buffer's, out: bytes written
  char* info_log = nullptr;
  std::size_t info_log_size = 0;
};

// Copies of a log what fits, with a terminating zero; `size` becomes the number of bytes written.
void write_log(const std::string& text, char* buffer, std::size_t& size);

// Thread-safe. Lives until its handle and its functions' are gone, and nobody has one of them pinned.
class Module : public std::enable_shared_from_this<Module> {
public:
  static constexpr HandleKind handle_kind = HandleKind::module;

  // `image`: PTX text, a fatbin, its wrapper or an ELF file; told apart by their first bytes.
  // CUDA_ERROR_NO_BINARY_FOR_GPU where there is only machine code for NVIDIA's GPUs.
  static Result<std::shared_ptr<Module>> load(Context& context, const void* image, JitOptions& options);
  // Waits for the context's work: a call that was under way when the module was unloaded may have launched a
  // kernel.
  ~Module();
  // Its functions' handles are refused from here on.
  void close();

  Context& context() const { return context_; }
  const jit::Module& code() const { return *code_; }
  // A handle. CUDA_ERROR_NOT_FOUND, and CUDA_ERROR_INVALID_HANDLE once closed.
  Result<std::uint64_t> function(std::string_view name);
  struct Global {
    std::uint64_t address, size;
  };
  Result<Global> global(std::string_view name) const;
  std::uint64_t variable_table() const { return variable_table_; }
  unsigned optimization() const { return optimization_; }
  // Executable memory with a copy of `image` in it, alive as long as the module.
  Result<std::uint64_t> place_code(const std::vector<std::byte>& image, std::uint32_t alignment);

  std::uint64_t handle = 0;

private:
  Module(Context& context, std::shared_ptr<const jit::Module> code, unsigned optimization);
  Result<void> place_variables();

  Context& context_;
  std::shared_ptr<const jit::Module> code_;
  const unsigned optimization_;
  std::shared_ptr<kfd::Buffer> data_; // the table, then the variables
  std::uint64_t variable_table_ = 0;
  std::vector<std::uint64_t> addresses_; // by variable
  std::mutex mutex_;
  bool closed_ = false;
  std::unordered_map<std::size_t, std::unique_ptr<Function>> functions_; // by entry
  std::vector<kfd::Buffer> code_buffers_;
  std::uint64_t code_next_ = 0, code_end_ = 0;
};

// Loads a module into the context: its handle.
Result<std::uint64_t> load_module(Context& context, const void* image, JitOptions& options);

// The whole file and a zero byte behind it. CUDA_ERROR_FILE_NOT_FOUND where it cannot be read.
Result<std::vector<char>> read_module_file(const char* path);

// The PTX text in an image, or why there is none. The text lives as long as the image, unless it had to be
// unpacked into `unpacked`.
Result<std::string_view> find_ptx(const void* image, std::string& unpacked);

} // namespace shim::core
