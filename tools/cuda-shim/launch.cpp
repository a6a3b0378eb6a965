#include "launch.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "layout.hpp"

namespace tool {

namespace fs = std::filesystem;

namespace {

constexpr const char* radv_manifest = "/usr/share/vulkan/icd.d/radeon_icd.x86_64.json";

void prepend(const char* variable, const std::string& value, char separator) {
  const char* old = std::getenv(variable);
  const std::string joined = old && *old ? value + separator + old : value;
  setenv(variable, joined.c_str(), 1);
}

} // namespace

std::optional<GpuChoice> GpuChoice::parse(const std::string& text) {
  if (text == "auto")
    return GpuChoice{Kind::automatic, std::nullopt};
  if (text == "emulated")
    return GpuChoice{Kind::emulated, std::nullopt};
  if (!text.empty() && text.size() < 4 && text.find_first_not_of("0123456789") == std::string::npos)
    return GpuChoice{Kind::hardware, static_cast<unsigned>(std::stoul(text))};
  return std::nullopt;
}

bool hardware_present() {
  std::error_code error;
  if (access("/dev/kfd", R_OK | W_OK) != 0)
    return false;
  for (const fs::directory_entry& node : fs::directory_iterator("/sys/class/kfd/kfd/topology/nodes", error)) {
    unsigned long gpu_id = 0;
    if (std::ifstream(node.path() / "gpu_id") >> gpu_id && gpu_id != 0)
      return true;
  }
  return false;
}

void prepare_environment(const GpuChoice& choice) {
  const Layout layout = Layout::find();
  prepend("LD_LIBRARY_PATH", layout.libcuda_folder, ':');
  const bool emulated = choice.kind == GpuChoice::Kind::emulated ||
                        (choice.kind == GpuChoice::Kind::automatic && !hardware_present());
  if (emulated) {
    prepend("LD_PRELOAD", layout.emulator, ':');
    setenv("VK_ICD_FILENAMES", radv_manifest, 1); // loaders before 1.3.207
    setenv("VK_DRIVER_FILES", radv_manifest, 1);
  } else if (choice.index) {
    setenv("CUDA_VISIBLE_DEVICES", std::to_string(*choice.index).c_str(), 1);
  }
}

int execute(char** command) {
  execvp(command[0], command);
  const int error = errno;
  std::fprintf(stderr, "cuda-shim: %s: %s\n", command[0], std::strerror(error));
  return error == ENOENT ? 127 : 126; // as a shell answers
}

} // namespace tool
