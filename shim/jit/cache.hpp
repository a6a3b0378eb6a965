// What was compiled before, on disk: one file for each key, in CUDA_CACHE_PATH, else
// $XDG_CACHE_HOME/cuda-shim, else
// ~/.cache/cuda-shim. CUDA_CACHE_DISABLE (not 0) turns it off. When its files outgrow CUDA_CACHE_MAXSIZE
// (bytes, 1 GiB unless set), those that were not used for the longest time go.
//
// Any number of processes share it: a file appears whole or not at all. Nothing here fails: a cache that
// cannot be read or written is an empty one.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sha1.hpp"

namespace shim::jit {

std::optional<std::string> cache_load(const Digest& key);
void cache_store(const Digest& key, std::string_view data);

} // namespace shim::jit
