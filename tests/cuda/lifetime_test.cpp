// Objects that one thread destroys while others use them: every call works or says that the object is gone.
#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>

#include <amdgpu.h>
#include <amdgpu_drm.h>
#include <xf86drm.h>

#include "fixture.hpp"
#include "kernels.hpp"

namespace {

constexpr int user_count = 3;

bool is_one_of(CUresult result, std::initializer_list<CUresult> codes) {
  for (CUresult code : codes)
    if (result == code)
      return true;
  return false;
}

class Lifetime : public cuda_test::CudaTest {
protected:
  // Is the answer one of a call that worked or came too late?
  void expect(CUresult result) {
    if (!is_one_of(result, {CUDA_SUCCESS, CUDA_ERROR_NOT_READY, CUDA_ERROR_INVALID_HANDLE,
                            CUDA_ERROR_CONTEXT_IS_DESTROYED, CUDA_ERROR_INVALID_CONTEXT}))
      ADD_FAILURE() << cuda_test::Code{result};
    if (result == CUDA_SUCCESS)
      ++worked_;
  }
  // Threads `use()` all the time; each of `rounds` times `renew()` is called on this one, once they have come
  // round since the last time.
  void race(int rounds, const std::function<void()>& use, const std::function<void()>& renew) {
    std::vector<std::thread> users;
    for (int i = 0; i < user_count; ++i)
      users.emplace_back([&] {
        expect(cuCtxSetCurrent(context_));
        while (!over_) {
          use();
          ++turns_;
        }
      });
    for (int round = 0; round < rounds && !HasFailure(); ++round) {
      std::uint64_t before = turns_;
      while (turns_ < before + user_count && !HasFailure())
        std::this_thread::yield();
      renew();
    }
    over_ = true;
    for (std::thread& user : users)
      user.join();
    EXPECT_OK(cuCtxSynchronize()); // nothing has faulted
    EXPECT_GE(worked_, static_cast<std::uint64_t>(rounds));
  }

  std::atomic<bool> over_ = false;
  std::atomic<std::uint64_t> turns_ = 0, worked_ = 0;
};

TEST_F(Lifetime, streams) {
  std::atomic<CUstream> shared = nullptr;
  CUdeviceptr memory = allocate(4096);
  CUevent event = nullptr;
  ASSERT_OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
  unsigned flags = 0;
  auto renew = [&] {
    CUstream made = nullptr;
    ASSERT_OK(cuStreamCreate(&made, flags ^= CU_STREAM_NON_BLOCKING));
    if (CUstream old = shared.exchange(made)) {
      EXPECT_OK(cuStreamDestroy(old));
    }
  };
  renew();
  race(
      150,
      [&] {
        unsigned read = 0;
        CUcontext context = nullptr;
        expect(cuMemsetD32Async(memory, 1, 1024, shared));
        expect(cuStreamQuery(shared));
        expect(cuStreamWaitEvent(shared, event, 0));
        expect(cuEventRecord(event, shared));
        expect(cuStreamGetFlags(shared, &read));
        expect(cuStreamGetCtx(shared, &context));
        expect(cuStreamSynchronize(shared));
        expect(cuLaunchHostFunc(
            shared, [](void*) {}, nullptr));
      },
      renew);
}

TEST_F(Lifetime, events) {
  std::atomic<CUevent> shared = nullptr;
  auto renew = [&] {
    CUevent made = nullptr;
    ASSERT_OK(cuEventCreate(&made, CU_EVENT_DEFAULT));
    if (CUevent old = shared.exchange(made)) {
      EXPECT_OK(cuEventDestroy(old));
    }
  };
  renew();
  race(
      300,
      [&] {
        CUevent event = shared;
        float milliseconds = 0;
        expect(cuEventRecord(event, CU_STREAM_PER_THREAD));
        expect(cuEventQuery(event));
        expect(cuStreamWaitEvent(CU_STREAM_PER_THREAD, event, 0));
        expect(cuEventSynchronize(event));
        expect(cuEventElapsedTime(&milliseconds, event, event));
      },
      renew);
}

TEST_F(Lifetime, modules_and_their_functions) {
  std::atomic<CUmodule> shared = nullptr;
  std::atomic<CUfunction> shared_function = nullptr;
  CUdeviceptr memory = allocate(4096);
  auto renew = [&] {
    CUmodule made = nullptr;
    CUfunction function = nullptr;
    ASSERT_OK(cuModuleLoadData(&made, cuda_test::kernels_ptx));
    ASSERT_OK(cuModuleGetFunction(&function, made, "ramp"));
    shared_function = function;
    if (CUmodule old = shared.exchange(made)) {
      EXPECT_OK(cuModuleUnload(old));
    }
  };
  renew();
  race(
      40,
      [&] {
        CUfunction function = nullptr;
        CUdeviceptr variable = 0, out = memory;
        unsigned scale = 3, offset = 1, count = 64;
        void* parameters[] = {&out, &scale, &offset, &count};
        expect(
            cuLaunchKernel(shared_function, 1, 1, 1, 64, 1, 1, 0, CU_STREAM_PER_THREAD, parameters, nullptr));
        expect(cuModuleGetGlobal(&variable, nullptr, shared, "counter"));
        expect(cuModuleGetFunction(&function, shared, "ramp"));
        int registers = 0;
        expect(cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, function));
        // Else launches pile up, and unloading waits for all of them.
        expect(cuStreamSynchronize(CU_STREAM_PER_THREAD));
      },
      renew);
  std::uint32_t read[64] = {};
  ASSERT_OK(cuMemcpyDtoH(read, memory, sizeof read));
  for (unsigned i = 0; i < 64; ++i)
    EXPECT_EQ(i * 3 + 1, read[i]);
}

