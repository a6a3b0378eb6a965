// Starts a program with the shim as its libcuda.so.1.
#pragma once

#include <optional>
#include <string>

namespace tool {

// Which GPU the program shall see.
struct GpuChoice {
  enum class Kind { automatic, emulated, hardware } kind = Kind::automatic;
  std::optional<unsigned> index; // of hardware: one GPU alone

  // "auto", "emulated" or a number; nullopt for anything else.
  static std::optional<GpuChoice> parse(const std::string& text);
};

// Does the kernel list a GPU under /sys/class/kfd?
bool hardware_present();

// Sets the environment that the choice means. `automatic` is hardware where there is some.
void prepare_environment(const GpuChoice& choice);

// Replaces this process by the program and its arguments, a null pointer behind them. Comes back only when it
// cannot be started: the exit status, after a message.
int execute(char** command);

} // namespace tool
