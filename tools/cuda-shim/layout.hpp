// Where the libraries are, installed or in a build folder.
#pragma once

#include <filesystem>

namespace tool {

struct Layout {
  std::filesystem::path libcuda_folder; // holds libcuda.so.1
  std::filesystem::path emulator;       // libkfd-emu.so

  // From the place of this program's file; throws std::runtime_error where the libraries are not there.
  static Layout find();
};

} // namespace tool
