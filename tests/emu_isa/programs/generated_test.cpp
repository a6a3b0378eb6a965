// Random C programs, compiled by clang for gfx1030 at -O0, -O2 and -O3 in wave32 and wave64, and for the
// host: the same results. Arguments: python3, clang, the directory of the generator.
//
// CUDA_SHIM_TEST_SEED: what the programs are made of (printed; else the same ones every time).
// CUDA_SHIM_TEST_PROGRAMS: how many (200). CUDA_SHIM_TEST_KEEP: leave the sources where they are.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "device.hpp"

namespace emu::isa {
namespace {

std::string python, clang, directory;

constexpr unsigned groups = 2;

unsigned long setting(const char* name, unsigned long otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoul(value, nullptr, 0) : otherwise;
}

class Generated : public ::testing::Test {
protected:
  using HostProgram = std::uint32_t (*)(std::uint32_t, std::uint32_t, std::uint32_t, std::uint32_t*);

  void SetUp() override {
    std::filesystem::create_directories(work_);
    run(python + " " + directory + "/generate.py " + std::to_string(seed_) + " " + std::to_string(count_) +
        " " + work_ + "/generated_programs.h");
    compile("-O1 -fPIC -shared " + directory + "/generated_host.c -o " + work_ + "/host.so");
    host_ = dlopen((std::filesystem::absolute(work_) / "host.so").c_str(), RTLD_NOW);
    ASSERT_NE(host_, nullptr) << dlerror();
    host_program_ = reinterpret_cast<HostProgram>(dlsym(host_, "host_program"));
    ASSERT_NE(host_program_, nullptr);
  }

  void TearDown() override {
    if (host_)
      dlclose(host_);
    if (!std::getenv("CUDA_SHIM_TEST_KEEP") && !HasFailure())
      std::filesystem::remove_all(work_);
  }

  static void run(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

  void compile(const std::string& what) {
    run(clang + " -w -ffp-contract=off -I" + work_ + " -I" + directory + " " + what);
  }

  // A code object; its path.
  std::string compile_for_device(const std::string& level, bool wave64) {
    const std::string path = work_ + "/" + level + (wave64 ? "_wave64.elf" : "_wave32.elf");
    compile("-x cl -cl-std=CL2.0 -target amdgcn-amd-amdhsa -mcpu=gfx1030 -nogpulib -mcode-object-version=5 "
            "-cl-fp32-correctly-rounded-divide-sqrt -" +
            level + (wave64 ? " -mwavefrontsize64 " : " -mno-wavefrontsize64 ") + directory +
            "/generated.cl -o " + path);
    return path;
  }

  // Inputs and results that are the same for every code object.
  void prepare() {
    std::mt19937 random(static_cast<std::uint32_t>(seed_));
    for (unsigned i = 0; i < threads; ++i) {
      inputs_.push_back(i % 8 == 0 ? i / 8 : i % 16 == 1 ? 0x80000000 : static_cast<std::uint32_t>(random()));
      inputs_.push_back(i % 4 == 0 ? i : static_cast<std::uint32_t>(random()));
    }
    for (unsigned which = 0; which < count_; ++which)
      for (unsigned i = 0; i < threads; ++i) {
        std::uint32_t memory[Device::memory_words];
        for (unsigned word = 0; word < Device::memory_words; ++word)
          memory[word] = inputs_[2 * i + 1] + word;
        expected_.push_back(host_program_(which, inputs_[2 * i], inputs_[2 * i + 1], memory));
        expected_memory_.insert(expected_memory_.end(), memory, memory + Device::memory_words);
      }
  }

  void compare(const std::string& path, unsigned which, Device& device) {
    for (unsigned i = 0; i < threads * 2; ++i)
      device.inputs()[i] = inputs_[i];
    for (unsigned i = 0; i < threads; ++i)
      for (unsigned word = 0; word < Device::memory_words; ++word)
        device.memory()[i * Device::memory_words + word] = inputs_[2 * i + 1] + word;
    const Fault fault = device.run("run_" + std::to_string(which));
    ASSERT_EQ(fault.kind, FaultKind::none) << path << " program " << which << ": " << fault.describe();
    for (unsigned i = 0; i < threads; ++i) {
      const std::size_t result = std::size_t{which} * threads + i;
      ASSERT_EQ(device.output(i), expected_[result])
          << path << " program " << which << " x " << inputs_[2 * i] << " y " << inputs_[2 * i + 1]
          << " thread " << i;
      for (unsigned word = 0; word < Device::memory_words; ++word)
        ASSERT_EQ(device.memory()[i * Device::memory_words + word],
                  expected_memory_[result * Device::memory_words + word])
            << path << " program " << which << " memory word " << word << " of thread " << i;
    }
  }

  static constexpr unsigned threads = groups * group_threads;
  unsigned long seed_ = setting("CUDA_SHIM_TEST_SEED", 20261122);
  unsigned long count_ = setting("CUDA_SHIM_TEST_PROGRAMS", 200);
  std::string work_ = "generated_programs." + std::to_string(getpid());
  void* host_ = nullptr;
  HostProgram host_program_ = nullptr;
  std::vector<std::uint32_t> inputs_, expected_, expected_memory_;
};

TEST_F(Generated, programs_give_what_the_host_gives) {
  std::printf("seed %lu, %lu programs\n", seed_, count_);
  prepare();
  for (const char* level : {"O0", "O2", "O3"})
    for (const bool wave64 : {false, true}) {
      const std::string path = compile_for_device(level, wave64);
      ASSERT_TRUE(std::filesystem::exists(path));
      Device device(path, groups);
      for (unsigned which = 0; which < count_; ++which)
        compare(path, which, device);
    }
}

} // namespace
} // namespace emu::isa

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc < 4)
    return EXIT_FAILURE;
  emu::isa::python = argv[1];
  emu::isa::clang = argv[2];
  emu::isa::directory = argv[3];
  return RUN_ALL_TESTS();
}
