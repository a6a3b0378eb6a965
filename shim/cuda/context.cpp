// Context management.
#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

constexpr unsigned context_api_version = 3020; // what cuCtxCreate_v2 makes

Result<core::Pinned<core::Context>> context_from(CUcontext handle) {
  core::Pinned<core::Context> context = core::find<core::Context>(handle);
  if (!context)
    return util::fail(CUDA_ERROR_INVALID_CONTEXT, "{:#x} is no context",
                      reinterpret_cast<std::uintptr_t>(handle));
  return context;
}

} // namespace

CUresult cuCtxCreate_v2(CUcontext* context, unsigned int flags, CUdevice device) {
  return call(
      "cuCtxCreate_v2",
      [&]() -> Result<void> {
        if (Result<void> given = require("cuCtxCreate", context); !given)
          return given;
        if (!known_context_flags(flags))
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuCtxCreate: flags {:#x}", flags);
        Result<core::Device*> found = core::driver().device(device);
        if (!found)
          return found.error();
        Result<std::uint64_t> made = core::driver().create_context(**found, flags);
        if (!made)
          return made.error();
        core::push_current(*made);
        *context = to_handle<CUcontext>(*made);
        return {};
      },
      context, flags, device);
}

CUresult cuCtxDestroy_v2(CUcontext context) {
  return call(
      "cuCtxDestroy_v2",
      [&]() -> Result<void> {
        if (!context)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuCtxDestroy: a null context");
        Result<core::Pinned<core::Context>> found = context_from(context);
        if (!found && core::was_handle<core::Context>(context))
          return util::Error{CUDA_ERROR_CONTEXT_IS_DESTROYED};
        if (!found)
          return found.error();
        if ((*found)->primary())
          return util::fail(CUDA_ERROR_INVALID_CONTEXT,
                            "cuCtxDestroy: primary contexts are released, not destroyed");
        if (core::current_handle() == (*found)->handle)
          core::set_current(0);
        return core::driver().destroy_context(**found);
      },
      context);
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
  return call(
      "cuCtxPushCurrent_v2",
      [&]() -> Result<void> {
        if (!context)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuCtxPushCurrent: a null context");
        Result<core::Pinned<core::Context>> found = context_from(context);
        if (!found)
          return found.error();
        core::push_current((*found)->handle);
        return {};
      },
      context);
}

CUresult cuCtxPopCurrent_v2(CUcontext* context) {
  return call(
      "cuCtxPopCurrent_v2",
      [&]() -> Result<void> {
        Result<std::uint64_t> popped = core::pop_current();
        if (!popped)
          return popped.error();
        if (context)
          *context = to_handle<CUcontext>(*popped);
        return {};
      },
      context);
}

CUresult cuCtxSetCurrent(CUcontext context) {
  return call(
      "cuCtxSetCurrent",
      [&]() -> Result<void> {
        if (!context) {
          core::set_current(0);
          return {};
        }
        Result<core::Pinned<core::Context>> found = context_from(context);
        if (!found)
          return found.error();
        core::set_current((*found)->handle);
        return {};
      },
      context);
}

CUresult cuCtxGetCurrent(CUcontext* context) {
  return call(
      "cuCtxGetCurrent",
      [&]() -> Result<void> {
        if (Result<void> given = require("cuCtxGetCurrent", context); !given)
          return given;
        *context = to_handle<CUcontext>(core::current_handle());
        return {};
      },
      context);
}

CUresult cuCtxGetDevice(CUdevice* device) {
  return call_in_context(
      "cuCtxGetDevice",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuCtxGetDevice", device); !given)
          return given;
        *device = context.device().ordinal();
        return {};
      },
      device);
}

CUresult cuCtxGetFlags(unsigned int* flags) {
  return call_in_context(
      "cuCtxGetFlags",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuCtxGetFlags", flags); !given)
          return given;
        *flags = context.flags();
        return {};
      },
      flags);
}

