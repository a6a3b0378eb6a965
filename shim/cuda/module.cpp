// Module management.
#include <vector>

#include <core/module.hpp>

#include "entry.hpp"

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

Result<core::JitOptions> read_options(unsigned count, const CUjit_option* options, void** values) {
  core::JitOptions read;
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
      read.optimization = static_cast<unsigned>(as_number(values[i]));
      if (read.optimization > 4)
        return util::fail(CUDA_ERROR_INVALID_VALUE, "cuModuleLoadDataEx: optimization level {}",
                          read.optimization);
      break;
    default:
      if (!is_hint(options[i]))
        return util::fail(CUDA_ERROR_INVALID_VALUE, "cuModuleLoadDataEx: option {}",
                          static_cast<int>(options[i]));
      util::log_info("cuModuleLoadDataEx: option {} has no effect", static_cast<int>(options[i]));
    }
  }
  return read;
}

// The values that options give back.
void write_options(const core::JitOptions& result, unsigned count, const CUjit_option* options,
                   void** values) {
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
      values[i] = reinterpret_cast<void*>(result.error_log_size);
    if (options[i] == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES)
      values[i] = reinterpret_cast<void*>(result.info_log_size);
  }
}

Result<void> load(core::Context& context, CUmodule* module, const void* image, unsigned count,
                  const CUjit_option* options, void** values) {
  if (Result<void> given = require("cuModuleLoadData", module, image); !given)
    return given;
  if (count > 0 && (!options || !values))
    return util::fail(CUDA_ERROR_INVALID_VALUE, "cuModuleLoadDataEx: {} options, and no array of them",
                      count);
  Result<core::JitOptions> read = read_options(count, options, values);
  if (!read)
    return read.error();
  Result<core::Module*> loaded = core::load_module(context, image, *read);
  write_options(*read, count, options, values);
  if (!loaded)
    return loaded.error();
  *module = to_handle<CUmodule>((*loaded)->handle);
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
        if (Result<void> given = require("cuModuleLoad", module, path); !given)
          return given;
        Result<std::vector<char>> file = core::read_module_file(path);
        if (!file)
          return file.error();
        return load(context, module, file->data(), 0, nullptr, nullptr);
      },
      module, path);
}

CUresult cuModuleUnload(CUmodule module) {
  return call_in_context(
      "cuModuleUnload",
      [&](core::Context&) -> Result<void> {
        Result<core::Module*> found = object_from<core::Module>(module, "module");
        if (!found)
          return found.error();
        return (*found)->context().destroy_module(*found);
      },
      module);
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  return call_in_context(
      "cuModuleGetFunction",
      [&](core::Context&) -> Result<void> {
        if (Result<void> given = require("cuModuleGetFunction", function, name); !given)
          return given;
        Result<core::Module*> found = object_from<core::Module>(module, "module");
        if (!found)
          return found.error();
        Result<core::Function*> entry = (*found)->function(name);
        if (!entry)
          return entry.error();
        *function = to_handle<CUfunction>((*entry)->handle);
        return {};
      },
      function, module, name);
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule module, const char* name) {
  return call_in_context(
      "cuModuleGetGlobal_v2",
      [&](core::Context&) -> Result<void> {
        if (Result<void> given = require("cuModuleGetGlobal", name); !given)
          return given;
        if (!address && !bytes)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuModuleGetGlobal: nothing is asked for");
        Result<core::Module*> found = object_from<core::Module>(module, "module");
        if (!found)
          return found.error();
        Result<core::Module::Global> global = (*found)->global(name);
        if (!global)
          return global.error();
        if (address)
          *address = global->address;
        if (bytes)
          *bytes = global->size;
        return {};
      },
      address, bytes, module, name);
}
