// Which compilation of the vector ALU this host runs.
#include <cstdlib>
#include <string_view>

#include "tables.hpp"

namespace emu::isa {

namespace {

const ValuTables& choose() {
  const bool has_avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
  const char* wanted = std::getenv("CUDA_SHIM_EMU_SIMD");
  const std::string_view name = wanted ? wanted : "avx512";
  if (has_avx512 && name == "avx512")
    return avx512::valu_tables();
  if (has_avx2 && name != "baseline")
    return avx2::valu_tables();
  return baseline::valu_tables();
}

} // namespace

const ValuTables& valu_tables() {
  static const ValuTables& tables = choose();
  return tables;
}

} // namespace emu::isa
