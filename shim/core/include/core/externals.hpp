// A context's imported memory and semaphores.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include <core/context.hpp>
#include <core/external_memory.hpp>
#include <core/external_semaphore.hpp>

namespace shim::core {

// Thread-safe. Obtained from Context::externals().
class Externals : public ContextObserver {
public:
  ExternalMemory* add(std::unique_ptr<ExternalMemory> memory);
  ExternalSemaphore* add(std::unique_ptr<ExternalSemaphore> semaphore);
  // The handle is refused from here on.
  void remove(ExternalMemory* memory);
  void remove(ExternalSemaphore* semaphore);

  // Releases what is armed, so that neither the context's streams nor anyone outside waits for ever: what the
  // streams have left to do, signals included, is still done.
  void context_going(Context& context) override;

private:
  std::mutex mutex_;
  std::unordered_map<ExternalMemory*, std::unique_ptr<ExternalMemory>> memories_;
  std::unordered_map<ExternalSemaphore*, std::unique_ptr<ExternalSemaphore>> semaphores_;
};

} // namespace shim::core
