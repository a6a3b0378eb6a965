// Runs single memory instructions, written as assembly text, on random waves, memory and LDS, and compares
// all of these with what a test says.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "decoder.hpp"
#include "group.hpp"
#include "llvm_tools.hpp"
#include "recorder.hpp"
#include "wave.hpp"

namespace emu::isa::test {

// Guest memory: two pieces far apart, so that some waves' lanes lie in one and some in both.
inline constexpr std::uint64_t first_piece = 0x7'f800'0000, second_piece = 0x8'0800'0000;
inline constexpr std::uint32_t piece_size = 0x10000;
inline constexpr std::uint32_t lds_size = 4096;

struct Bytes {
  alignas(4096) std::uint8_t memory[2 * piece_size];
  std::uint8_t lds[lds_size];
};

// A wave before an instruction, and the wave and the bytes expected after it.
struct MemoryState {
  const Wave& before;
  Wave& expected;
  Bytes& bytes;

  std::uint32_t v(unsigned reg, unsigned lane) const { return before.vgpr[reg][lane]; }
  std::uint64_t v64(unsigned reg, unsigned lane) const {
    return v(reg, lane) | std::uint64_t{v(reg + 1, lane)} << 32;
  }
  // The byte at a guest address.
  std::uint8_t* at(std::uint64_t address) const {
    if (address - first_piece < piece_size)
      return &bytes.memory[address - first_piece];
    EXPECT_LT(address - second_piece, piece_size) << "the test addresses nothing";
    return &bytes.memory[piece_size + (address - second_piece) % piece_size];
  }
  template <class F>
  void for_each_lane(F&& f) const {
    for (unsigned lane = 0; lane < before.lanes; ++lane)
      if (before.exec() >> lane & 1)
        f(lane);
  }
};

class MemoryInstruction : public ::testing::Test {
protected:
  MemoryInstruction() {
    group_.lds = std::make_unique<std::byte[]>(lds_limit);
    group_.lds_size = lds_size;
    group_.shared_aperture = 1ull << 48;
    group_.private_aperture = 2ull << 48;
    auto* memory = reinterpret_cast<std::byte*>(after_bytes_->memory);
    space_.map(first_piece, piece_size, memory, {});
    space_.map(second_piece, piece_size, memory + piece_size, {});
  }

  using Expected = std::function<void(MemoryState&)>;

  std::uint32_t random32() { return static_cast<std::uint32_t>(random_()); }
  std::uint32_t below(std::uint32_t limit) { return random32() % limit; }

  // Offsets from the first piece, for all lanes: in a row, anywhere in it, or anywhere in both.
  void random_offsets(std::uint32_t* row, std::uint32_t alignment) {
    const unsigned kind = below(4);
    const std::uint32_t start = below(0x1000);
    for (unsigned lane = 0; lane < max_lanes; ++lane) {
      std::uint32_t offset = kind == 0 ? start + lane * 4 : below(piece_size - 0x1000);
      if (kind == 3 && below(2))
        offset += static_cast<std::uint32_t>(second_piece - first_piece);
      if (kind == 1 && below(2)) // lanes that meet
        offset = start;
      row[lane] = offset / alignment * alignment;
    }
  }

  void randomise(Wave& wave) {
    std::memset(static_cast<void*>(&wave), 0, sizeof wave);
    for (unsigned reg = 0; reg < 40; ++reg)
      for (std::uint32_t& lane : wave.vgpr[reg])
        lane = random32();
    for (unsigned reg = 0; reg < sgpr_count; ++reg)
      wave.sgpr[reg] = random32();
    wave.wave64 = below(2);
    wave.lanes = wave.wave64 ? 64 : 32;
    wave.lane_mask = wave.wave64 ? ~std::uint64_t{0} : 0xffffffff;
    const unsigned kind = below(4);
    wave.set_pair(exec_lo, (kind < 2                     ? ~std::uint64_t{0}
                            : kind == 2 && below(8) == 0 ? 0
                                                         : random_()) &
                               wave.lane_mask);
    wave.group = &group_;
    wave.mode = 0xf0;
  }

  static Instruction decoded(const std::string& text) {
    std::vector<std::uint32_t> words = assemble(text + "\n");
    words.resize(words.size() + 2);
    Instruction in;
    if (!decode(words, in) || !in.handler)
      throw std::runtime_error(text + " does not decode");
    return in;
  }