TEST_F(Lifetime, links) {
  std::atomic<CUlinkState> shared = nullptr;
  std::string ptx = ".version 6.0\n.target sm_30\n.address_size 64\n.visible .entry nothing() { ret; }\n";
  auto renew = [&] {
    CUlinkState made = nullptr;
    ASSERT_OK(cuLinkCreate(0, nullptr, nullptr, &made));
    if (CUlinkState old = shared.exchange(made)) {
      EXPECT_OK(cuLinkDestroy(old));
    }
  };
  renew();
  race(
      100,
      [&] {
        void* image = nullptr;
        CUlinkState link = shared;
        for (CUresult result :
             {cuLinkAddData(link, CU_JIT_INPUT_PTX, ptx.data(), ptx.size() + 1, "", 0, nullptr, nullptr),
              cuLinkComplete(link, &image, nullptr)})
          // Several users have added the kernel, or one has completed the link.
          if (result != CUDA_ERROR_INVALID_VALUE && result != CUDA_ERROR_INVALID_SOURCE &&
              result != CUDA_ERROR_INVALID_PTX)
            expect(result);
      },
      renew);
}

// Whatever is in it goes with it.
TEST_F(Lifetime, contexts) {
  struct World {
    CUcontext context = nullptr;
    CUstream stream = nullptr;
    CUevent event = nullptr;
    CUmodule module = nullptr;
    CUfunction function = nullptr;
  };
  std::mutex mutex;
  World shared;
  auto renew = [&] {
    World made;
    ASSERT_OK(cuCtxCreate(&made.context, 0, device_));
    ASSERT_OK(cuStreamCreate(&made.stream, 0));
    ASSERT_OK(cuEventCreate(&made.event, CU_EVENT_DISABLE_TIMING));
    ASSERT_OK(cuModuleLoadData(&made.module, cuda_test::kernels_ptx));
    ASSERT_OK(cuModuleGetFunction(&made.function, made.module, "ramp"));
    ASSERT_OK(cuCtxPopCurrent(nullptr));
    {
      std::lock_guard lock(mutex);
      std::swap(shared, made);
    }
    if (made.context) {
      EXPECT_OK(cuCtxDestroy(made.context));
    }
  };
  renew();
  race(
      40,
      [&] {
        World world;
        {
          std::lock_guard lock(mutex);
          world = shared;
        }
        if (CUresult current = cuCtxSetCurrent(world.context); current != CUDA_SUCCESS)
          return expect(current);
        CUdeviceptr memory = 0;
        CUstream stream = nullptr;
        CUevent event = nullptr;
        CUmodule module = nullptr;
        expect(cuMemAlloc(&memory, 4096));
        if (!memory)
          return;
        // The context frees the memory: an address that is none any more is CUDA_ERROR_INVALID_VALUE.
        auto expect_with_memory = [&](CUresult result) {
          if (result != CUDA_ERROR_INVALID_VALUE)
            expect(result);
        };
        std::uint32_t word = 0, scale = 3, offset = 1, count = 0;
        CUdeviceptr out = memory;
        void* parameters[] = {&out, &scale, &offset, &count};
        expect(cuStreamCreate(&stream, 0));
        expect(cuEventCreate(&event, 0));
        expect_with_memory(cuMemsetD32(memory, 1, 1024));
        expect_with_memory(cuMemsetD32Async(memory, 1, 1024, world.stream));
        expect_with_memory(cuMemcpyHtoDAsync(memory, &word, sizeof word, CU_STREAM_PER_THREAD));
        expect_with_memory(cuMemcpyDtoH(&word, memory, sizeof word));
        expect(cuEventRecord(world.event, world.stream));
        expect(cuStreamWaitEvent(CU_STREAM_PER_THREAD, world.event, 0));
        expect(cuLaunchKernel(world.function, 1, 1, 1, 64, 1, 1, 0, world.stream, parameters, nullptr));
        expect(cuLaunchHostFunc(
            world.stream, [](void*) {}, nullptr));
        expect(cuModuleLoadData(&module, cuda_test::kernels_ptx));
        expect(cuCtxSynchronize());
        expect_with_memory(cuMemFree(memory));
      },
      renew);
  EXPECT_OK(cuCtxDestroy(shared.context));
}

