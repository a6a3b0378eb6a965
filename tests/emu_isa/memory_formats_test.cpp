// Typed buffer accesses in every format that LLVM names for the device. What a format holds is read off its
// name: widths from the most significant component to the least, then how numbers are meant.
#include <cmath>
#include <cstdio>
#include <string>

#include "memory_fixture.hpp"

namespace emu::isa::test {
namespace {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr u32 stride = 16, float_one = 0x3f800000;

struct TexelFormat {
  unsigned id = 0;
  std::string name;            // BUF_FMT_..., empty where the number is none
  std::vector<unsigned> width; // of x, y, z, w
  std::string type;

  bool is_integer() const { return type == "UINT" || type == "SINT"; }
  unsigned bytes() const {
    unsigned bits = 0;
    for (const unsigned w : width)
      bits += w;
    return bits / 8;
  }
};

// What LLVM prints for a format number.
TexelFormat format_of(Disassembler& llvm, unsigned id) {
  const std::uint32_t words[] = {0b111010u << 26 | id << 19, 0x80010400, 0, 0};
  const auto found = llvm.disassemble(words);
  TexelFormat result;
  result.id = id;
  const std::size_t begin = found ? found->text.find("BUF_FMT_") : std::string::npos;
  if (begin == std::string::npos || found->text.find("INVALID") != std::string::npos) {
    // LLVM leaves the first format out of the text.
    if (!found || id != 1)
      return result;
    result.name = "BUF_FMT_8_UNORM";
  } else {
    result.name = found->text.substr(begin, found->text.find(']', begin) - begin);
  }
  std::string rest = result.name.substr(8);
  for (std::size_t end; (end = rest.find('_')) != std::string::npos; rest = rest.substr(end + 1))
    result.width.insert(result.width.begin(), static_cast<unsigned>(std::stoul(rest.substr(0, end))));
  result.type = rest;
  return result;
}

u32 single(double value) {
  return std::bit_cast<u32>(static_cast<float>(value));
}

// A float of 5 exponent bits, with a sign above where it has 16 bits.
double small_float(u32 bits, unsigned mantissa, bool with_sign) {
  const u32 exponent = bits >> mantissa & 31, fraction = bits & ((1u << mantissa) - 1);
  const double sign = with_sign && bits >> (mantissa + 5) ? -1 : 1;
  if (exponent == 31)
    return fraction ? NAN : sign * INFINITY;
  const double value = static_cast<double>(fraction) / (1u << mantissa) + (exponent ? 1 : 0);
  return sign * std::ldexp(value, static_cast<int>(exponent ? exponent : 1) - 15);
}

u32 unpacked(const TexelFormat& format, unsigned width, u32 raw) {
  const double most = std::ldexp(1, static_cast<int>(width)) - 1;
  const double signed_raw = raw > most / 2 ? raw - most - 1 : raw;
  if (format.type == "UNORM")
    return single(raw / most);
  if (format.type == "SNORM")
    return single(std::fmax(signed_raw / ((most - 1) / 2), -1));
  if (format.type == "USCALED")
    return single(raw);
  if (format.type == "SSCALED")
    return single(signed_raw);
  if (format.type == "UINT" || width == 32)
    return raw;
  if (format.type == "SINT")
    return static_cast<u32>(static_cast<std::int64_t>(signed_raw));
  const double value = width == 16 ? small_float(raw, 10, true) : small_float(raw, width - 5, false);
  return std::isnan(value) ? 0x7fc00000 : single(value);
}

// Four values of a texel: what a format lacks is 0, or 1 for w.
std::array<u32, 4> unpacked(const TexelFormat& format, const u8* from) {
  std::array<u32, 4> result = {0, 0, 0, format.is_integer() ? 1 : float_one};
  unsigned at = 0;
  for (unsigned i = 0; i < format.width.size(); ++i) {
    u32 raw = 0;
    for (unsigned b = 0; b < format.width[i]; ++b)
      raw |= u32{static_cast<u8>(from[(at + b) / 8] >> (at + b) % 8 & 1)} << b;
    at += format.width[i];
    result[i] = unpacked(format, format.width[i], raw);
  }
  return result;
}

bool is_nan_single(u32 v) {
  return (v & 0x7fffffff) > 0x7f800000;
}

// binary16 of a binary32 that is one, or nearly: to nearest even.
u32 half_of(u32 bits) {
  const double value = static_cast<double>(std::bit_cast<float>(bits));
  const u32 sign = bits >> 16 & 0x8000;
  if (std::isnan(value))
    return sign | 0x7e00;
  const double magnitude = std::fabs(value);
  if (magnitude >= 65520)
    return sign | 0x7c00;
  int exponent = 0;
  std::frexp(magnitude, &exponent); // in [2^(e-1), 2^e)
  const int unit = std::max(exponent - 11, -24);
  const double scaled = std::nearbyint(std::ldexp(magnitude, -unit));
  const double rounded = std::ldexp(scaled, unit);
  std::frexp(rounded, &exponent);
  if (rounded < std::ldexp(1, -14))
    return sign | static_cast<u32>(rounded * 0x1p24);
  return sign | static_cast<u32>(exponent + 14) << 10 |
         (static_cast<u32>(std::ldexp(rounded, 11 - exponent)) & 0x3ff);
}

class Formats : public MemoryInstruction {
protected:
  // A texel per lane, a descriptor in s[8:11] with the identity of selectors, the index in v2.
  void prepare(Wave& wave, u32 selectors = 4 | 5 << 3 | 6 << 6 | 7 << 9, unsigned format = 0) {
    for (u32& lane : wave.vgpr[2])
      lane = below(110);
    wave.set_pair(8, first_piece);
    wave.sgpr[9] |= stride << 16;
    wave.sgpr[10] = 100;
    wave.sgpr[11] = selectors | format << 12 | 1u << 28;
  }
  // The same with texels that are no NaNs, whose payloads do not count.
  void prepare_numbers(Wave& wave, const TexelFormat& format, u32 selectors = 4 | 5 << 3 | 6 << 6 | 7 << 9) {
    prepare(wave, selectors, format.id);
    for (u32 index = 0; index < 100; ++index) {
      u8* to = &after_bytes_->memory[index * stride];
      const auto has_nan = [&] {
        for (const u32 value : unpacked(format, to))
          if (format.type == "FLOAT" && is_nan_single(value))
            return true;
        return false;
      };
      while (has_nan())
        for (unsigned i = 0; i < format.bytes(); ++i)
          to[i] = static_cast<u8>(random32());
    }
  }
  static u8* texel(const MemoryState& state, unsigned lane) {
    const u32 index = state.v(2, lane);
    return index < 100 ? state.at(first_piece + index * stride) : nullptr;
  }
  std::vector<TexelFormat> formats() {
    std::vector<TexelFormat> result;
    for (unsigned id = 0; id < 128; ++id)
      if (TexelFormat format = format_of(llvm_, id); !format.name.empty())
        result.push_back(format);
    return result;
  }
  static std::string registers(unsigned first, unsigned count) {
    return count == 1 ? "v" + std::to_string(first)
                      : "v[" + std::to_string(first) + ":" + std::to_string(first + count - 1) + "]";
  }

