#include <core/externals.hpp>

#include <core/device.hpp>
#include <core/driver.hpp>

namespace shim::core {

Externals& Context::externals() {
  std::call_once(externals_once_, [this] {
    externals_ = std::make_shared<Externals>();
    add_observer(externals_.get());
  });
  return *externals_;
}

ExternalMemory* Externals::add(std::unique_ptr<ExternalMemory> memory) {
  std::lock_guard lock(mutex_);
  ExternalMemory* raw = memory.get();
  memories_.emplace(raw, std::move(memory));
  raw->handle = driver().handles().insert(HandleKind::external_memory, raw);
  return raw;
}

ExternalSemaphore* Externals::add(std::unique_ptr<ExternalSemaphore> semaphore) {
  std::lock_guard lock(mutex_);
  ExternalSemaphore* raw = semaphore.get();
  semaphores_.emplace(raw, std::move(semaphore));
  raw->handle = driver().handles().insert(HandleKind::external_semaphore, raw);
  return raw;
}

void Externals::remove(ExternalMemory* memory) {
  driver().handles().erase(memory->handle);
  std::lock_guard lock(mutex_);
  memories_.erase(memory);
}

void Externals::remove(ExternalSemaphore* semaphore) {
  driver().handles().erase(semaphore->handle);
  std::lock_guard lock(mutex_);
  semaphores_.erase(semaphore);
}

void Externals::context_going(Context& context) {
  context.device().waits().release(&context); // signals stand behind them
  std::lock_guard lock(mutex_);
  for (auto& [raw, memory] : memories_)
    driver().handles().erase(raw->handle);
  for (auto& [raw, semaphore] : semaphores_)
    driver().handles().erase(raw->handle);
  memories_.clear();
  semaphores_.clear();
}

} // namespace shim::core
