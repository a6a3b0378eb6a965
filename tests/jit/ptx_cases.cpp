#include "ptx_cases.hpp"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fmt/format.h>

namespace ptx_cases {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  if (!value)
    throw std::runtime_error(fmt::format("{} is not set", name));
  return value;
}

std::vector<std::string> split(const std::string& line, char separator, std::size_t most = ~std::size_t{0}) {
  std::vector<std::string> fields;
  std::size_t at = 0;
  while (fields.size() + 1 < most) {
    const std::size_t end = line.find(separator, at);
    if (end == std::string::npos)
      break;
    fields.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  fields.push_back(line.substr(at));
  return fields;
}

std::string register_type(const std::string& type) {
  return type == "f16" ? "b16" : type;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

std::uint64_t random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ull);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

std::uint64_t low_bits(unsigned bits) {
  return bits == 64 ? ~0ull : (1ull << bits) - 1;
}

// The values around which arithmetic goes wrong. Their order is part of the data: the golden results belong
// to it.
std::vector<std::uint64_t> specials(const std::string& type) {
  if (type == "f32")
    return {0u,          0x80000000u, 0x3f800000u, 0xbf800000u, 0x40000000u, 0x3f000000u, 0x7f800000u,
            0xff800000u, 0x7fc00000u, 1u,          0x80000001u, 0x007fffffu, 0x00800000u, 0x80800000u,
            0x7f7fffffu, 0xff7fffffu, 0x4b000001u, 0x4f000000u, 0xcf000000u, 0x5f000000u, 0x4effffffu,
            0x3effffffu, 0x40490fdbu, 0x3fc00000u, 0xc0200000u, 0x33800000u};
  if (type == "f64")
    return {0ull,
            0x8000000000000000ull,
            0x3ff0000000000000ull,
            0xbff0000000000000ull,
            0x7ff0000000000000ull,
            0xfff0000000000000ull,
            0x7ff8000000000000ull,
            1ull,
            0x000fffffffffffffull,
            0x0010000000000000ull,
            0x7fefffffffffffffull,
            0x41dfffffffc00000ull,
            0x41e0000000000000ull,
            0x43e0000000000000ull,
            0x3fe0000000000000ull,
            0xbfe0000000000000ull,
            0x4008000000000000ull,
            0x36a0000000000000ull,
            0x380fffffe0000000ull,
            0x47efffffe0000000ull,
            0x47efffffefffffffull,
            0x47effffff0000000ull,
            0x3ff8000000000000ull};
  if (type == "f16")
    return {0,      0x8000, 0x3c00, 0xbc00, 0x7c00, 0xfc00, 0x7e00, 1,      0x8001,
            0x03ff, 0x0400, 0x7bff, 0xfbff, 0x3800, 0x3555, 0x4200, 0x6400, 0x6401};
  std::vector<std::uint64_t> values = {0ull,
                                       1ull,
                                       2ull,
                                       3ull,
                                       7ull,
                                       31ull,
                                       32ull,
                                       33ull,
                                       63ull,
                                       64ull,
                                       127ull,
                                       128ull,
                                       255ull,
                                       256ull,
                                       0x7fffull,
                                       0x8000ull,
                                       0xffffull,
                                       0x10000ull,
                                       0x7fffffffull,
                                       0x80000000ull,
                                       0xffffffffull,
                                       0x7fffffffffffffffull,
                                       0x8000000000000000ull,
                                       ~0ull,
                                       ~1ull,
                                       0x5555555555555555ull,
                                       0xaaaaaaaaaaaaaaaaull,
                                       0x0123456789abcdefull};
  for (std::uint64_t& value : values)
    value &= low_bits(type_bytes(type) * 8);
  return values;
}

// Operand `which` of a thread: pairs of special values first, then numbers of ordinary size, then any bits.
std::uint64_t operand_value(const std::string& type, const std::vector<std::uint64_t>& special,
                            std::uint64_t thread, std::size_t which, std::uint64_t& state) {
  const std::uint64_t bits = random(state);
  const std::size_t count = special.size();
  const std::uint64_t pick = which == 0   ? thread % count
                             : which == 1 ? (thread / count) % count
                                          : (thread / 7) % count;
  if (thread < threads / 2 && !(which == 2 && (bits & 1)))
    return special[pick];
  const bool ordinary = (bits >> 60) < 10;
  if (type == "f32" && ordinary)
    return std::bit_cast<std::uint32_t>(
        static_cast<float>(static_cast<std::int64_t>(bits & 0xffffff) - 0x800000) / 1024.0f);
  if (type == "f64" && ordinary)
    return std::bit_cast<std::uint64_t>(
        static_cast<double>(static_cast<std::int64_t>(bits & 0xffffffffff) - 0x8000000000) / 65536.0);
  return bits & low_bits(type_bytes(type) * 8);
}

struct Float {
  unsigned bits, mantissa;
};

Float float_format(const std::string& type) {
  return type == "f16"   ? Float{16, 10}
         : type == "f32" ? Float{32, 23}
         : type == "f64" ? Float{64, 52}
                         : Float{0, 0};
}

bool is_nan(const std::string& type, std::uint64_t value) {
  const Float format = float_format(type);
  if (format.bits == 0)
    return false;
  const std::uint64_t infinity = low_bits(format.bits - 1) & ~low_bits(format.mantissa);
  return (value & low_bits(format.bits - 1)) > infinity;
}

std::uint64_t one_nan(const std::string& type, std::uint64_t value) {
  return is_nan(type, value) ? low_bits(float_format(type).bits - 1) : value;
}

double to_double(const std::string& type, std::uint64_t value) {
  return type == "f64" ? std::bit_cast<double>(value)
                       : std::bit_cast<float>(static_cast<std::uint32_t>(value));
}

// Floats in their order as integers.
std::int64_t rank(const std::string& type, std::uint64_t value) {
  const unsigned sign = float_format(type).bits - 1;
  const auto magnitude = static_cast<std::int64_t>(value & low_bits(sign));
  return value >> sign ? -magnitude : magnitude;
}

bool near(const Case& c, std::uint64_t expected, std::uint64_t got) {
  const std::vector<std::string> words = split(c.tolerance, ' ');
  const double a = to_double(c.result, expected), b = to_double(c.result, got);
  constexpr double tiny = 1.2e-38;
  if (words[0] == "ulp") {
    const bool division = words.size() > 2 && words[2] == "divapprox";
    if (division && !(std::abs(a) > 1.18e-38 && std::abs(a) < 1e38))
      return true;
    if (std::abs(a) < tiny && std::abs(b) < tiny)
      return true;
    return std::llabs(rank(c.result, expected) - rank(c.result, got)) <= 2 * std::stoll(words[1]);
  }
  if (std::isinf(a) || std::isinf(b))
    return a == b;
  const double error = std::abs(a - b), allowed = 2 * std::stod(words[1]);
  if (words[0] == "abs")
    return error <= allowed * std::max(1.0, std::abs(a));
  return error <= allowed * std::abs(a) || error < 1e-300;
}

} // namespace