  Disassembler llvm_;
};

constexpr const char* components[] = {"x", "xy", "xyz", "xyzw"};

TEST_F(Formats, loads_of_every_format) {
  const auto all = formats();
  EXPECT_EQ(all.size(), 77u);
  for (const TexelFormat& format : all)
    for (unsigned count = 1; count <= 4; ++count)
      for (const bool packed : {false, true}) {
        const unsigned used = packed ? (count + 1) / 2 : count;
        const std::string text = "tbuffer_load_format_" + std::string(packed ? "d16_" : "") +
                                 components[count - 1] + " " + registers(10, used) +
                                 ", v2, s[8:11], 0 format:" + std::to_string(format.id) + " idxen";
        check(
            text, [&](Wave& wave) { prepare_numbers(wave, format); },
            [&](MemoryState& state) {
              state.for_each_lane([&](unsigned lane) {
                const u8* from = texel(state, lane);
                const std::array<u32, 4> values = from ? unpacked(format, from) : std::array<u32, 4>{};
                for (unsigned i = 0; i < count; ++i) {
                  if (packed) {
                    const u32 half = format.is_integer() ? values[i] : half_of(values[i]);
                    u32& to = state.expected.vgpr[10 + i / 2][lane];
                    to = i % 2 ? with_high(to, half) : with_low(to, half);
                  } else {
                    state.expected.vgpr[10 + i][lane] = values[i];
                  }
                }
              });
            },
            6);
      }
}

// The descriptor's format and selectors; every second texel is beyond the end in some rounds.
TEST_F(Formats, descriptors_name_format_and_selectors) {
  for (const TexelFormat& format : formats()) {
    for (unsigned count = 1; count <= 4; ++count)
      check(
          "buffer_load_format_" + std::string(components[count - 1]) + " " + registers(10, count) +
              ", v2, s[8:11], 0 idxen",
          [&](Wave& wave) { prepare_numbers(wave, format, 7 | 0 << 3 | 1 << 6 | 4 << 9); },
          [&](MemoryState& state) {
            state.for_each_lane([&](unsigned lane) {
              const u8* from = texel(state, lane);
              const std::array<u32, 4> t = from ? unpacked(format, from) : std::array<u32, 4>{};
              const u32 selected[] = {t[3], 0, format.is_integer() ? 1 : float_one, t[0]};
              for (unsigned i = 0; i < count; ++i)
                state.expected.vgpr[10 + i][lane] = from ? selected[i] : 0;
            });
          },
          3);
  }
}

// Values that the format can hold, as unpacking gives them: a store must put the same bits back.
class FormatStores : public Formats {
protected:
  void check_store(const TexelFormat& format, unsigned count, bool typed, bool packed) {
    if (count < format.width.size())
      return; // what is not given is zero, which loads do not give back
    const unsigned used = packed ? (count + 1) / 2 : count;
    const std::string text = std::string(typed ? "t" : "") + "buffer_store_format_" + (packed ? "d16_" : "") +
                             components[count - 1] + " " + registers(20, used) + ", v2, s[8:11], 0" +
                             (typed ? " format:" + std::to_string(format.id) : "") + " idxen";
    check(
        text,
        [&](Wave& wave) {
          prepare(wave, 4 | 5 << 3 | 6 << 6 | 7 << 9, format.id);
          put_values(wave, format, count, packed);
        },
        [&](MemoryState& state) {
          state.for_each_lane([&](unsigned lane) {
            if (u8* to = texel(state, lane))
              std::memcpy(to, texels_[lane], format.bytes());
          });
        },
        6);
  }

