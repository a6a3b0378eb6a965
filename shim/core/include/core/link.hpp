// cuLink*: images that become one module.
#pragma once

#include <mutex>
#include <string>

#include <core/handle.hpp>
#include <core/module.hpp>
#include <jit/linker.hpp>

namespace shim::core {

class Context;

// Thread-safe.
class Link {
public:
  static constexpr HandleKind handle_kind = HandleKind::link;

  Link(Context& context, JitOptions logs) : context_(context), logs_(logs) {}

  Context& context() const { return context_; }
  // `image`: PTX or a fatbin with PTX in it. CUDA_ERROR_INVALID_VALUE once complete; errors as jit::Linker.
  Result<void> add(const void* image, std::size_t size);
  // PTX text with its terminating zero, which lives as long as this. CUDA_ERROR_INVALID_HANDLE where that was
  // done already.
  Result<const std::string*> complete();

  std::uint64_t handle = 0;

private:
  void write_logs(const jit::Log& log);

  Context& context_;
  std::mutex mutex_;
  jit::Linker linker_;
  std::string linked_;
  bool complete_ = false;
  JitOptions logs_;
};

} // namespace shim::core
