// PTX snippets with the results that an NVIDIA driver gave for them on a real GPU (data/: each line of
// ptx_cases.txt is name | operand types | result type | tolerance | body).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ptx_cases {

inline constexpr int threads = 2048;
inline constexpr int block_threads = 256;

struct Case {
  std::string name;
  std::vector<std::string> operands; // "u32", "f16"
  std::string result;
  std::string tolerance; // exact, f16x2, ulp N, abs X, rel X
  std::string body;
};

// The cases of the file that an environment variable names: PTX_CASES has golden results for them, and
// PTX_DIGESTS has, behind each tolerance, the digest of what the same GPU gave.
std::vector<Case> load(const char* variable = "PTX_CASES");

// A digest of results in which all NaNs are one, as the tolerance of a case of PTX_DIGESTS holds it in
// hexadecimal.
std::uint64_t digest(const Case& c, const std::vector<std::byte>& results);
std::uint64_t expected_digest(const Case& c);

// A module whose entry `k` takes the addresses of the operands' arrays and of the results' array (always as
// parameters p0 to p3), and runs the body once for each thread.
std::string source(const Case& c);

unsigned type_bytes(const std::string& type);

// The operand arrays, one element for each thread.
std::vector<std::vector<std::byte>> inputs(const Case& c);

// What NVIDIA's GPU answered (PTX_GOLDEN_INDEX, PTX_GOLDEN); empty where it refused the case.
std::vector<std::byte> golden(const Case& c);

// Whether an answer is as good as the expected one, within the case's tolerance. Any NaN is as good as any
// other.
bool agrees(const Case& c, std::uint64_t expected, std::uint64_t got);

} // namespace ptx_cases