unsigned type_bytes(const std::string& type) {
  return static_cast<unsigned>(std::stoi(type.substr(1))) / 8;
}

std::vector<Case> load(const char* variable) {
  std::ifstream file(environment(variable));
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    const auto fields = split(line, '|', 5);
    if (fields.size() != 5)
      throw std::runtime_error("malformed case: " + line);
    Case c{fields[0], {}, fields[2], fields[3], fields[4]};
    std::istringstream operands(fields[1]);
    for (std::string type; operands >> type;)
      c.operands.push_back(type);
    cases.push_back(std::move(c));
  }
  if (cases.empty())
    throw std::runtime_error("no cases");
  return cases;
}

std::string source(const Case& c) {
  const bool legacy = c.name.find("legacy") != std::string::npos;
  std::string text = legacy ? ".version 6.0\n.target sm_61\n" : ".version 6.4\n.target sm_75\n";
  text += ".address_size 64\n"
          ".const .align 4 .u32 ctab[8] = {3, 1, 4, 1, 5, 9, 2, 6};\n"
          ".func (.param .b32 r) helper(.param .b32 x, .param .b32 y)\n"
          "{\n"
          "  .reg .b32 %h<4>;\n"
          "  ld.param.b32 %h0, [x];\n"
          "  ld.param.b32 %h1, [y];\n"
          "  mul.lo.u32 %h2, %h0, %h1;\n"
          "  add.u32 %h2, %h2, 17;\n"
          "  st.param.b32 [r], %h2;\n"
          "  ret;\n"
          "}\n"
          ".visible .entry k(.param .u64 p0, .param .u64 p1, .param .u64 p2, .param .u64 p3)\n"
          "{\n"
          "  .reg .u64 %ad<5>, %ao<5>;\n"
          "  .reg .u32 %ix<4>;\n"
          "  mov.u32 %ix0, %ctaid.x;\n"
          "  mov.u32 %ix1, %ntid.x;\n"
          "  mov.u32 %ix2, %tid.x;\n"
          "  mad.lo.u32 %ix0, %ix0, %ix1, %ix2;\n";
  for (std::size_t i = 0; i < c.operands.size(); i++)
    text += fmt::format("  .reg .{0} %in{1};\n"
                        "  ld.param.u64 %ad{1}, [p{1}];\n"
                        "  mul.wide.u32 %ao{1}, %ix0, {2};\n"
                        "  add.u64 %ad{1}, %ad{1}, %ao{1};\n"
                        "  ld.global.{0} %in{1}, [%ad{1}];\n",
                        register_type(c.operands[i]), i, type_bytes(c.operands[i]));
  std::string body = c.body;
  replace_all(body, "$d", "%res");
  replace_all(body, "$a", "%in0");
  replace_all(body, "$b", "%in1");
  replace_all(body, "$c", "%in2");
  text += fmt::format("  .reg .{0} %res;\n"
                      "  {{ {1} }}\n"
                      "  ld.param.u64 %ad3, [p3];\n"
                      "  mul.wide.u32 %ao3, %ix0, {2};\n"
                      "  add.u64 %ad3, %ad3, %ao3;\n"
                      "  st.global.{0} [%ad3], %res;\n"
                      "  ret;\n"
                      "}}\n",
                      register_type(c.result), body, type_bytes(c.result));
  return text;
}

