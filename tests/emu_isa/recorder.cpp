#include "recorder.hpp"

#include <cstdio>
#include <cstdlib>
#include <set>
#include <span>
#include <utility>

#include "decoder.hpp"
#include "llvm_tools.hpp"

namespace emu::isa::test {

namespace {

struct Recorder {
  const char* path = std::getenv("ISA_COVERAGE_FILE");
  std::set<std::pair<Format, unsigned>> rows;

  ~Recorder() {
    std::FILE* file = path ? std::fopen(path, "a") : nullptr;
    if (!file)
      return;
    for (const auto& [format, opcode] : rows)
      std::fprintf(file, "%s %u\n", format_name(format), opcode);
    std::fclose(file);
  }
};

Recorder& recorder() {
  static Recorder instance;
  return instance;
}

} // namespace

bool recording() {
  return recorder().path != nullptr;
}

void record(const OpcodeRow& row, Format format) {
  recorder().rows.emplace(format, row.opcode);
}

void record_text(std::string_view text, bool wave64) {
  if (!recording())
    return;
  const auto words = assemble(text, wave64);
  for (std::size_t at = 0; at < words.size();) {
    Instruction in;
    if (!decode(std::span(words).subspan(at), in))
      return;
    record(*in.row, in.format);
    at += in.size;
  }
}

} // namespace emu::isa::test
