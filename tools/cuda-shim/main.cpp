// cuda-shim: runs programs on the shim, and shows the devices that they would see.
#include <CLI/CLI.hpp>

#include <filesystem>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <vector>

#include "info.hpp"
#include "launch.hpp"

namespace {

const CLI::Validator gpu_validator(
    [](std::string& text) {
      return tool::GpuChoice::parse(text) ? std::string() : "must be auto, emulated or a number, not " + text;
    },
    "auto|emulated|N");

constexpr int usage_error = 2;

// Where the program's own words begin: behind the options of `run`, whatever they look like. argc where there
// is no program, or where it is not `run`.
int program_at(int argc, char** argv) {
  if (argc < 2 || std::string_view(argv[1]) != "run")
    return argc;
  int i = 2;
  for (; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--")
      return i + 1;
    if (!word.starts_with('-'))
      return i;
    if (word == "--gpu")
      ++i; // its value
  }
  return argc;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app{"The CUDA driver API on AMD GPUs"};
  app.require_subcommand(1);
  std::string gpu = "auto";
  const char* gpu_help = "auto: hardware where the kernel lists a GPU, else the emulated one";

  CLI::App* run = app.add_subcommand("run", "start a program with the shim as its libcuda.so.1");
  run->add_option("--gpu", gpu, gpu_help)->check(gpu_validator)->capture_default_str();

  std::vector<std::string> for_the_help;
  run->add_option("PROGRAM", for_the_help,
                  "and its arguments, which are its own; a -- before it may be left out");

  CLI::App* info = app.add_subcommand("info", "list the devices");
  bool here = false;
  info->add_option("--gpu", gpu, gpu_help)->check(gpu_validator)->capture_default_str();
  info->add_flag("--here", here)->group(""); // with the environment as it is

  // CLI11 sees no word of the program's: it would split and rewrite them.
  const int program = program_at(argc, argv);
  try {
    app.parse(program, argv);
    if (*run && program >= argc)
      throw CLI::RequiredError("PROGRAM");
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : usage_error;
  }
  try {
    if (*info && here)
      return tool::print_devices();
    tool::prepare_environment(*tool::GpuChoice::parse(gpu));
    if (*run)
      return tool::execute(argv + program);
    std::string self = std::filesystem::read_symlink("/proc/self/exe");
    std::string words[] = {"info", "--here"};
    char* command[] = {self.data(), words[0].data(), words[1].data(), nullptr};
    return tool::execute(command);
  } catch (const std::exception& error) {
    fmt::print(stderr, "cuda-shim: {}\n", error.what());
    return 1;
  }
}
