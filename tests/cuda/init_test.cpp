// Before cuInit, and cuInit itself. Has a main of its own: the order matters.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.hpp"

namespace {

// Runs in a child that has not called cuInit.
template <class Body>
void in_fresh_child(Body&& body) {
  pid_t child = fork();
  if (child == 0) {
    body();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(Init, everything_says_not_initialized_before_cuInit) {
  in_fresh_child([] {
    int number = 0;
    CUcontext context = nullptr;
    CUdeviceptr address = 0;
    CUstream stream = nullptr;
    CUmodule module = nullptr;
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&number));
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(nullptr));
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGet(&number, 0));
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuCtxCreate(&context, 0, 0));
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuCtxGetCurrent(&context));
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuCtxSynchronize());
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuMemAlloc(&address, 16));
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuMemFree(0));
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuStreamCreate(&stream, 0));
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuModuleLoadData(&module, ""));
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuDevicePrimaryCtxRetain(&context, 0));
  });
}

TEST(Init, version_is_known_before_cuInit) {
  in_fresh_child([] {
    int version = 0;
    EXPECT_OK(cuDriverGetVersion(&version));
    EXPECT_GE(version, 10010);
    EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuDriverGetVersion(nullptr));
  });
}

TEST(Init, flags_must_be_zero) {
  in_fresh_child([] {
    int number = 0;
    EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuInit(1));
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&number));
    EXPECT_OK(cuInit(0));
  });
}

TEST(Init, errors_have_names_and_texts) {
  const char* text = nullptr;
  EXPECT_OK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ("CUDA_ERROR_ILLEGAL_ADDRESS", text);
  EXPECT_OK(cuGetErrorString(CUDA_SUCCESS, &text));
  EXPECT_STREQ("no error", text);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuGetErrorName(static_cast<CUresult>(12345), &text));
  EXPECT_EQ(nullptr, text);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuGetErrorString(static_cast<CUresult>(-1), &text));
  EXPECT_EQ(nullptr, text);
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuGetErrorName(CUDA_SUCCESS, nullptr));
}

std::string shown_uuid() {
  CUuuid uuid = {};
  EXPECT_OK(cuInit(0));
  EXPECT_OK(cuDeviceGetUuid(&uuid, 0));
  std::string text = "GPU-";
  for (int i = 0; i < 16; ++i) {
    char digits[4];
    std::snprintf(digits, sizeof(digits), i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
                  static_cast<unsigned char>(uuid.bytes[i]));
    text += digits;
  }
  return text;
}

TEST(Init, devices_are_shown_as_the_environment_says) {
  int channel[2];
  ASSERT_EQ(0, pipe(channel));
  in_fresh_child([&] {
    const std::string name = shown_uuid();
    EXPECT_EQ(static_cast<ssize_t>(name.size()), write(channel[1], name.data(), name.size()));
  });
  char name[41] = {};
  ASSERT_EQ(40, read(channel[0], name, 40));
  close(channel[0]);
  close(channel[1]);
  in_fresh_child([&] {
    setenv("CUDA_VISIBLE_DEVICES", name, 1);
    EXPECT_EQ(name, shown_uuid());
    int count = 0;
    EXPECT_OK(cuDeviceGetCount(&count));
    EXPECT_EQ(1, count);
  });
  for (const char* none : {"", "-1", "0,0", "GPU-", "GPU-0123456789abcdef"})
    in_fresh_child([&] {
      setenv("CUDA_VISIBLE_DEVICES", none, 1);
      testing::internal::CaptureStderr();
      EXPECT_CUDA(CUDA_ERROR_NO_DEVICE, cuInit(0)) << none;
      EXPECT_EQ("", testing::internal::GetCapturedStderr()); // it was asked for
    });
}

// The last one: this process is initialised from here on.
TEST(Init, succeeds_again_and_again) {
  ASSERT_OK(cuInit(0));
  EXPECT_OK(cuInit(0));
  int count = 0;
  EXPECT_OK(cuDeviceGetCount(&count));
  EXPECT_GE(count, 1);
}

TEST(Init, child_of_an_initialised_process_cannot_use_its_driver) {
  ASSERT_OK(cuInit(0));
  CUcontext context = nullptr;
  ASSERT_OK(cuCtxCreate(&context, 0, 0));
  in_fresh_child([] {
    CUdeviceptr address = 0;
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuMemAlloc(&address, 16));
    EXPECT_CUDA(CUDA_ERROR_NOT_INITIALIZED, cuInit(0));
  });
  CUdeviceptr address = 0;
  EXPECT_OK(cuMemAlloc(&address, 16)); // the parent goes on
  EXPECT_OK(cuCtxDestroy(context));
}

} // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  pid_t child = fork();
  if (child == 0)
    _exit(cuInit(0) == CUDA_ERROR_NO_DEVICE ? 77 : 0);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
    std::puts("skipped: no GPU");
    return 77;
  }
  return RUN_ALL_TESTS();
}
