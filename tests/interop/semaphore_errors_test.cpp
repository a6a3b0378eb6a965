// Wrong calls of the external semaphore functions: the codes that NVIDIA's driver gives, and an error where
// it crashes.

#include <sys/eventfd.h>
#include <unistd.h>

#include "fixture.hpp"

namespace {

using namespace interop;

CUresult import_code(const CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC& desc) {
  CUexternalSemaphore semaphore = nullptr;
  CUresult code = cuImportExternalSemaphore(&semaphore, &desc);
  if (code == CUDA_SUCCESS)
    cuDestroyExternalSemaphore(semaphore);
  return code;
}

class EveryKind : public testing::TestWithParam<Semaphore::Kind> {
protected:
  ~EveryKind() override { ::close(fd); }
  Semaphore semaphore{GetParam()};
  int fd = semaphore.export_fd();
  CUDA_EXTERNAL_SEMAPHORE_HANDLE_DESC desc = semaphore_desc(fd, GetParam());
};
INSTANTIATE_TEST_SUITE_P(semaphores, EveryKind,
                         testing::Values(Semaphore::Kind::binary, Semaphore::Kind::timeline),
                         [](const auto& kind) {
                           return kind.param == Semaphore::Kind::binary ? "binary" : "timeline";
                         });

TEST_P(EveryKind, null_pointers) {
  CUexternalSemaphore imported = nullptr;
  EXPECT_EQ(cuImportExternalSemaphore(nullptr, &desc), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuImportExternalSemaphore(&imported, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_TRUE(is_open(fd));
}

TEST_P(EveryKind, types_flags_and_reserved_words) {
  for (unsigned type : {0u, 11u, 0xffffffffu}) {
    desc.type = static_cast<CUexternalSemaphoreHandleType>(type);
    EXPECT_EQ(import_code(desc), CUDA_ERROR_INVALID_VALUE) << type;
  }
  for (CUexternalSemaphoreHandleType type :
       {CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_WIN32, CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_WIN32_KMT,
        CU_EXTERNAL_SEMAPHORE_HANDLE_TYPE_D3D12_FENCE}) {
    desc.type = type;
    EXPECT_EQ(import_code(desc), CUDA_ERROR_NOT_SUPPORTED) << type;
  }
  desc = semaphore_desc(fd, GetParam());
  desc.flags = 1;
  EXPECT_EQ(import_code(desc), CUDA_ERROR_INVALID_VALUE);
  desc = semaphore_desc(fd, GetParam());
  desc.reserved[3] = 1;
  EXPECT_EQ(import_code(desc), CUDA_ERROR_INVALID_VALUE);
  EXPECT_TRUE(is_open(fd));
}

TEST_P(EveryKind, an_import_closes_the_descriptor) {
  int given = semaphore.export_fd();
  EXPECT_EQ(import_code(semaphore_desc(given, GetParam())), CUDA_SUCCESS);
  EXPECT_FALSE(is_open(given));
}

TEST_P(EveryKind, what_is_no_semaphore_is_unknown_and_stays_open) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Buffer buffer(4096);
  for (int wrong : {ends[0], ends[1], ::open("/dev/null", O_RDWR | O_CLOEXEC), ::eventfd(0, EFD_CLOEXEC),
                    ::open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC), buffer.export_fd()}) {
    ASSERT_TRUE(is_open(wrong));
    EXPECT_EQ(import_code(semaphore_desc(wrong, GetParam())), CUDA_ERROR_UNKNOWN);
    EXPECT_TRUE(is_open(wrong));
    ::close(wrong);
    EXPECT_EQ(import_code(semaphore_desc(wrong, GetParam())), CUDA_ERROR_UNKNOWN); // and now closed
  }
  EXPECT_EQ(import_code(semaphore_desc(-1, GetParam())), CUDA_ERROR_UNKNOWN);
}

TEST_P(EveryKind, signals_and_waits_check_their_arguments) {
  CUexternalSemaphore imported = import(semaphore);
  CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal{};
  CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS wait{};
  signal.params.fence.value = wait.params.fence.value = 1;
  EXPECT_EQ(cuSignalExternalSemaphoresAsync(&imported, &signal, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuWaitExternalSemaphoresAsync(&imported, &wait, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuSignalExternalSemaphoresAsync(nullptr, &signal, 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuWaitExternalSemaphoresAsync(nullptr, &wait, 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuSignalExternalSemaphoresAsync(&imported, nullptr, 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuWaitExternalSemaphoresAsync(&imported, nullptr, 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  signal.flags = wait.flags = 1;
  EXPECT_EQ(cuSignalExternalSemaphoresAsync(&imported, &signal, 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuWaitExternalSemaphoresAsync(&imported, &wait, 1, nullptr), CUDA_ERROR_INVALID_VALUE);
  CU(cuDestroyExternalSemaphore(imported));
}

TEST_P(EveryKind, a_bad_one_among_good_ones_leaves_the_good_ones_alone) {
  Semaphore other(Semaphore::Kind::timeline);
  CUexternalSemaphore list[] = {import(other), nullptr};
  CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS params[2] = {};
  params[0].params.fence.value = 7;
  EXPECT_EQ(cuSignalExternalSemaphoresAsync(list, params, 2, nullptr), CUDA_ERROR_INVALID_VALUE);
  CU(cuCtxSynchronize());
  EXPECT_EQ(other.value(), 0u);
  CU(cuDestroyExternalSemaphore(list[0]));
}

TEST_P(EveryKind, destroyed_and_garbage_handles_are_refused) {
  CUexternalSemaphore gone = import(semaphore);
  ASSERT_EQ(cuDestroyExternalSemaphore(gone), CUDA_SUCCESS);
  int local = 0;
  Buffer buffer(4096);
  CUexternalMemory memory = import(buffer);
  for (void* garbage :
       {reinterpret_cast<void*>(gone), static_cast<void*>(nullptr), static_cast<void*>(&local),
        reinterpret_cast<void*>(0x123456789abc), reinterpret_cast<void*>(memory)}) {
    auto handle = reinterpret_cast<CUexternalSemaphore>(garbage);
    CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal{};
    CUDA_EXTERNAL_SEMAPHORE_WAIT_PARAMS wait{};
    CUresult refused = handle == gone ? CUDA_ERROR_INVALID_HANDLE : CUDA_ERROR_INVALID_VALUE;
    EXPECT_EQ(cuDestroyExternalSemaphore(handle), refused);
    EXPECT_EQ(cuSignalExternalSemaphoresAsync(&handle, &signal, 1, nullptr), refused);
    EXPECT_EQ(cuWaitExternalSemaphoresAsync(&handle, &wait, 1, nullptr), refused);
  }
  CU(cuDestroyExternalMemory(memory));
}

TEST_P(EveryKind, a_garbage_stream_is_refused) {
  CUexternalSemaphore imported = import(semaphore);
  CUDA_EXTERNAL_SEMAPHORE_SIGNAL_PARAMS signal{};
  signal.params.fence.value = 1;
  auto stream = reinterpret_cast<CUstream>(0x123456789abc);
  EXPECT_EQ(cuSignalExternalSemaphoresAsync(&imported, &signal, 1, stream), CUDA_ERROR_INVALID_HANDLE);
  CU(cuDestroyExternalSemaphore(imported));
}

TEST_P(EveryKind, imports_leave_nothing_behind) {
  auto cycle = [&] { CU(cuDestroyExternalSemaphore(import(semaphore))); };
  cycle();
  std::size_t fds = count_fds();
  for (int i = 0; i < 300; ++i)
    cycle();
  EXPECT_EQ(count_fds(), fds);
}

} // namespace
