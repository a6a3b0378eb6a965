// Which compilation of the vector ALU runs on this host.
#include <cstdlib>
#include <string_view>

#include "tables.hpp"

namespace emu::isa {

namespace {

using TablesFunction = const ValuTables& (*)();

struct Target {
  std::string_view name;
  bool supported;
  TablesFunction tables;
};

const ValuTables& choose() {
  __builtin_cpu_init();
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512cd");
  const Target targets[] = {
      {"avx512", avx512, avx512::valu_tables},
      {"avx2", avx2, avx2::valu_tables},
      {"baseline", true, baseline::valu_tables},
  };
  const char* wanted = std::getenv("CUDA_SHIM_EMU_SIMD");
  for (const Target& target : targets)
    if (target.supported && wanted && target.name == wanted)
      return target.tables();
  for (const Target& target : targets)
    if (target.supported)
      return target.tables();
  return baseline::valu_tables();
}

} // namespace

const ValuTables& valu_tables() {
  static const ValuTables& chosen = choose();
  return chosen;
}

} // namespace emu::isa
