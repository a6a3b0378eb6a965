// External resource interoperability.
#include <span>

#include <core/external_memory.hpp>
#include <core/external_semaphore.hpp>
#include <util/small_vector.hpp>

#include "entry.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

// What was never a handle is CUDA_ERROR_INVALID_VALUE here, as it is to NVIDIA's driver.
template <class T>
Result<core::Pinned<T>> external_from(const void* handle, const char* what) {
  Result<core::Pinned<T>> found = object_from<T>(handle, what);
  if (!found && !core::was_handle<T>(handle))
    return util::Error{CUDA_ERROR_INVALID_VALUE};
  return found;
}

} // namespace

CUresult cuImportExternalMemory(CUexternalMemory* memory,
                                const CUDA_EXTERNAL_MEMORY_HANDLE_DESC* descriptor) {
  return call_in_context(
      "cuImportExternalMemory",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuImportExternalMemory", memory, descriptor); !given)
          return given;
        Result<std::uint64_t> imported = core::import_external_memory(context, *descriptor);
        if (!imported)
          return imported.error();
        *memory = to_handle<CUexternalMemory>(*imported);
        return {};
      },
      memory, descriptor);
}

CUresult cuExternalMemoryGetMappedBuffer(CUdeviceptr* address, CUexternalMemory memory,
                                         const CUDA_EXTERNAL_MEMORY_BUFFER_DESC* descriptor) {
  return call_in_context(
      "cuExternalMemoryGetMappedBuffer",
      [&](core::Context&) -> Result<void> {
        if (Result<void> given = require("cuExternalMemoryGetMappedBuffer", address, descriptor); !given)
          return given;
        auto found = external_from<core::ExternalMemory>(memory, "external memory");
        if (!found)
          return found.error();
        return store(address, core::map_buffer(**found, *descriptor));
      },
      address, memory, descriptor);
}

CUresult cuDestroyExternalMemory(CUexternalMemory memory) {
  return call_in_context(
      "cuDestroyExternalMemory",
      [&](core::Context&) -> Result<void> {
        auto found = external_from<core::ExternalMemory>(memory, "external memory");
        if (!found)
          return found.error();
        return (*found)->context().remove_child((*found)->handle); // mappings stay
      },
      memory);
}

CUresult cuImportExternalSemaphore(CUexternalSemaphore* semaphore,
                                   const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC* descriptor) {
  return call_in_context(
      "cuImportExternalSemaphore",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuImportExternalSemaphore", semaphore, descriptor); !given)
          return given;
        Result<std::uint64_t> imported = core::import_external_semaphore(context, *descriptor);
        if (!imported)
          return imported.error();
        *semaphore = to_handle<CUexternalSemaphore>(*imported);
        return {};
      },
      semaphore, descriptor);
}

CUresult cuDestroyExternalSemaphore(CUexternalSemaphore semaphore) {
  return call_in_context(
      "cuDestroyExternalSemaphore",
      [&](core::Context&) -> Result<void> {
        auto found = external_from<core::ExternalSemaphore>(semaphore, "external semaphore");
        if (!found)
          return found.error();
        return (*found)->context().remove_child((*found)->handle); // what is in a stream still happens
      },
      semaphore);
}

namespace {

template <class Words, std::size_t count>
bool all_zero(const Words (&words)[count]) {
  for (Words word : words)
    if (word != 0)
      return false;
  return true;
}

// The semaphores stay in memory as long as this.
struct Operations {
  util::SmallVector<core::SemaphoreOperation, 8> list;
  util::SmallVector<core::Pinned<core::ExternalSemaphore>, 8> pins;
};

// All handles and parameters are looked at before anything happens.
template <class Parameters>
Result<Operations> operations_from(const char* name, const CUexternalSemaphore* semaphores,
                                   const Parameters* parameters, unsigned count) {
  if (!semaphores || !parameters || count == 0)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: {} semaphores, or a null pointer", name, count);
  Operations operations;
  for (unsigned i = 0; i < count; ++i) {
    if (parameters[i].flags != 0 || !all_zero(parameters[i].reserved))
      return util::fail(CUDA_ERROR_INVALID_VALUE, "{}: flags or a reserved word of semaphore {} are set",
                        name, i);
    auto found = external_from<core::ExternalSemaphore>(semaphores[i], "external semaphore");
    if (!found)
      return found.error();
    operations.list.push_back({&**found, parameters[i].params.fence.value});
    operations.pins.push_back(*std::move(found));
  }
  return operations;
}

CUresult signal(const char* name, DefaultStream default_stream, const CUexternalSemaphore* semaphores,
                const CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS* parameters, unsigned int count,
                CUstream stream) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        auto operations = operations_from(name, semaphores, parameters, count);
        if (!operations)
          return operations.error();
        return core::signal_semaphores(found, std::span(operations->list.begin(), operations->list.end()));
      },
      semaphores, parameters, count);
}

CUresult wait(const char* name, DefaultStream default_stream, const CUexternalSemaphore* semaphores,
              const CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS* parameters, unsigned int count, CUstream stream) {
  return call_on_stream(
      name, stream, default_stream,
      [&](core::Stream& found) -> Result<void> {
        auto operations = operations_from(name, semaphores, parameters, count);
        if (!operations)
          return operations.error();
        return core::wait_semaphores(found, std::span(operations->list.begin(), operations->list.end()));
      },
      semaphores, parameters, count);
}

} // namespace

CUresult cuSignalExternalSemaphoresAsync(const CUexternalSemaphore* semaphores,
                                         const CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS* parameters,
                                         unsigned int count, CUstream stream) {
  return signal("cuSignalExternalSemaphoresAsync", DefaultStream::legacy, semaphores, parameters, count,
                stream);
}

CUresult cuSignalExternalSemaphoresAsync_ptsz(const CUexternalSemaphore* semaphores,
                                              const CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS* parameters,
                                              unsigned int count, CUstream stream) {
  return signal("cuSignalExternalSemaphoresAsync_ptsz", DefaultStream::per_thread, semaphores, parameters,
                count, stream);
}

CUresult cuWaitExternalSemaphoresAsync(const CUexternalSemaphore* semaphores,
                                       const CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS* parameters,
                                       unsigned int count, CUstream stream) {
  return wait("cuWaitExternalSemaphoresAsync", DefaultStream::legacy, semaphores, parameters, count, stream);
}

CUresult cuWaitExternalSemaphoresAsync_ptsz(const CUexternalSemaphore* semaphores,
                                            const CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS* parameters,
                                            unsigned int count, CUstream stream) {
  return wait("cuWaitExternalSemaphoresAsync_ptsz", DefaultStream::per_thread, semaphores, parameters, count,
              stream);
}