TEST_F(Lifetime, the_primary_context) {
  race(
      40,
      [&] {
        CUcontext primary = nullptr;
        CUdeviceptr memory = 0;
        CUstream stream = nullptr;
        expect(cuDevicePrimaryCtxRetain(&primary, device_));
        if (CUresult current = cuCtxSetCurrent(primary); current != CUDA_SUCCESS)
          return expect(current);
        expect(cuStreamCreate(&stream, 0));
        expect(cuMemAlloc(&memory, 4096));
        CUresult filled = cuMemsetD32Async(memory, 1, 1024, stream);
        if (filled != CUDA_ERROR_INVALID_VALUE)
          expect(filled);
        expect(cuStreamDestroy(stream));
        if (CUresult freed = cuMemFree(memory); freed != CUDA_ERROR_INVALID_VALUE) // with its context, else
          expect(freed);
        expect(cuDevicePrimaryCtxRelease(device_));
      },
      [&] { EXPECT_OK(cuDevicePrimaryCtxReset(device_)); });
  EXPECT_OK(cuDevicePrimaryCtxReset(device_));
}

// A copy that was accepted has its memory until it is done.
TEST_F(Lifetime, memory_beside_copies) {
  constexpr std::size_t bytes = 64 << 10;
  std::atomic<CUdeviceptr> shared = 0;
  CUdeviceptr target = allocate(bytes);
  auto renew = [&] {
    if (CUdeviceptr old = shared.exchange(allocate(bytes))) {
      EXPECT_OK(cuMemFree(old));
    }
  };
  renew();
  race(
      100,
      [&] {
        std::uint8_t word[4] = {};
        for (CUresult result : {cuMemcpyDtoDAsync(target, shared, bytes, CU_STREAM_PER_THREAD),
                                cuMemsetD8Async(shared, 1, bytes, CU_STREAM_PER_THREAD),
                                cuMemcpyHtoDAsync(shared, word, sizeof word, CU_STREAM_PER_THREAD),
                                cuMemcpyDtoH(word, shared, sizeof word)})
          if (result != CUDA_ERROR_INVALID_VALUE) // freed already
            expect(result);
      },
      renew);
}

