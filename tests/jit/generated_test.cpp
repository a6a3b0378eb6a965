// Random C programs, compiled to PTX by clang at two optimisation levels, compiled again by the driver and
// run: the results of the host. Arguments: python3, clang, the directory of the generator
// (tests/emu_isa/programs).
//
// CUDA_SHIM_TEST_SEED: what the programs are made of (printed; else the same ones every time).
// CUDA_SHIM_TEST_PROGRAMS: how many (40).
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cuda.h>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace {

std::string python, clang, generator;

constexpr unsigned threads = 128, block = 64, memory_words = 16;

unsigned long setting(const char* name, unsigned long otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoul(value, nullptr, 0) : otherwise;
}

// The emulated GPU is for this process only.
void run(const std::string& command) {
  ASSERT_EQ(std::system(("LD_PRELOAD= " + command).c_str()), 0) << command;
}

class Generated : public testing::Test {
protected:
  using HostProgram = std::uint32_t (*)(std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t*);

  void SetUp() override {
    std::printf("seed %lu, %lu programs\n", seed_, count_);
    std::filesystem::create_directories(work_);
    run(python + " " + generator + "/generate.py " + std::to_string(seed_) + " " + std::to_string(count_) +
        " " + work_ + "/generated_programs.h");
    compile("-O1 -fPIC -shared " + generator + "/generated_host.c -o " + work_ + "/host.so");
    host_ = dlopen((std::filesystem::absolute(work_) / "host.so").c_str(), RTLD_NOW);
    ASSERT_NE(host_, nullptr) << dlerror();
    host_program_ = reinterpret_cast<HostProgram>(dlsym(host_, "host_program"));
    ASSERT_NE(host_program_, nullptr);
    prepare();

    CUdevice device = 0;
    ASSERT_EQ(cuInit(0), CUDA_SUCCESS);
    ASSERT_EQ(cuDeviceGet(&device, 0), CUDA_SUCCESS);
    ASSERT_EQ(cuCtxCreate(&context_, 0, device), CUDA_SUCCESS);
    ASSERT_EQ(cuMemAlloc(&device_inputs_, threads * 2 * 4), CUDA_SUCCESS);
    ASSERT_EQ(cuMemAlloc(&device_outputs_, threads * 4), CUDA_SUCCESS);
    ASSERT_EQ(cuMemAlloc(&device_memory_, threads * memory_words * 4), CUDA_SUCCESS);
    ASSERT_EQ(cuMemcpyHtoD(device_inputs_, inputs_.data(), inputs_.size() * 4), CUDA_SUCCESS);
  }

  void TearDown() override {
    if (context_) {
      EXPECT_EQ(cuCtxDestroy(context_), CUDA_SUCCESS);
    }
    if (host_)
      dlclose(host_);
    if (!HasFailure())
      std::filesystem::remove_all(work_);
  }

  void compile(const std::string& what) {
    run(clang + " -w -ffp-contract=off -I" + work_ + " -I" + generator + " " + what);
  }

  std::string compile_to_ptx(const std::string& level) {
    const std::string path = work_ + "/" + level + ".ptx";
    compile("-x cl -cl-std=CL2.0 -target nvptx64-nvidia-cuda -march=sm_60 -Xclang -target-feature -Xclang "
            "+ptx64 -nogpulib"
            " -D__builtin_amdgcn_workitem_id_x=__nvvm_read_ptx_sreg_tid_x"
            " -D__builtin_amdgcn_workgroup_id_x=__nvvm_read_ptx_sreg_ctaid_x"
            " -cl-fp32-correctly-rounded-divide-sqrt -S -" +
            level + " " + generator + "/generated.cl -o " + path);
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  void prepare() {
    std::mt19937 random(static_cast<std::uint32_t>(seed_));
    for (unsigned i = 0; i < threads; ++i) {
      inputs_.push_back(i % 8 == 0 ? i / 8 : i % 16 == 1 ? 0x80000000 : static_cast<std::uint32_t>(random()));
      inputs_.push_back(i % 4 == 0 ? i : static_cast<std::uint32_t>(random()));
      for (unsigned word = 0; word < memory_words; ++word)
        memory_.push_back(inputs_.back() + word);
    }
  }

  void compare(CUmodule module, const std::string& level, unsigned which) {
    CUfunction function = nullptr;
    ASSERT_EQ(cuModuleGetFunction(&function, module, ("run_" + std::to_string(which)).c_str()), CUDA_SUCCESS);
    ASSERT_EQ(cuMemcpyHtoD(device_memory_, memory_.data(), memory_.size() * 4), CUDA_SUCCESS);
    void* parameters[] = {&device_outputs_, &device_inputs_, &device_memory_};
    ASSERT_EQ(cuLaunchKernel(function, threads / block, 1, 1, block, 1, 1, 0, nullptr, parameters, nullptr),
              CUDA_SUCCESS);
    std::vector<std::uint32_t> outputs(threads), memory(memory_.size()), expected = memory_;
    ASSERT_EQ(cuMemcpyDtoH(outputs.data(), device_outputs_, outputs.size() * 4), CUDA_SUCCESS);
    ASSERT_EQ(cuMemcpyDtoH(memory.data(), device_memory_, memory.size() * 4), CUDA_SUCCESS);
    for (unsigned i = 0; i < threads; ++i)
      ASSERT_EQ(outputs[i],
                host_program_(which, inputs_[2 * i], inputs_[2 * i + 1], &expected[i * memory_words]))
          << level << " program " << which << " x " << inputs_[2 * i] << " y " << inputs_[2 * i + 1];
    ASSERT_EQ(memory, expected) << level << " program " << which;
  }

  unsigned long seed_ = setting("CUDA_SHIM_TEST_SEED", 20191010);
  unsigned long count_ = setting("CUDA_SHIM_TEST_PROGRAMS", 40);
  std::string work_ = "generated_ptx." + std::to_string(getpid());
  void* host_ = nullptr;
  HostProgram host_program_ = nullptr;
  std::vector<std::uint32_t> inputs_, memory_;
  CUcontext context_ = nullptr;
  CUdeviceptr device_inputs_ = 0, device_outputs_ = 0, device_memory_ = 0;
};

TEST_F(Generated, programs_give_what_the_host_gives) {
  for (const char* level : {"O0", "O2"}) {
    const std::string text = compile_to_ptx(level);
    CUmodule module = nullptr;
    ASSERT_EQ(cuModuleLoadData(&module, text.c_str()), CUDA_SUCCESS) << level;
    for (unsigned which = 0; which < count_ && !HasFatalFailure(); ++which)
      compare(module, level, which);
    ASSERT_EQ(cuModuleUnload(module), CUDA_SUCCESS);
  }
}

} // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc < 4)
    return EXIT_FAILURE;
  python = argv[1];
  clang = argv[2];
  generator = argv[3];
  return RUN_ALL_TESTS();
}