  // Random texels, and what they are unpacked to in v[20..].
  void put_values(Wave& wave, const TexelFormat& format, unsigned count, bool packed) {
    for (unsigned lane = 0; lane < max_lanes; ++lane) {
      std::array<u32, 4> values;
      do {
        for (u8& byte : texels_[lane])
          byte = static_cast<u8>(random32());
        values = unpacked(format, texels_[lane]);
      } while (!can_come_back(format, values, texels_[lane]));
      for (unsigned i = 0; i < count; ++i) {
        if (packed) {
          const u32 half = format.is_integer() ? values[i] & 0xffff : half_of(values[i]);
          u32& to = wave.vgpr[20 + i / 2][lane];
          to = i % 2 ? with_high(to, half) : with_low(to, half);
        } else {
          wave.vgpr[20 + i][lane] = values[i];
        }
      }
    }
  }

  // Not NaN, not the second code of -1.
  static bool can_come_back(const TexelFormat& format, const std::array<u32, 4>& values, const u8* texel) {
    unsigned at = 0;
    for (unsigned i = 0; i < format.width.size(); ++i) {
      const unsigned width = format.width[i];
      u32 raw = 0;
      for (unsigned b = 0; b < width; ++b)
        raw |= u32{static_cast<u8>(texel[(at + b) / 8] >> (at + b) % 8 & 1)} << b;
      at += width;
      if (format.type == "SNORM" && raw == 1u << (width - 1))
        return false;
      if (format.type == "FLOAT" && is_nan_single(values[i]))
        return false;
    }
    return true;
  }

