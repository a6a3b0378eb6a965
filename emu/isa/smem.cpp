// Scalar memory: loads through the constant cache, clocks, cache invalidation (nothing to do: memory is
// coherent here).
#include <algorithm>

#include "control.hpp"
#include "memory.hpp"
#include "tables.hpp"

namespace emu::isa {

namespace {

void nothing(Wave&, const Instruction&) {}

// Of a base and of each offset the two low bits count as zero.
constexpr std::uint64_t whole_dwords = ~std::uint64_t{3};

// The signed immediate plus the unsigned register, in 64 bits.
std::uint64_t offset_of(const Wave& wave, const Instruction& in) {
  const std::uint64_t scalar = in.soffset.is_scalar() ? wave.read_scalar(in.soffset) : 0;
  return (static_cast<std::uint64_t>(std::int64_t{in.offset}) & whole_dwords) + (scalar & whole_dwords);
}

void write_result(Wave& wave, const Instruction& in, const std::uint32_t* values, unsigned count) {
  if (in.dst.index != null_register)
    std::copy_n(values, count, &wave.sgpr[in.dst.index]);
}

template <unsigned dwords>
void s_load(Wave& wave, const Instruction& in) {
  const std::uint64_t address = (wave.read_scalar64(in.scalar) & whole_dwords) + offset_of(wave, in);
  std::uint32_t values[dwords];
  if (read_location<dwords * 4>(wave, {.address = address}, values))
    write_result(wave, in, values, dwords);
}

// The SRD's base, and NUM_RECORDS in bytes. Dwords that begin beyond them read zero.
template <unsigned dwords>
void s_buffer_load(Wave& wave, const Instruction& in) {
  const std::uint32_t* srd = &wave.sgpr[in.scalar.index];
  const std::uint64_t base = srd[0] | static_cast<std::uint64_t>(srd[1] & 0xffff) << 32;
  const std::uint32_t stride = srd[1] >> 16 & 0x3fff;
  const std::uint64_t size = stride ? std::uint64_t{srd[2]} * stride : srd[2];
  const std::uint64_t offset = offset_of(wave, in);
  Location from{.address = (base & whole_dwords) + offset};
  from.limit = dwords_below(size, offset);
  std::uint32_t values[dwords];
  if (read_location<dwords * 4>(wave, from, values))
    write_result(wave, in, values, dwords);
}

void s_memtime(Wave& wave, const Instruction& in) {
  wave.write_scalar64(in.dst, reference_clock() * 20); // a 2 GHz core clock
}
void s_memrealtime(Wave& wave, const Instruction& in) {
  wave.write_scalar64(in.dst, reference_clock());
}

constexpr Type no = Type::none;
constexpr Type base = Type::b64;
constexpr Type srd = Type::b128;

constexpr OpcodeRow smem_table[] = {
    {0x00, "s_load_dword", s_load<1>, Type::b32, base},
    {0x01, "s_load_dwordx2", s_load<2>, Type::b64, base},
    {0x02, "s_load_dwordx4", s_load<4>, Type::b128, base},
    {0x03, "s_load_dwordx8", s_load<8>, Type::b256, base},
    {0x04, "s_load_dwordx16", s_load<16>, Type::b512, base},
    {0x08, "s_buffer_load_dword", s_buffer_load<1>, Type::b32, srd},
    {0x09, "s_buffer_load_dwordx2", s_buffer_load<2>, Type::b64, srd},
    {0x0a, "s_buffer_load_dwordx4", s_buffer_load<4>, Type::b128, srd},
    {0x0b, "s_buffer_load_dwordx8", s_buffer_load<8>, Type::b256, srd},
    {0x0c, "s_buffer_load_dwordx16", s_buffer_load<16>, Type::b512, srd},
    {0x1f, "s_gl1_inv", nothing, no},
    {0x20, "s_dcache_inv", nothing, no},
    {0x24, "s_memtime", s_memtime, Type::b64},
    {0x25, "s_memrealtime", s_memrealtime, Type::b64},
    {0x26, "s_atc_probe", nothing, no, base},
    {0x27, "s_atc_probe_buffer", nothing, no, srd},
};

} // namespace

std::span<const OpcodeRow> smem_rows() {
  return smem_table;
}

} // namespace emu::isa
