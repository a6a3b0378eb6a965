// Result<T>: a value or a CUresult. Every layer of the shim returns it; nothing throws across a library
// boundary.
//
// An error is logged once, where it is born, by fail(), fail_at() or fail_errno(); whoever receives one only
// passes it on.
#pragma once

#include <cassert>
#include <optional>
#include <utility>
#include <variant>

#include <cuda.h>
#include <fmt/core.h>

#include <util/log.hpp>

namespace shim::util {

// What went wrong. Never CUDA_SUCCESS.
struct [[nodiscard]] Error {
  CUresult code;
};

// The CUresult for an errno of an ioctl or of another system call.
CUresult result_from_errno(int err);

// A value of type T, or the Error that kept it from existing.
template <class T>
class [[nodiscard]] Result {
public:
  using value_type = T;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, error) { assert(error.code != CUDA_SUCCESS); }

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  Error error() const { return std::get<1>(state_); }
  CUresult code() const { return ok() ? CUDA_SUCCESS : error().code; }

private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
  using value_type = void;

  Result() = default;
  Result(Error error) : code_(error.code) { assert(error.code != CUDA_SUCCESS); }

  bool ok() const { return code_ == CUDA_SUCCESS; }
  explicit operator bool() const { return ok(); }
  Error error() const { return {code_}; }
  CUresult code() const { return code_; }

private:
  CUresult code_ = CUDA_SUCCESS;
};

// The level that fail() logs at: info for what a program may well expect and look at, error for what failed
// in the driver, for what it does not support, and for what it could not compile or launch.
LogLevel level_of(CUresult code);

// Logs why, and returns the error. The message says which call or argument was at fault.
template <class... Args>
Error fail_at(LogLevel level, CUresult code, fmt::format_string<Args...> format, Args&&... args) {
  log(level, format, std::forward<Args>(args)...);
  return {code};
}

template <class... Args>
Error fail(CUresult code, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::error))
    return fail_at(level_of(code), code, format, std::forward<Args>(args)...);
  return {code};
}

// The same for a system call that set errno, always an error: `what` names the call
// ("AMDKFD_IOC_CREATE_QUEUE").
Error fail_errno(const char* what, int err);

} // namespace shim::util