CUresult cuCtxSynchronize() {
  return call_in_context("cuCtxSynchronize", [](core::Context& context) { return context.synchronize(); });
}

CUresult cuCtxSetLimit(CUlimit limit, size_t value) {
  return call_in_context(
      "cuCtxSetLimit", [&](core::Context& context) { return context.set_limit(limit, value); }, limit, value);
}

CUresult cuCtxGetLimit(size_t* value, CUlimit limit) {
  return call_in_context(
      "cuCtxGetLimit",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuCtxGetLimit", value); !given)
          return given;
        return store(value, context.limit(limit));
      },
      value, limit);
}

CUresult cuCtxGetCacheConfig(CUfunc_cache* config) {
  return call_in_context(
      "cuCtxGetCacheConfig",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuCtxGetCacheConfig", config); !given)
          return given;
        *config = context.cache_config;
        return {};
      },
      config);
}

// Cache and bank preferences are hints that this hardware has no use for: its caches and LDS are separate.
CUresult cuCtxSetCacheConfig(CUfunc_cache config) {
  return call_in_context(
      "cuCtxSetCacheConfig",
      [&](core::Context& context) -> Result<void> {
        if (config < CU_FUNC_CACHE_PREFER_NONE || config > CU_FUNC_CACHE_PREFER_EQUAL)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuCtxSetCacheConfig({})", static_cast<int>(config));
        context.cache_config = config;
        return {};
      },
      config);
}

CUresult cuCtxGetSharedMemConfig(CUsharedconfig* config) {
  return call_in_context(
      "cuCtxGetSharedMemConfig",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuCtxGetSharedMemConfig", config); !given)
          return given;
        *config = context.shared_config;
        return {};
      },
      config);
}

CUresult cuCtxSetSharedMemConfig(CUsharedconfig config) {
  return call_in_context(
      "cuCtxSetSharedMemConfig",
      [&](core::Context&) -> Result<void> {
        if (config < CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE ||
            config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuCtxSetSharedMemConfig({})",
                            static_cast<int>(config));
        return {}; // banks are four bytes wide and stay so, as on every CUDA device since 5.0
      },
      config);
}

CUresult cuCtxGetApiVersion(CUcontext context, unsigned int* version) {
  return call(
      "cuCtxGetApiVersion",
      [&]() -> Result<void> {
        if (Result<void> given = require("cuCtxGetApiVersion", version); !given)
          return given;
        Result<core::Pinned<core::Context>> found = context ? context_from(context) : core::current_context();
        if (!found)
          return found.error();
        *version = context_api_version;
        return {};
      },
      context, version);
}

CUresult cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  return call_in_context(
      "cuCtxGetStreamPriorityRange",
      [&](core::Context&) -> Result<void> {
        if (least)
          *least = core::least_stream_priority;
        if (greatest)
          *greatest = core::greatest_stream_priority;
        return {};
      },
      least, greatest);
}

CUresult cuCtxAttach(CUcontext* context, unsigned int flags) {
  return call_in_context(
      "cuCtxAttach",
      [&](core::Context& current) -> Result<void> {
        if (Result<void> given = require("cuCtxAttach", context); !given)
          return given;
        if (flags != 0)
          return util::fail(CUDA_ERROR_INVALID_VALUE, "cuCtxAttach: flags {:#x}", flags);
        ++current.attach_count;
        *context = to_handle<CUcontext>(current.handle);
        return {};
      },
      context, flags);
}

CUresult cuCtxDetach(CUcontext context) {
  return call(
      "cuCtxDetach",
      [&]() -> Result<void> {
        Result<core::Pinned<core::Context>> found = context_from(context);
        if (!found)
          return found.error();
        if (core::current_handle() != (*found)->handle)
          return util::fail(CUDA_ERROR_INVALID_CONTEXT, "cuCtxDetach: not the current context");
        if (--(*found)->attach_count > 0)
          return {};
        core::set_current(0);
        return core::driver().destroy_context(**found);
      },
      context);
}
