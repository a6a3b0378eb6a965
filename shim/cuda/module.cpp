// Module management.
#include <algorithm>
#include <vector>

#include "jit_options.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

std::size_t as_number(void* value) {
  return reinterpret_cast<std::size_t>(value);
}

// Options that change no result here: limits and hints for NVIDIA's compiler.
bool is_hint(CUjit_option option) {
  return option >= CU_JIT_MAX_REGISTERS && option < CU_JIT_GLOBAL_SYMBOL_NAMES;
}

constexpr std::size_t highest_optimization = 4;

} // namespace

namespace shim::cuda {

Result<core::JitOptions> read_options(unsigned count, const CUjit_option* options, void** values) {
  core::JitOptions read;
  if (count > 0 && (!options || !values))
    return util::fail(CUDA_ERROR_INVALID_VALUE, "{} options, and no array of them", count);
  for (unsigned i = 0; i < count; ++i) {
    switch (options[i]) {
    case CU_JIT_ERROR_LOG_BUFFER:
      read.error_log = static_cast<char*>(values[i]);
      break;
    case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
      read.error_log_size = static_cast<unsigned>(as_number(values[i]));
      break;
    case CU_JIT_INFO_LOG_BUFFER:
      read.info_log = static_cast<char*>(values[i]);
      break;
    case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
      read.info_log_size = static_cast<unsigned>(as_number(values[i]));
      break;
    case CU_JIT_OPTIMIZATION_LEVEL:
      read.optimization = static_cast<unsigned>(std::min(as_number(values[i]), highest_optimization));
      break;
    default:
      if (!is_hint(options[i]))
        return util::fail(CUDA_ERROR_INVALID_VALUE, "option {}", static_cast<int>(options[i]));
      util::log_info("option {} has no effect", static_cast<int>(options[i]));
    }
  }
  if ((!read.error_log && read.error_log_size > 0) || (!read.info_log && read.info_log_size > 0))
    return util::fail(CUDA_ERROR_INVALID_VALUE, "the size of a log, and no log");
  return read;
}

void write_options(const core::JitOptions& result, unsigned count, const CUjit_option* options,
                   void** values) {
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
      values[i] = reinterpret_cast<void*>(result.error_log_size);
    if (options[i] == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES)
      values[i] = reinterpret_cast<void*>(result.info_log_size);
  }
}

} // namespace shim::cuda

namespace {

Result<void> load(core::Context& context, CUmodule* module, const void* image, unsigned count,
                  const CUjit_option* options, void** values) {
  if (Result<void> given = require("cuModuleLoadData", module, image); !given)
    return given;
  Result<core::JitOptions> read = read_options(count, options, values);
  if (!read)
    return read.error();
  Result<std::uint64_t> loaded = core::load_module(context, image, *read);
  write_options(*read, count, options, values);
  if (!loaded)
    return loaded.error();
  *module = to_handle<CUmodule>(*loaded);
  return {};
}

} // namespace

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  return call_in_context(
      "cuModuleLoadData",
      [&](core::Context& context) { return load(context, module, image, 0, nullptr, nullptr); }, module,
      image);
}

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned int option_count,
                            CUjit_option* options, void** values) {
  return call_in_context(
      "cuModuleLoadDataEx",
      [&](core::Context& context) { return load(context, module, image, option_count, options, values); },
      module, image, option_count, options, values);
}

CUresult cuModuleLoadFatBinary(CUmodule* module, const void* fatbin) {
  return call_in_context(
      "cuModuleLoadFatBinary",
      [&](core::Context& context) { return load(context, module, fatbin, 0, nullptr, nullptr); }, module,
      fatbin);
}

CUresult cuModuleLoad(CUmodule* module, const char* path) {
  return call_in_context(
      "cuModuleLoad",
      [&](core::Context& context) -> Result<void> {
        if (!module || !path || !*path)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuModuleLoad: no path, or a null pointer");
        Result<std::vector<char>> file = core::read_module_file(path);
        if (!file)
          return file.error();
        return load(context, module, file->data(), 0, nullptr, nullptr);
      },
      module, path);
}

CUresult cuModuleUnload(CUmodule module) {
  return call_on_object<core::Module>("cuModuleUnload", module, "module", [](core::Module& found) {
    return found.context().destroy_module(found);
  });
}

namespace {

// `body(core::Module&)`, for calls that look for something by its name.
template <class Body, class... Args>
CUresult look_up(const char* call_name, CUmodule module, const char* name, Body&& body, const Args&... args) {
  return call_on_object<core::Module>(
      call_name, module, "module",
      [&](core::Module& found) -> Result<void> {
        if (!name || !*name)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: no name", call_name);
        return body(found);
      },
      name, args...);
}

} // namespace

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  return look_up(
      "cuModuleGetFunction", module, name,
      [&](core::Module& found) -> Result<void> {
        if (Result<void> given = require("cuModuleGetFunction", function); !given)
          return given;
        Result<std::uint64_t> entry = found.function(name);
        if (!entry)
          return entry.error();
        *function = to_handle<CUfunction>(*entry);
        return {};
      },
      function);
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule module, const char* name) {
  return look_up(
      "cuModuleGetGlobal_v2", module, name,
      [&](core::Module& found) -> Result<void> {
        if (!address && !bytes)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuModuleGetGlobal: nothing is asked for");
        Result<core::Module::Global> global = found.global(name);
        if (!global)
          return global.error();
        if (address)
          *address = global->address;
        if (bytes)
          *bytes = global->size;
        return {};
      },
      address, bytes);
}

// A module that declares texture or surface references does not load: none has any.
CUresult cuModuleGetTexRef(CUtexref* reference, CUmodule module, const char* name) {
  return look_up(
      "cuModuleGetTexRef", module, name,
      [&](core::Module&) -> Result<void> {
        if (Result<void> given = require("cuModuleGetTexRef", reference); !given)
          return given;
        return util::fail(CUDA_ERROR_NOT_FOUND, "module: no texture reference {}", name);
      },
      reference);
}

CUresult cuModuleGetSurfRef(CUsurfref* reference, CUmodule module, const char* name) {
  return look_up(
      "cuModuleGetSurfRef", module, name,
      [&](core::Module&) -> Result<void> {
        if (Result<void> given = require("cuModuleGetSurfRef", reference); !given)
          return given;
        return util::fail(CUDA_ERROR_NOT_FOUND, "module: no surface reference {}", name);
      },
      reference);
}
