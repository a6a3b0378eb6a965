#include "sha1.hpp"

#include <bit>
#include <fmt/format.h>

namespace shim::jit {
namespace {

using State = std::array<std::uint32_t, 5>;
constexpr std::size_t block_bytes = 64;

void add_block(State& state, const std::uint8_t* block) {
  std::array<std::uint32_t, 80> words;
  for (std::size_t i = 0; i < 16; i++)
    words[i] = std::uint32_t{block[4 * i]} << 24 | std::uint32_t{block[4 * i + 1]} << 16 |
               std::uint32_t{block[4 * i + 2]} << 8 | block[4 * i + 3];
  for (std::size_t i = 16; i < 80; i++)
    words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
  auto [a, b, c, d, e] = state;
  for (std::size_t i = 0; i < 80; i++) {
    std::uint32_t mixed = 0;
    if (i < 20)
      mixed = ((b & c) | (~b & d)) + 0x5a827999;
    else if (i < 40)
      mixed = (b ^ c ^ d) + 0x6ed9eba1;
    else if (i < 60)
      mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    else
      mixed = (b ^ c ^ d) + 0xca62c1d6;
    const std::uint32_t next = std::rotl(a, 5) + mixed + e + words[i];
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

} // namespace

Digest sha1(std::string_view data) {
  State state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(data.data());
  std::size_t left = data.size();
  for (; left >= block_bytes; left -= block_bytes, bytes += block_bytes)
    add_block(state, bytes);
  std::string tail(reinterpret_cast<const char*>(bytes), left);
  tail.push_back('\x80');
  while (tail.size() % block_bytes != block_bytes - 8)
    tail.push_back('\0');
  for (int shift = 56; shift >= 0; shift -= 8)
    tail.push_back(static_cast<char>(std::uint64_t{data.size()} * 8 >> shift));
  for (std::size_t at = 0; at < tail.size(); at += block_bytes)
    add_block(state, reinterpret_cast<const std::uint8_t*>(tail.data()) + at);
  Digest digest;
  for (std::size_t i = 0; i < digest.size(); i++)
    digest[i] = static_cast<std::uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  return digest;
}

std::string to_hex(const Digest& digest) {
  std::string text;
  for (std::uint8_t byte : digest)
    text += fmt::format("{:02x}", byte);
  return text;
}

} // namespace shim::jit