  void check(const std::string& text, const std::function<void(Wave&)>& prepare, const Expected& expected,
             unsigned rounds = 40) {
    SCOPED_TRACE(text);
    const Instruction in = decoded(text);
    record(*in.row, in.format);
    for (unsigned round = 0; round < (recording() ? 1 : rounds) && !HasFailure(); ++round) {
      for (std::size_t i = 0; i < sizeof(Bytes); i += 8) {
        const std::uint64_t word = random_();
        std::memcpy(reinterpret_cast<std::uint8_t*>(after_bytes_.get()) + i, &word, 8);
      }
      randomise(*before_);
      prepare(*before_);
      std::memcpy(expected_bytes_.get(), after_bytes_.get(), sizeof(Bytes));
      std::memcpy(group_.lds.get(), after_bytes_->lds, lds_size);
      group_.fault = Fault{};
      *after_ = *before_;
      *expected_ = *before_;
      MemoryState state{*before_, *expected_, *expected_bytes_};
      expected(state);
      in.handler(*after_, in);
      compare();
    }
  }

  void compare() {
    EXPECT_EQ(group_.fault.kind, FaultKind::none) << group_.fault.describe();
    for (unsigned reg = 0; reg < vgpr_limit; ++reg)
      for (unsigned lane = 0; lane < max_lanes; ++lane)
        if (after_->vgpr[reg][lane] != expected_->vgpr[reg][lane]) {
          ADD_FAILURE() << "v" << reg << " lane " << lane << std::hex << " is " << after_->vgpr[reg][lane]
                        << ", not " << expected_->vgpr[reg][lane] << "; exec " << before_->exec()
                        << ", v[2:3] " << before_->vgpr[2][lane] << " " << before_->vgpr[3][lane];
          return;
        }
    for (std::uint32_t i = 0; i < 2 * piece_size; ++i)
      if (after_bytes_->memory[i] != expected_bytes_->memory[i]) {
        ADD_FAILURE() << "byte " << std::hex << i << " of memory is " << +after_bytes_->memory[i] << ", not "
                      << +expected_bytes_->memory[i] << "; exec " << before_->exec();
        return;
      }
    for (std::uint32_t i = 0; i < lds_size; ++i)
      if (static_cast<std::uint8_t>(group_.lds[i]) != expected_bytes_->lds[i]) {
        ADD_FAILURE() << "byte " << std::hex << i << " of LDS is " << static_cast<unsigned>(group_.lds[i])
                      << ", not " << +expected_bytes_->lds[i] << "; exec " << before_->exec();
        return;
      }
  }

  std::mt19937_64 random_{20250303};
  std::unique_ptr<Bytes> after_bytes_ = std::make_unique<Bytes>(),
                         expected_bytes_ = std::make_unique<Bytes>();
  memory::AddressSpace space_;
  Group group_{space_};
  std::unique_ptr<Wave> before_ = std::make_unique<Wave>(), after_ = std::make_unique<Wave>(),
                        expected_ = std::make_unique<Wave>();
};

// --- what operations do, whatever the space

struct LoadOperation {
  const char* suffix;
  unsigned bytes, registers;
  // From the bytes to the registers, which hold their old values.
  void (*convert)(const std::uint8_t* from, std::uint32_t* to);
};

inline std::uint32_t little_endian(const std::uint8_t* from, unsigned bytes) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i)
    value += std::uint32_t{from[i]} << (8 * i);
  return value;
}
inline std::uint32_t extended(const std::uint8_t* from, unsigned bytes) {
  const std::uint32_t value = little_endian(from, bytes);
  return from[bytes - 1] < 128 ? value : value - (1u << (8 * bytes));
}
template <unsigned n>
void copy_words(const std::uint8_t* from, std::uint32_t* to) {
  for (unsigned i = 0; i < n; ++i)
    to[i] = little_endian(from + 4 * i, 4);
}
inline std::uint32_t with_low(std::uint32_t old, std::uint32_t half) {
  return old / 65536 * 65536 + half % 65536;
}
inline std::uint32_t with_high(std::uint32_t old, std::uint32_t half) {
  return half % 65536 * 65536 + old % 65536;
}

