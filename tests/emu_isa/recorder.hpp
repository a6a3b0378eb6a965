// Which operations a test has compared with an independent computation, for the coverage report: with
// ISA_COVERAGE_FILE set, the names of their table rows are appended to that file at exit.
#pragma once

#include <string_view>

#include "tables.hpp"

namespace emu::isa::test {

// Is a report wanted? Tests that repeat a comparison many times then need not.
bool recording();

void record(const OpcodeRow& row, Format format);

// Every instruction of an assembly text.
void record_text(std::string_view text, bool wave64 = false);

} // namespace emu::isa::test
