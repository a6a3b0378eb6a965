#include "layout.hpp"

#include <stdexcept>

namespace tool {

namespace fs = std::filesystem;

Layout Layout::find() {
  const fs::path program = fs::read_symlink("/proc/self/exe");
  const fs::path root = program.parent_path().parent_path();
  const Layout candidates[] = {
      {root / "lib/cuda-shim", root / "lib/cuda-shim/libkfd-emu.so"}, // installed: bin/, lib/cuda-shim/
      {root.parent_path() / "shim/cuda/lib",
       root.parent_path() / "emu/kernel/libkfd-emu.so"}, // build/tools/cuda-shim
  };
  for (const Layout& layout : candidates)
    if (fs::exists(layout.libcuda_folder / "libcuda.so.1"))
      return layout;
  throw std::runtime_error("libcuda.so.1 is neither in " + candidates[0].libcuda_folder.string() +
                           " nor in " + candidates[1].libcuda_folder.string());
}

} // namespace tool