inline constexpr LoadOperation load_operations[] = {
    {"ubyte", 1, 1, [](const std::uint8_t* f, std::uint32_t* t) { *t = *f; }},
    {"sbyte", 1, 1, [](const std::uint8_t* f, std::uint32_t* t) { *t = extended(f, 1); }},
    {"ushort", 2, 1, [](const std::uint8_t* f, std::uint32_t* t) { *t = little_endian(f, 2); }},
    {"sshort", 2, 1, [](const std::uint8_t* f, std::uint32_t* t) { *t = extended(f, 2); }},
    {"dword", 4, 1, copy_words<1>},
    {"dwordx2", 8, 2, copy_words<2>},
    {"dwordx3", 12, 3, copy_words<3>},
    {"dwordx4", 16, 4, copy_words<4>},
    {"ubyte_d16", 1, 1, [](const std::uint8_t* f, std::uint32_t* t) { *t = with_low(*t, *f); }},
    {"ubyte_d16_hi", 1, 1, [](const std::uint8_t* f, std::uint32_t* t) { *t = with_high(*t, *f); }},
    {"sbyte_d16", 1, 1, [](const std::uint8_t* f, std::uint32_t* t) { *t = with_low(*t, extended(f, 1)); }},
    {"sbyte_d16_hi", 1, 1,
     [](const std::uint8_t* f, std::uint32_t* t) { *t = with_high(*t, extended(f, 1)); }},
    {"short_d16", 2, 1,
     [](const std::uint8_t* f, std::uint32_t* t) { *t = with_low(*t, little_endian(f, 2)); }},
    {"short_d16_hi", 2, 1,
     [](const std::uint8_t* f, std::uint32_t* t) { *t = with_high(*t, little_endian(f, 2)); }},
};

struct StoreOperation {
  const char* suffix;
  unsigned bytes, registers, first; // byte of the register
};
inline constexpr StoreOperation store_operations[] = {
    {"byte", 1, 1, 0},  {"byte_d16_hi", 1, 1, 2}, {"short", 2, 1, 0},    {"short_d16_hi", 2, 1, 2},
    {"dword", 4, 1, 0}, {"dwordx2", 8, 2, 0},     {"dwordx3", 12, 3, 0}, {"dwordx4", 16, 4, 0},
};

struct AtomicOperation {
  const char* suffix; // of four bytes; eight have _x2
  bool compares;      // the data registers hold the new value, then the one to compare with
  // Values of `bits` bits, in the low ones.
  std::uint64_t (*next)(std::uint64_t old, std::uint64_t data, std::uint64_t compare, unsigned bits);
};

inline std::int64_t signed_value(std::uint64_t v, unsigned bits) {
  return bits == 32 ? static_cast<std::int32_t>(v) : static_cast<std::int64_t>(v);
}
inline double float_value(std::uint64_t v, unsigned bits) {
  if (bits == 64)
    return std::bit_cast<double>(v);
  return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(v)));
}
// A number wins over a NaN.
inline std::uint64_t float_extremum(std::uint64_t old, std::uint64_t data, unsigned bits, bool least) {
  const double a = float_value(old, bits), b = float_value(data, bits);
  if (a != a || b != b)
    return b != b ? old : data;
  return (least ? b < a : b > a) ? data : old;
}

using U64 = std::uint64_t;
inline constexpr AtomicOperation atomic_operations[] = {
    {"swap", false, [](U64, U64 d, U64, unsigned) { return d; }},
    {"cmpswap", true, [](U64 o, U64 d, U64 c, unsigned) { return o == c ? d : o; }},
    {"add", false, [](U64 o, U64 d, U64, unsigned) { return o + d; }},
    {"sub", false, [](U64 o, U64 d, U64, unsigned) { return o - d; }},
    {"smin", false,
     [](U64 o, U64 d, U64, unsigned b) { return signed_value(d, b) < signed_value(o, b) ? d : o; }},
    {"umin", false, [](U64 o, U64 d, U64, unsigned) { return d < o ? d : o; }},
    {"smax", false,
     [](U64 o, U64 d, U64, unsigned b) { return signed_value(d, b) > signed_value(o, b) ? d : o; }},
    {"umax", false, [](U64 o, U64 d, U64, unsigned) { return d > o ? d : o; }},
    {"and", false, [](U64 o, U64 d, U64, unsigned) { return o & d; }},
    {"or", false, [](U64 o, U64 d, U64, unsigned) { return o | d; }},
    {"xor", false, [](U64 o, U64 d, U64, unsigned) { return o ^ d; }},
    {"inc", false, [](U64 o, U64 d, U64, unsigned) { return o >= d ? 0 : o + 1; }},
    {"dec", false, [](U64 o, U64 d, U64, unsigned) { return o == 0 || o > d ? d : o - 1; }},
    {"fcmpswap", true,
     [](U64 o, U64 d, U64 c, unsigned b) { return float_value(o, b) == float_value(c, b) ? d : o; }},
    {"fmin", false, [](U64 o, U64 d, U64, unsigned b) { return float_extremum(o, d, b, true); }},
    {"fmax", false, [](U64 o, U64 d, U64, unsigned b) { return float_extremum(o, d, b, false); }},
};

} // namespace emu::isa::test
