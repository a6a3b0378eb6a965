#include <cstdio>
#include <cstring>
#include <string>
#include <unistd.h>

#include "fixture.hpp"
#include "kernels.hpp"

namespace {

using cuda_test::kernels_ptx;

class Module : public cuda_test::CudaTest {
protected:
  CUmodule load(const void* image) {
    CUmodule module = nullptr;
    EXPECT_OK(cuModuleLoadData(&module, image));
    return module;
  }
};

TEST_F(Module, functions_are_found_by_name) {
  CUmodule module = load(kernels_ptx);
  CUfunction first = nullptr, again = nullptr, other = nullptr;
  ASSERT_OK(cuModuleGetFunction(&first, module, "ramp"));
  ASSERT_OK(cuModuleGetFunction(&again, module, "ramp"));
  ASSERT_OK(cuModuleGetFunction(&other, module, "sum"));
  EXPECT_EQ(first, again);
  EXPECT_NE(first, other);
  EXPECT_CUDA(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&first, module, "absent"));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuModuleGetFunction(&first, module, ""));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuModuleGetFunction(nullptr, module, "ramp"));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuModuleGetFunction(&first, module, nullptr));
  EXPECT_OK(cuModuleUnload(module));
}

TEST_F(Module, variables_have_their_initial_values) {
  CUmodule module = load(kernels_ptx);
  CUdeviceptr address = 0;
  std::size_t bytes = 0;
  ASSERT_OK(cuModuleGetGlobal(&address, &bytes, module, "counter"));
  EXPECT_EQ(4u, bytes);
  unsigned value = 0;
  EXPECT_OK(cuMemcpyDtoH(&value, address, 4));
  EXPECT_EQ(7u, value);
  ASSERT_OK(cuModuleGetGlobal(&address, &bytes, module, "factors"));
  EXPECT_EQ(16u, bytes);
  unsigned factors[4] = {};
  EXPECT_OK(cuMemcpyDtoH(factors, address, 16));
  EXPECT_EQ(1000u, factors[3]);
  ASSERT_OK(cuModuleGetGlobal(&address, nullptr, module, "scratch"));
  unsigned char zeros[64];
  EXPECT_OK(cuMemcpyDtoH(zeros, address, 64));
  EXPECT_EQ(0, zeros[0] | zeros[63]);
  EXPECT_OK(cuModuleGetGlobal(nullptr, &bytes, module, "scratch"));
  EXPECT_CUDA(CUDA_ERROR_NOT_FOUND, cuModuleGetGlobal(&address, &bytes, module, "absent"));
  EXPECT_OK(cuModuleUnload(module));
}

TEST_F(Module, each_load_has_its_own_variables) {
  CUmodule first = load(kernels_ptx), second = load(kernels_ptx);
  CUdeviceptr one = 0, two = 0;
  ASSERT_OK(cuModuleGetGlobal(&one, nullptr, first, "counter"));
  ASSERT_OK(cuModuleGetGlobal(&two, nullptr, second, "counter"));
  EXPECT_NE(one, two);
  EXPECT_OK(cuModuleUnload(first));
  EXPECT_OK(cuModuleUnload(second));
}

TEST_F(Module, unloaded_it_is_gone_with_its_functions) {
  CUmodule module = load(kernels_ptx);
  CUfunction function = nullptr;
  ASSERT_OK(cuModuleGetFunction(&function, module, "nothing"));
  EXPECT_OK(cuModuleUnload(module));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(module));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE,
              cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr));
  CUfunction other = nullptr;
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuModuleGetFunction(&other, module, "nothing"));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(nullptr));
  EXPECT_CUDA(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(reinterpret_cast<CUmodule>(function)));
}

TEST_F(Module, errors_in_ptx_are_told_with_their_line) {
  const char* ptx =
      ".version 6.0\n.target sm_30\n.address_size 64\n"
      ".visible .entry broken()\n{\n  .reg .u32 %r<2>;\n  frobnicate.u32 %r0, %r1;\n  ret;\n}\n";
  char log[1024] = "";
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log, reinterpret_cast<void*>(sizeof(log))};
  CUmodule module = nullptr;
  EXPECT_CUDA(CUDA_ERROR_INVALID_PTX, cuModuleLoadDataEx(&module, ptx, 2, options, values));
  EXPECT_NE(nullptr, std::strstr(log, "frobnicate")) << log;
  EXPECT_NE(nullptr, std::strstr(log, "7")) << log;
  EXPECT_GT(reinterpret_cast<std::size_t>(values[1]), 0u);
  EXPECT_LE(reinterpret_cast<std::size_t>(values[1]), sizeof(log));
  char tiny[4] = "###";
  void* tiny_values[] = {tiny, reinterpret_cast<void*>(sizeof(tiny))};
  EXPECT_CUDA(CUDA_ERROR_INVALID_PTX, cuModuleLoadDataEx(&module, ptx, 2, options, tiny_values));
  EXPECT_EQ('\0', tiny[3]);
}

