// Several PTX texts as one, for cuLink*: what one declares .extern another defines.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <jit/compiler.hpp>

namespace shim::jit {

// Not thread-safe.
class Linker {
public:
  // CUDA_ERROR_INVALID_PTX where it is not PTX, CUDA_ERROR_INVALID_SOURCE where it defines what an earlier
  // text defines, too; the reason is in log->errors.
  util::Result<void> add(std::string_view ptx, Log& log);
  // One PTX text: of weak definitions the first one, static names made different. CUDA_ERROR_INVALID_SOURCE
  // where something is used that no text defines.
  util::Result<std::string> link(Log& log) const;

private:
  struct Input {
    std::string source;
    unsigned version = 0, target = 0;
    std::set<std::string, std::less<>> statics;    // defined for this text alone
    std::set<std::string, std::less<>> ranges;     // `name<n>` of this text alone, and what it stands for
    std::set<std::string, std::less<>> defined;    // for all
    std::set<std::string, std::less<>> needed;     // declared, and defined elsewhere
    std::set<std::string, std::less<>> weak_again; // weak, and an earlier text has it
  };
  bool known_elsewhere(const Input& input, std::string_view name) const;
  std::string piece(const Input& input, std::size_t index) const;

  std::vector<Input> inputs_;
  std::map<std::string, bool, std::less<>> defined_; // is it weak?
};

} // namespace shim::jit
