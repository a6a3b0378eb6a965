#pragma once

namespace shim::kfd {

// From now on a forked child counts as one that must not touch KFD.
void guard_against_fork();

} // namespace shim::kfd