TEST_F(Module, senseless_images_are_refused) {
  CUmodule module = nullptr;
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuModuleLoadData(&module, nullptr));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuModuleLoadData(nullptr, kernels_ptx));
  EXPECT_NE(CUDA_SUCCESS, cuModuleLoadData(&module, ""));
  EXPECT_NE(CUDA_SUCCESS, cuModuleLoadData(&module, "not ptx at all"));
  EXPECT_CUDA(CUDA_ERROR_INVALID_VALUE, cuModuleLoadDataEx(&module, kernels_ptx, 1, nullptr, nullptr));
}

TEST_F(Module, files_are_loaded_too) {
  char path[] = "/tmp/cuda_module_test_XXXXXX";
  int fd = mkstemp(path);
  ASSERT_EQ(static_cast<ssize_t>(std::strlen(kernels_ptx)), write(fd, kernels_ptx, std::strlen(kernels_ptx)));
  close(fd);
  CUmodule module = nullptr;
  EXPECT_OK(cuModuleLoad(&module, path));
  EXPECT_OK(cuModuleUnload(module));
  unlink(path);
  EXPECT_CUDA(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&module, path));
}

// A fatbin as nvcc writes it, with one entry of PTX.
std::string fatbin(std::uint16_t kind, const std::string& payload, std::uint64_t flags,
                   std::uint32_t compressed, std::uint64_t uncompressed) {
  std::string padded = payload;
  padded.resize((payload.size() + 7) / 8 * 8);
  std::string out;
  auto put = [&](auto value) { out.append(reinterpret_cast<const char*>(&value), sizeof(value)); };
  put(std::uint32_t{0xba55ed50});
  put(std::uint16_t{1});
  put(std::uint16_t{16});
  put(static_cast<std::uint64_t>(64 + padded.size()));
  put(kind);
  put(std::uint16_t{0x101});
  put(std::uint32_t{64});
  put(static_cast<std::uint32_t>(padded.size()));
  put(std::uint32_t{0});
  put(compressed);
  put(std::uint32_t{0});
  put(std::uint32_t{0x60000});
  put(std::uint32_t{30});
  put(std::uint32_t{0});
  put(std::uint32_t{0});
  put(flags | 0x11);
  put(std::uint64_t{0});
  put(uncompressed);
  return out + padded;
}

// Literals only: valid LZ4, though no smaller.
std::string lz4_of(const std::string& text) {
  std::string out(1, static_cast<char>(0xf0));
  std::size_t rest = text.size() - 15;
  for (; rest >= 255; rest -= 255)
    out.push_back(static_cast<char>(255));
  out.push_back(static_cast<char>(rest));
  return out + text;
}

TEST_F(Module, fatbins_hold_ptx_plain_and_packed) {
  std::string ptx = std::string(kernels_ptx) + '\0';
  std::string packed = lz4_of(ptx);
  CUfunction function = nullptr;
  for (const std::string& image :
       {fatbin(1, ptx, 0, 0, 0),
        fatbin(1, packed, 0x2000, static_cast<std::uint32_t>(packed.size()), ptx.size())}) {
    CUmodule module = load(image.data());
    EXPECT_OK(cuModuleGetFunction(&function, module, "ramp"));
    EXPECT_OK(cuModuleUnload(module));
    struct {
      std::uint32_t magic = 0x466243b1, version = 1;
      const void* data;
      const void* name = nullptr;
    } wrapper;
    wrapper.data = image.data();
    module = load(&wrapper);
    EXPECT_OK(cuModuleGetFunction(&function, module, "ramp"));
    EXPECT_OK(cuModuleUnload(module));
  }
}

TEST_F(Module, machine_code_without_ptx_does_not_run_here) {
  std::string image = fatbin(2, "\177ELF machine code", 0, 0, 0);
  CUmodule module = nullptr;
  EXPECT_CUDA(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&module, image.data()));
}

} // namespace