  u8 texels_[max_lanes][16];
};

bool fits_sixteen_bits(const TexelFormat& format) {
  for (const unsigned width : format.width)
    if (width > (format.is_integer() || format.type == "FLOAT" ? 16u : 10u))
      return false;
  return true;
}

TEST_F(FormatStores, write_back_what_loads_gave) {
  for (const TexelFormat& format : formats())
    for (unsigned count = 1; count <= 4; ++count)
      for (const bool typed : {true, false}) {
        check_store(format, count, typed, false);
        if (fits_sixteen_bits(format))
          check_store(format, count, typed, true);
      }
}

TEST_F(Formats, stores_saturate_and_round) {
  struct Row {
    const char* name;
    u32 value;
    u32 stored;
  };
  const Row rows[] = {
      {"BUF_FMT_8_UNORM", single(2), 255},
      {"BUF_FMT_8_UNORM", single(-1), 0},
      {"BUF_FMT_8_UNORM", single(0.5), 128}, // 127.5, to even
      {"BUF_FMT_8_UNORM", 0x7fc00000, 0},
      {"BUF_FMT_8_SNORM", single(-7), 0x81},
      {"BUF_FMT_8_SNORM", single(1), 127},
      {"BUF_FMT_8_USCALED", single(300), 255},
      {"BUF_FMT_8_USCALED", single(7.9), 7},
      {"BUF_FMT_8_SSCALED", single(-200), 0x80},
      {"BUF_FMT_8_UINT", 256, 255},
      {"BUF_FMT_8_SINT", 128, 127},
      {"BUF_FMT_8_SINT", static_cast<u32>(-129), 0x80},
      {"BUF_FMT_16_FLOAT", single(1e9), 0x7c00},
      {"BUF_FMT_16_FLOAT", single(1 + 0x1p-11), 0x3c00},
      {"BUF_FMT_16_UNORM", single(1), 0xffff},
      {"BUF_FMT_16_SINT", 0x8000, 0x7fff},
  };
  for (const Row& row : rows)
    for (const TexelFormat& format : formats())
      if (format.name == row.name)
        check(
            "tbuffer_store_format_x v20, v2, s[8:11], 0 format:" + std::to_string(format.id) + " idxen",
            [&](Wave& wave) {
              prepare(wave);
              for (u32& lane : wave.vgpr[20])
                lane = row.value;
            },
            [&](MemoryState& state) {
              state.for_each_lane([&](unsigned lane) {
                if (u8* to = texel(state, lane))
                  std::memcpy(to, &row.stored, format.bytes());
              });
            },
            4);
}

// The single-component forms that use the high half of a register.
TEST_F(Formats, high_halves) {
  constexpr unsigned float16 = 13;
  const TexelFormat format = format_of(llvm_, float16);
  ASSERT_EQ(format.name, "BUF_FMT_16_FLOAT");
  check(
      "buffer_load_format_d16_hi_x v10, v2, s[8:11], 0 idxen",
      [&](Wave& wave) {
        prepare(wave, 4 | 5 << 3 | 6 << 6 | 7 << 9, float16);
        for (u32 i = 0; i < 100; ++i) // no NaNs
          after_bytes_->memory[i * stride + 1] &= 0xbb;
      },
      [&](MemoryState& state) {
        state.for_each_lane([&](unsigned lane) {
          const u8* from = texel(state, lane);
          u32& to = state.expected.vgpr[10][lane];
          to = with_high(to, from ? little_endian(from, 2) : 0);
        });
      });
  check(
      "buffer_store_format_d16_hi_x v20, v2, s[8:11], 0 idxen",
      [&](Wave& wave) {
        prepare(wave, 4 | 5 << 3 | 6 << 6 | 7 << 9, float16);
        for (u32& lane : wave.vgpr[20])
          lane &= 0xbbffffff;
      },
      [&](MemoryState& state) {
        state.for_each_lane([&](unsigned lane) {
          const u32 half = state.v(20, lane) >> 16;
          if (u8* to = texel(state, lane))
            std::memcpy(to, &half, 2);
        });
      });
  for (const char* component : components) {
    const unsigned count = static_cast<unsigned>(std::string(component).size());
    check(
        "buffer_load_format_d16_" + std::string(component) + " " + registers(10, (count + 1) / 2) +
            ", v2, s[8:11], 0 idxen",
        [&](Wave& wave) { prepare(wave, 4 | 5 << 3 | 6 << 6 | 7 << 9, 69); }, // 16_16_16_16_UINT
        [&](MemoryState& state) {
          state.for_each_lane([&](unsigned lane) {
            const u8* from = texel(state, lane);
            for (unsigned i = 0; i < count; ++i) {
              u32& to = state.expected.vgpr[10 + i / 2][lane];
              const u32 half = from ? little_endian(from + 2 * i, 2) : 0;
              to = i % 2 ? with_high(to, half) : with_low(to, half);
            }
          });
        });
  }
}

TEST_F(Formats, numbers_that_are_no_format_fault) {
  for (unsigned id = 0; id < 128; ++id) {
    if (!format_of(llvm_, id).name.empty())
      continue;
    Instruction in = decoded("tbuffer_load_format_x v10, v2, s[8:11], 0 format:1 idxen");
    in.format_id = static_cast<u8>(id);
    randomise(*after_);
    prepare(*after_);
    group_.fault = Fault{};
    in.handler(*after_, in);
    EXPECT_EQ(group_.fault.kind, FaultKind::illegal_instruction) << id;
  }
}

} // namespace
} // namespace emu::isa::test
