// 64-bit integers: shifts and the multiply-add with a 64-bit addend.
#include "valu.hpp"

namespace emu::isa {
namespace EMU_ISA_TARGET {
namespace {

template <class Op>
void shift(Wave& wave, const Instruction& in) {
  Row b0;
  WideBuffer b1;
  const u32* amount = source_row(wave, in.src[0], b0);
  const Wide value = wide_source(wave, in.src[1], b1);
  write_wide_lanes(wave, in.dst, [&](unsigned i) { return Op::run(value[i], amount[i] & 63); });
}

struct Left {
  static u64 run(u64 value, unsigned amount) { return value << amount; }
};
struct Right {
  static u64 run(u64 value, unsigned amount) { return value >> amount; }
};
struct ArithmeticRight {
  static u64 run(u64 value, unsigned amount) { return static_cast<u64>(static_cast<i64>(value) >> amount); }
};

// dst = a * b + c; dst2: carry out of 64 bits.
template <class Op>
void multiply_add(Wave& wave, const Instruction& in) {
  Row b0, b1, carries;
  WideBuffer b2;
  const u32* a = source_row(wave, in.src[0], b0);
  const u32* b = source_row(wave, in.src[1], b1);
  const Wide c = wide_source(wave, in.src[2], b2);
  write_wide_lanes(wave, in.dst, [&](unsigned i) {
    u64 sum;
    carries.lane[i] = Op::run(a[i], b[i], c[i], sum) ? 1 : 0;
    return sum;
  });
  wave.write_mask(in.dst2, row_to_mask(carries.lane, wave.lanes) & wave.exec());
}

struct Unsigned {
  static bool run(u32 a, u32 b, u64 c, u64& sum) {
    sum = u64{a} * b + c;
    return sum < c;
  }
};
struct Signed {
  static bool run(u32 a, u32 b, u64 c, u64& sum) {
    const i64 product = i64{static_cast<i32>(a)} * static_cast<i32>(b);
    sum = static_cast<u64>(product) + c;
    i64 exact;
    return __builtin_add_overflow(product, static_cast<i64>(c), &exact);
  }
};

constexpr Type t = Type::b32;
constexpr Type w = Type::b64;

constexpr OpcodeRow vop3[] = {
    {0x176, "v_mad_u64_u32", multiply_add<Unsigned>, w, t, t, w, row_sdst},
    {0x177, "v_mad_i64_i32", multiply_add<Signed>, w, t, t, w, row_sdst},
    {0x2ff, "v_lshlrev_b64", shift<Left>, w, t, w},
    {0x300, "v_lshrrev_b64", shift<Right>, w, t, w},
    {0x301, "v_ashrrev_i64", shift<ArithmeticRight>, w, t, w},
};

} // namespace

RowSet wide_integer_rows() {
  return {{}, {}, {}, vop3, {}};
}

} // namespace EMU_ISA_TARGET
} // namespace emu::isa