std::vector<std::vector<std::byte>> inputs(const Case& c) {
  std::vector<std::vector<std::byte>> arrays;
  for (std::size_t which = 0; which < c.operands.size(); which++) {
    const unsigned width = type_bytes(c.operands[which]);
    const auto special = specials(c.operands[which]);
    std::uint64_t state = 1234 + which * 77;
    std::vector<std::byte> array(std::size_t{threads} * width);
    for (std::uint64_t thread = 0; thread < threads; thread++) {
      const std::uint64_t value = operand_value(c.operands[which], special, thread, which, state);
      std::memcpy(array.data() + thread * width, &value, width);
    }
    arrays.push_back(std::move(array));
  }
  return arrays;
}

std::vector<std::byte> golden(const Case& c) {
  std::ifstream index(environment("PTX_GOLDEN_INDEX"));
  for (std::string line; std::getline(index, line);) {
    const auto fields = split(line, '|');
    if (fields.at(0) != c.name)
      continue;
    if (fields.at(1) != "0")
      return {};
    std::vector<std::byte> bytes(std::stoul(fields.at(3)) * std::stoul(fields.at(4)));
    std::ifstream data(environment("PTX_GOLDEN"), std::ios::binary);
    data.seekg(std::stol(fields.at(2)));
    data.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!data)
      throw std::runtime_error("golden results are too short for " + c.name);
    return bytes;
  }
  throw std::runtime_error("no golden results for " + c.name);
}

std::uint64_t expected_digest(const Case& c) {
  return std::stoull(split(c.tolerance, ' ').at(1), nullptr, 16);
}

std::uint64_t digest(const Case& c, const std::vector<std::byte>& results) {
  const unsigned width = type_bytes(c.result);
  const bool halves = c.tolerance.starts_with("f16x2");
  std::uint64_t hash = 0xcbf29ce484222325; // FNV-1a, over elements
  for (std::size_t at = 0; at < results.size(); at += width) {
    std::uint64_t value = 0;
    std::memcpy(&value, results.data() + at, width);
    if (halves)
      value = one_nan("f16", value >> 16) << 16 | one_nan("f16", value & 0xffff);
    else
      value = one_nan(c.result, value);
    hash = (hash ^ value) * 0x100000001b3;
  }
  return hash;
}

bool agrees(const Case& c, std::uint64_t expected, std::uint64_t got) {
  if (expected == got)
    return true;
  if (c.tolerance == "f16x2") {
    for (unsigned shift : {0u, 16u}) {
      const std::uint64_t a = expected >> shift & 0xffff, b = got >> shift & 0xffff;
      if (a != b && !(is_nan("f16", a) && is_nan("f16", b)))
        return false;
    }
    return true;
  }
  if (float_format(c.result).bits == 0)
    return false;
  if (is_nan(c.result, expected) || is_nan(c.result, got))
    return is_nan(c.result, expected) && is_nan(c.result, got);
  return c.tolerance != "exact" && near(c, expected, got);
}

} // namespace ptx_cases
