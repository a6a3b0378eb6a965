// cuda-shim: runs programs on the shim, and shows the devices that they would see.
#include <CLI/CLI.hpp>

#include <filesystem>
#include <fmt/format.h>

#include "info.hpp"
#include "launch.hpp"

namespace {

const CLI::Validator gpu_validator(
    [](std::string& text) {
      return tool::GpuChoice::parse(text) ? std::string() : "must be auto, emulated or a number, not " + text;
    },
    "auto|emulated|N");

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"The CUDA driver API on AMD GPUs"};
  app.require_subcommand(1);
  std::string gpu = "auto";
  const char* gpu_help = "auto: hardware where the kernel lists a GPU, else the emulated one";

  CLI::App* run = app.add_subcommand("run", "start a program with the shim as its libcuda.so.1");
  std::vector<std::string> command;
  run->add_option("--gpu", gpu, gpu_help)->check(gpu_validator)->capture_default_str();
  run->add_option("command", command, "the program and its arguments, after --")->required();
  run->positionals_at_end();

  CLI::App* info = app.add_subcommand("info", "list the devices");
  bool here = false;
  info->add_option("--gpu", gpu, gpu_help)->check(gpu_validator)->capture_default_str();
  info->add_flag("--here", here)->group(""); // with the environment as it is

  CLI11_PARSE(app, argc, argv);
  try {
    if (*info && here)
      return tool::print_devices();
    if (*info)
      command = {std::filesystem::read_symlink("/proc/self/exe"), "info", "--here"};
    tool::prepare_environment(*tool::GpuChoice::parse(gpu));
    return tool::execute(command);
  } catch (const std::exception& error) {
    fmt::print(stderr, "cuda-shim: {}\n", error.what());
    return 1;
  }
}