// The stream has no room: the copy has looked at its memory, and is put into the stream later.
TEST_F(Lifetime, memory_that_goes_while_its_copy_waits_for_room) {
  constexpr int room = 1000; // in the queue, or a little more
  CUdeviceptr target = allocate(4096);
  CUstream stream = nullptr;
  ASSERT_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  for (int round = 0; round < 10 && !HasFailure(); ++round) {
    CUdeviceptr source = allocate(4096);
    std::atomic<int> copied = 0;
    auto gate = std::make_unique<cuda_test::Gate>(stream);
    std::thread copier([&] {
      CUresult result = CUDA_SUCCESS;
      for (int i = 0; i < 2 * room && result == CUDA_SUCCESS; ++i, ++copied)
        result = cuMemcpyDtoDAsync(target, source, 4096, stream);
      EXPECT_TRUE(is_one_of(result, {CUDA_SUCCESS, CUDA_ERROR_INVALID_VALUE})) << cuda_test::Code{result};
    });
    while (copied < room)
      std::this_thread::yield();
    std::thread freer([&] { EXPECT_OK(cuMemFree(source)); });
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); // so that both are likely to wait
    gate->open();
    copier.join();
    freer.join();
    EXPECT_OK(cuStreamSynchronize(stream));
  }
}

// Destroys one object on several threads at once: one of them has done it.
void destroy_together(const std::function<CUresult()>& destroy) {
  std::atomic<int> ready = 0, succeeded = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < user_count; ++i)
    threads.emplace_back([&] {
      ++ready;
      while (ready < user_count)
        std::this_thread::yield();
      CUresult result = destroy();
      if (result == CUDA_SUCCESS)
        ++succeeded;
      else
        EXPECT_TRUE(is_one_of(result, {CUDA_ERROR_INVALID_HANDLE, CUDA_ERROR_CONTEXT_IS_DESTROYED}))
            << cuda_test::Code{result};
    });
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(1, succeeded);
}

TEST_F(Lifetime, objects_that_several_threads_destroy) {
  for (int round = 0; round < 50 && !HasFailure(); ++round) {
    CUstream stream = nullptr;
    CUevent event = nullptr;
    CUlinkState link = nullptr;
    CUcontext context = nullptr;
    ASSERT_OK(cuStreamCreate(&stream, 0));
    ASSERT_OK(cuEventCreate(&event, 0));
    ASSERT_OK(cuLinkCreate(0, nullptr, nullptr, &link));
    destroy_together([&] { return cuStreamDestroy(stream); });
    destroy_together([&] { return cuEventDestroy(event); });
    destroy_together([&] { return cuLinkDestroy(link); });
    ASSERT_OK(cuCtxCreate(&context, 0, device_));
    ASSERT_OK(cuCtxPopCurrent(nullptr));
    destroy_together([&] { return cuCtxDestroy(context); });
  }
}

