// Work for another thread: what a caller cannot do where it is, or what shall happen late.
#pragma once

#include <cstdint>
#include <functional>

namespace emu::kernel {

// Runs `work` on a thread of its own, `delay_ns` from now. Work of the same delay runs in the order of the
// calls, one after the other. What is not due when the process ends never runs; nor does it in a child after
// fork().
void run_later(std::uint64_t delay_ns, std::function<void()> work);

} // namespace emu::kernel
