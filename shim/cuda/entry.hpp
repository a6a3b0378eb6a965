// What every entry point does around its one call of core: trace the call, refuse it where the driver is not
// up, find the current context or the stream, and map the result.
#pragma once

#include <new>
#include <type_traits>

#include <cuda.h>
#include <fmt/format.h>

#include <core/context.hpp>
#include <core/driver.hpp>
#include <core/module.hpp>
#include <util/error.hpp>
#include <util/log.hpp>

namespace shim::cuda {

using util::Result;

// Which stream the handle 0 means: NVIDIA exports one set of names for each.
enum class DefaultStream { legacy, per_thread };

namespace detail {

// Pointers, enumerations and function pointers print as numbers.
template <class T>
auto printable(T value) {
  if constexpr (std::is_pointer_v<T>)
    return fmt::format("{:#x}", reinterpret_cast<std::uintptr_t>(value));
  else if constexpr (std::is_enum_v<T>)
    return static_cast<std::underlying_type_t<T>>(value);
  else
    return value;
}

template <class... Args>
void trace_call(const char* name, const Args&... args) {
  std::string list;
  ((list += fmt::format("{}{}", list.empty() ? "" : ", ", printable(args))), ...);
  util::log_trace("{}({})", name, list);
}

// "?" for a number that is none.
const char* error_name(CUresult error);

void trace_result(const char* name, CUresult result);
// A process that ends makes calls out of destructors, of which nobody wants to read.
util::Error refuse_in_state(CUresult state, const char* name);

} // namespace detail

// Runs `body() -> Result<void>`. Nothing escapes as an exception.
template <class Body, class... Args>
CUresult call_in_any_state(const char* name, Body&& body, const Args&... args) noexcept {
  bool traced = util::log_enabled(util::LogLevel::trace);
  CUresult result;
  try {
    if (traced)
      detail::trace_call(name, args...);
    result = body().code();
  } catch (const std::bad_alloc&) {
    result = CUDA_ERROR_OUT_OF_MEMORY;
  } catch (const std::exception& problem) {
    result = util::fail(CUDA_ERROR_UNKNOWN, "{}: {}", name, problem.what()).code;
  }
  if (traced)
    detail::trace_result(name, result);
  return result;
}

// An older name of the entry point `newer`: in the trace stand both.
template <class... Parameters>
CUresult call_newer(const char* name, CUresult (*newer)(Parameters...),
                    std::type_identity_t<Parameters>... args) noexcept {
  return call_in_any_state(
      name,
      [&]() -> Result<void> {
        const CUresult result = newer(args...);
        return result == CUDA_SUCCESS ? Result<void>() : util::Error{result};
      },
      args...);
}

// The same, once cuInit has succeeded, and not from a host function of a stream.
template <class Body, class... Args>
CUresult call(const char* name, Body&& body, const Args&... args) noexcept {
  return call_in_any_state(
      name,
      [&]() -> Result<void> {
        if (CUresult state = core::driver().state(); state != CUDA_SUCCESS) [[unlikely]]
          return detail::refuse_in_state(state, name);
        if (core::this_thread().in_host_function) [[unlikely]]
          return util::fail(CUDA_ERROR_NOT_PERMITTED, "{}: a call from a host function", name);
        return body();
      },
      args...);
}

// `body(core::Context&)`, with the calling thread's current context. Here and below, what `body` is given
// stays in memory until it returns, whatever other threads destroy.
template <class Body, class... Args>
CUresult call_in_context(const char* name, Body&& body, const Args&... args) noexcept {
  return call(
      name,
      [&]() -> Result<void> {
        Result<core::Pinned<core::Context>> context = core::current_context();
        if (!context) [[unlikely]]
          return context.error();
        return body(**context);
      },
      args...);
}

// The sticky error of the current context, where there is one that works.
Result<void> current_status();

// `body()`, whatever context is current, and also where none is: for calls whose arguments say where they
// belong.
template <class Body, class... Args>
CUresult call_anywhere(const char* name, Body&& body, const Args&... args) noexcept {
  return call(
      name,
      [&]() -> Result<void> {
        if (Result<void> status = current_status(); !status) [[unlikely]]
          return status;
        return body();
      },
      args...);
}

// CUDA_ERROR_INVALID_HANDLE unless it is a stream, 0, CU_STREAM_LEGACY or CU_STREAM_PER_THREAD. Only the last
// three need a current context. The error of the stream's context where it has one.
Result<core::Pinned<core::Stream>> stream_from(CUstream handle, DefaultStream default_stream);

// `body(core::Stream&)`.
template <class Body, class... Args>
CUresult call_on_stream(const char* name, CUstream stream, DefaultStream default_stream, Body&& body,
                        const Args&... args) noexcept {
  return call(
      name,
      [&]() -> Result<void> {
        Result<core::Pinned<core::Stream>> found = stream_from(stream, default_stream);
        if (!found) [[unlikely]]
          return found.error();
        return body(**found);
      },
      args..., stream);
}

// The object behind a handle, or CUDA_ERROR_INVALID_HANDLE.
template <class T>
Result<core::Pinned<T>> object_from(const void* handle, const char* what) {
  core::Pinned<T> object = core::find<T>(handle);
  if (!object) [[unlikely]]
    return util::fail(CUDA_ERROR_INVALID_HANDLE, "{:#x} is no {}", reinterpret_cast<std::uintptr_t>(handle),
                      what);
  return object;
}

// The context that an object lives in.
inline core::Context& context_of(core::Event& event) {
  return event.context();
}
inline core::Context& context_of(core::Module& module) {
  return module.context();
}
inline core::Context& context_of(core::Function& function) {
  return function.module().context();
}

// `body(T&)`, whatever context is current: the object knows its own. Its sticky error, where it has one.
template <class T, class Body, class... Args>
CUresult call_on_object(const char* name, const void* handle, const char* what, Body&& body,
                        const Args&... args) noexcept {
  return call(
      name,
      [&]() -> Result<void> {
        Result<core::Pinned<T>> found = object_from<T>(handle, what);
        if (!found) [[unlikely]]
          return found.error();
        if (Result<void> status = context_of(**found).status(); !status) [[unlikely]]
          return status;
        return body(**found);
      },
      handle, args...);
}

// Are these CUctx_flags, with at most one way to wait?
bool known_context_flags(unsigned flags);

template <class Handle>
Handle to_handle(std::uint64_t handle) {
  return reinterpret_cast<Handle>(handle);
}

// CUDA_ERROR_INVALID_VALUE where any of the pointers is null.
template <class... Pointers>
Result<void> require(const char* name, Pointers... pointers) {
  if (((pointers == nullptr) || ...)) [[unlikely]]
    return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: a null pointer", name);
  return {};
}

// Stores what core returned, or passes its error on.
template <class T, class U>
Result<void> store(T* out, Result<U>&& result) {
  if (!result)
    return result.error();
  *out = static_cast<T>(*result);
  return {};
}

} // namespace shim::cuda