// What Vulkan would export: buffers and syncobjs of the render node.
class ImportedLifetime : public Lifetime {
protected:
  void SetUp() override {
    Lifetime::SetUp();
    std::uint32_t major = 0, minor = 0;
    for (int minor_number = 128; node_ < 0 && minor_number < 192; ++minor_number)
      node_ = ::open(("/dev/dri/renderD" + std::to_string(minor_number)).c_str(), O_RDWR | O_CLOEXEC);
    if (node_ < 0 || amdgpu_device_initialize(node_, &major, &minor, &gpu_) != 0)
      GTEST_SKIP() << "no render node of amdgpu's";
  }
  void TearDown() override {
    if (gpu_)
      amdgpu_device_deinitialize(gpu_);
    if (node_ >= 0)
      ::close(node_);
    Lifetime::TearDown();
  }
  CUexternalSemaphore import_timeline() {
    std::uint32_t syncobj = 0;
    CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC description = {};
    description.type = CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_TIMELINE_SEMAPHORE_FD;
    EXPECT_EQ(0, drmSyncobjCreate(node_, 0, &syncobj));
    EXPECT_EQ(0, drmSyncobjHandleToFD(node_, syncobj, &description.handle.fd));
    EXPECT_EQ(0, drmSyncobjDestroy(node_, syncobj));
    CUexternalSemaphore semaphore = nullptr;
    EXPECT_OK(cuImportExternalSemaphore(&semaphore, &description));
    return semaphore;
  }
  CUexternalMemory import_memory(std::size_t bytes) {
    amdgpu_bo_alloc_request request = {bytes, 4096, AMDGPU_GEM_DOMAIN_VRAM, 0};
    amdgpu_bo_handle buffer = nullptr;
    std::uint32_t fd = 0;
    EXPECT_EQ(0, amdgpu_bo_alloc(gpu_, &request, &buffer));
    EXPECT_EQ(0, amdgpu_bo_export(buffer, amdgpu_bo_handle_type_dma_buf_fd, &fd));
    EXPECT_EQ(0, amdgpu_bo_free(buffer));
    CUDA_EXTERNAL_MEMORY_HANDLE_DESC description = {};
    description.type = CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD;
    description.handle.fd = static_cast<int>(fd);
    description.size = bytes;
    CUexternalMemory memory = nullptr;
    EXPECT_OK(cuImportExternalMemory(&memory, &description));
    return memory;
  }

  int node_ = -1;
  amdgpu_device_handle gpu_ = nullptr;
};

TEST_F(ImportedLifetime, semaphores) {
  std::atomic<CUexternalSemaphore> shared = import_timeline();
  CUdeviceptr memory = allocate(4096);
  std::atomic<std::uint64_t> next = 1;
  race(
      100,
      [&] {
        CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal = {};
        CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS wait = {};
        CUexternalSemaphore semaphore = shared;
        signal.params.fence.value = wait.params.fence.value = next++;
        expect(cuMemsetD32Async(memory, 1, 1024, CU_STREAM_PER_THREAD));
        CUresult signalled = cuSignalExternalSemaphoresAsync(&semaphore, &signal, 1, CU_STREAM_PER_THREAD);
        expect(signalled);
        if (signalled == CUDA_SUCCESS)
          expect(cuWaitExternalSemaphoresAsync(&semaphore, &wait, 1, CU_STREAM_PER_THREAD));
        expect(cuStreamSynchronize(CU_STREAM_PER_THREAD));
      },
      [&] { EXPECT_OK(cuDestroyExternalSemaphore(shared.exchange(import_timeline()))); });
  EXPECT_OK(cuDestroyExternalSemaphore(shared));
}

TEST_F(ImportedLifetime, memory) {
  constexpr std::size_t bytes = 64 << 10;
  std::atomic<CUexternalMemory> shared = import_memory(bytes);
  race(
      100,
      [&] {
        CUDA_EXTERNAL_MEMORY_BUFFER_DESC all = {};
        all.size = bytes;
        CUdeviceptr address = 0;
        expect(cuExternalMemoryGetMappedBuffer(&address, shared, &all));
        if (!address)
          return;
        expect(cuMemsetD32Async(address, 1, bytes / 4, CU_STREAM_PER_THREAD));
        expect(cuMemFree(address));
      },
      [&] { EXPECT_OK(cuDestroyExternalMemory(shared.exchange(import_memory(bytes)))); });
  EXPECT_OK(cuDestroyExternalMemory(shared));
}

} // namespace
