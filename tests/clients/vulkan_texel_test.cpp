// RADV: texel buffers of every format that the driver offers, loaded and stored, against host code.
#include "vulkan_fixture.hpp"

#include "texel_atomics_spv.h"
#include "texels_float_spv.h"
#include "texels_int_spv.h"
#include "texels_uint_spv.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

namespace {

using namespace vulkan_client;

constexpr std::uint32_t count = 64;

enum class Numbers { unorm, snorm, uint, sint, sfloat };

struct Format {
  VkFormat format;
  const char* name;
  Numbers numbers;
  std::array<unsigned, 4> bits; // from the lowest bit on
  bool bgra = false;            // blue lies lowest
};

#define FORMAT(name, ...)                                                                                    \
  Format {                                                                                                   \
    VK_FORMAT_##name, #name, __VA_ARGS__                                                                     \
  }
const Format formats[] = {
    FORMAT(R8_UNORM, Numbers::unorm, {8}),
    FORMAT(R8_SNORM, Numbers::snorm, {8}),
    FORMAT(R8_UINT, Numbers::uint, {8}),
    FORMAT(R8_SINT, Numbers::sint, {8}),
    FORMAT(R8G8_UNORM, Numbers::unorm, {8, 8}),
    FORMAT(R8G8_SNORM, Numbers::snorm, {8, 8}),
    FORMAT(R8G8_UINT, Numbers::uint, {8, 8}),
    FORMAT(R8G8_SINT, Numbers::sint, {8, 8}),
    FORMAT(R8G8B8A8_UNORM, Numbers::unorm, {8, 8, 8, 8}),
    FORMAT(R8G8B8A8_SNORM, Numbers::snorm, {8, 8, 8, 8}),
    FORMAT(R8G8B8A8_UINT, Numbers::uint, {8, 8, 8, 8}),
    FORMAT(R8G8B8A8_SINT, Numbers::sint, {8, 8, 8, 8}),
    FORMAT(B8G8R8A8_UNORM, Numbers::unorm, {8, 8, 8, 8}, true),
    FORMAT(A8B8G8R8_UNORM_PACK32, Numbers::unorm, {8, 8, 8, 8}),
    FORMAT(A8B8G8R8_SINT_PACK32, Numbers::sint, {8, 8, 8, 8}),
    FORMAT(A2B10G10R10_UNORM_PACK32, Numbers::unorm, {10, 10, 10, 2}),
    FORMAT(A2B10G10R10_UINT_PACK32, Numbers::uint, {10, 10, 10, 2}),
    FORMAT(A2R10G10B10_UNORM_PACK32, Numbers::unorm, {10, 10, 10, 2}, true),
    FORMAT(B10G11R11_UFLOAT_PACK32, Numbers::sfloat, {11, 11, 10}),
    FORMAT(R16_UNORM, Numbers::unorm, {16}),
    FORMAT(R16_SNORM, Numbers::snorm, {16}),
    FORMAT(R16_UINT, Numbers::uint, {16}),
    FORMAT(R16_SINT, Numbers::sint, {16}),
    FORMAT(R16_SFLOAT, Numbers::sfloat, {16}),
    FORMAT(R16G16_UNORM, Numbers::unorm, {16, 16}),
    FORMAT(R16G16_SNORM, Numbers::snorm, {16, 16}),
    FORMAT(R16G16_UINT, Numbers::uint, {16, 16}),
    FORMAT(R16G16_SINT, Numbers::sint, {16, 16}),
    FORMAT(R16G16_SFLOAT, Numbers::sfloat, {16, 16}),
    FORMAT(R16G16B16A16_UNORM, Numbers::unorm, {16, 16, 16, 16}),
    FORMAT(R16G16B16A16_SNORM, Numbers::snorm, {16, 16, 16, 16}),
    FORMAT(R16G16B16A16_UINT, Numbers::uint, {16, 16, 16, 16}),
    FORMAT(R16G16B16A16_SINT, Numbers::sint, {16, 16, 16, 16}),
    FORMAT(R16G16B16A16_SFLOAT, Numbers::sfloat, {16, 16, 16, 16}),
    FORMAT(R32_UINT, Numbers::uint, {32}),
    FORMAT(R32_SINT, Numbers::sint, {32}),
    FORMAT(R32_SFLOAT, Numbers::sfloat, {32}),
    FORMAT(R32G32_UINT, Numbers::uint, {32, 32}),
    FORMAT(R32G32_SINT, Numbers::sint, {32, 32}),
    FORMAT(R32G32_SFLOAT, Numbers::sfloat, {32, 32}),
    FORMAT(R32G32B32_UINT, Numbers::uint, {32, 32, 32}),
    FORMAT(R32G32B32_SFLOAT, Numbers::sfloat, {32, 32, 32}),
    FORMAT(R32G32B32A32_UINT, Numbers::uint, {32, 32, 32, 32}),
    FORMAT(R32G32B32A32_SINT, Numbers::sint, {32, 32, 32, 32}),
    FORMAT(R32G32B32A32_SFLOAT, Numbers::sfloat, {32, 32, 32, 32}),
};
#undef FORMAT

unsigned texel_bytes(const Format& format) {
  unsigned bits = 0;
  for (const unsigned component : format.bits)
    bits += component;
  return bits / 8;
}

// A float of few bits: 5 of exponent, the rest mantissa, a sign only with 16 bits.
float small_float(std::uint32_t raw, unsigned bits) {
  const unsigned mantissa_bits = bits == 16 ? 10 : bits - 5;
  const std::uint32_t mantissa = raw & ((1u << mantissa_bits) - 1);
  const int exponent = static_cast<int>(raw >> mantissa_bits & 31);
  const float fraction = static_cast<float>(mantissa) / static_cast<float>(1u << mantissa_bits);
  const float value = exponent == 0 ? std::ldexp(fraction, -14) : std::ldexp(1 + fraction, exponent - 15);
  return bits == 16 && raw >> 15 ? -value : value;
}

// What a shader sees of `raw` bits of a component, as the 32 bits of its vector.
std::uint32_t decode(Numbers numbers, std::uint32_t raw, unsigned bits) {
  const std::uint32_t all = bits == 32 ? ~0u : (1u << bits) - 1;
  const std::int32_t extended = static_cast<std::int32_t>(raw << (32 - bits)) >> (32 - bits);
  switch (numbers) {
  case Numbers::uint:
    return raw;
  case Numbers::sint:
    return static_cast<std::uint32_t>(extended);
  case Numbers::unorm:
    return std::bit_cast<std::uint32_t>(static_cast<float>(raw / static_cast<double>(all)));
  case Numbers::snorm:
    return std::bit_cast<std::uint32_t>(
        std::max(-1.0f, static_cast<float>(extended / static_cast<double>(all >> 1))));
  case Numbers::sfloat:
    return bits == 32 ? raw : std::bit_cast<std::uint32_t>(small_float(raw, bits));
  }
  return 0;
}

// Bits that a store of their own decoding gives again: no infinity, no NaN, the most negative snorm once.
std::uint32_t pick(const Format& format, unsigned bits, std::mt19937& random) {
  std::uint32_t raw = static_cast<std::uint32_t>(random()) >> (32 - bits);
  if (format.numbers == Numbers::snorm && raw == 1u << (bits - 1))
    raw = 0;
  if (format.numbers == Numbers::sfloat) {
    const unsigned mantissa = bits == 32 ? 23 : bits == 16 ? 10 : bits - 5;
    const std::uint32_t exponent = bits == 32 ? 255 : 31;
    if ((raw >> mantissa & exponent) == exponent || (raw >> mantissa & exponent) == 0)
      raw = (raw & ~(exponent << mantissa)) | (exponent / 2) << mantissa;
  }
  return raw;
}

struct Texels {
  std::vector<unsigned char> raw;
  std::vector<std::uint32_t> vectors; // four words a texel
};

Texels make_texels(const Format& format) {
  std::mt19937 random(format.format);
  const unsigned bytes = texel_bytes(format);
  const std::uint32_t one = format.numbers == Numbers::uint || format.numbers == Numbers::sint
                                ? 1
                                : std::bit_cast<std::uint32_t>(1.0f);
  Texels texels;
  for (std::uint32_t i = 0; i < count; ++i) {
    std::array<std::uint32_t, 4> words{}, components = {0, 0, 0, one};
    unsigned at = 0;
    for (unsigned c = 0; c < 4 && format.bits[c] != 0; ++c) {
      const unsigned bits = format.bits[c];
      const std::uint32_t raw = pick(format, bits, random);
      words[at / 32] |= raw << at % 32;
      components[format.bgra && c < 3 ? 2 - c : c] = decode(format.numbers, raw, bits);
      at += bits;
    }
    const auto* first = reinterpret_cast<const unsigned char*>(words.data());
    texels.raw.insert(texels.raw.end(), first, first + bytes);
    texels.vectors.insert(texels.vectors.end(), components.begin(), components.end());
  }
  return texels;
}

class View {
public:
  View(const Device& device, const Buffer& buffer, VkFormat format, VkDeviceSize offset, VkDeviceSize range)
      : device_(device) {
    VkBufferViewCreateInfo info = {VK_STRUCTURE_TYPE_BUFFER_VIEW_CREATE_INFO};
    info.buffer = buffer.get();
    info.format = format;
    info.offset = offset;
    info.range = range;
    VK_CHECK(vkCreateBufferView(device.get(), &info, nullptr, &view_));
  }
  ~View() { vkDestroyBufferView(device_.get(), view_, nullptr); }
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  VkBufferView get() const { return view_; }

private:
  const Device& device_;
  VkBufferView view_ = nullptr;
};

class VulkanTexels : public QueueTest {
protected:
  static VkFormatFeatureFlags features_of(VkFormat format) {
    VkFormatProperties properties;
    vkGetPhysicalDeviceFormatProperties(device().physical(), format, &properties);
    return properties.bufferFeatures;
  }
  static std::span<const std::uint32_t> code_for(Numbers numbers) {
    if (numbers == Numbers::uint)
      return texels_uint_spv;
    if (numbers == Numbers::sint)
      return texels_int_spv;
    return texels_float_spv;
  }

  // Loads all texels, stores the same vectors; the texel one beyond the view is loaded and stored too.
  static void check(const Format& format, bool stored) {
    SCOPED_TRACE(format.name);
    constexpr VkDeviceSize offset = 192; // of no power of two
    const Texels texels = make_texels(format);
    const VkDeviceSize bytes = texels.raw.size();
    Cleared source(device(), offset + bytes + 64, 0x5a), target(device(), offset + bytes + 64, 0xa5);
    std::memcpy(source.as<unsigned char>() + offset, texels.raw.data(), bytes);
    std::vector<std::uint32_t> vectors = texels.vectors;
    vectors.insert(vectors.end(), {7, 7, 7, 7});
    const Filled values(device(), vectors);
    Cleared loaded(device(), (count + 2) * 16, 0xcc);
    const View source_view(device(), source, format.format, offset, bytes);
    const VkFormat target_format = stored ? format.format : VK_FORMAT_R32G32B32A32_UINT;
    const View target_view(device(), target, target_format, offset, bytes);
    const Binding in = {VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER, {}, source_view.get(), {}};
    const Binding out = {VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, {}, target_view.get(), {}};
    const Kernel kernel(device(), code_for(format.numbers), {in, out, storage(loaded), storage(values)},
                        {.push_bytes = 4});
    run(kernel, 2, &count);

    const bool scaled = format.numbers == Numbers::unorm || format.numbers == Numbers::snorm;
    for (std::uint32_t i = 0; i < count * 4; ++i)
      if (scaled) {
        ASSERT_NEAR(std::bit_cast<float>(loaded.words()[i]), std::bit_cast<float>(texels.vectors[i]), 1e-7)
            << "component " << i;
      } else {
        ASSERT_EQ(loaded.words()[i], texels.vectors[i]) << "component " << i;
      }
    for (std::uint32_t i = 0; i < 3; ++i)
      EXPECT_EQ(loaded.words()[count * 4 + i], 0u) << "beyond the view";
    const std::uint32_t size = loaded.words()[(count + 1) * 4];
    EXPECT_EQ(scaled || format.numbers == Numbers::sfloat
                  ? static_cast<std::uint32_t>(std::bit_cast<float>(size))
                  : size,
              count);
    if (!stored)
      return;
    const auto* seen = target.as<unsigned char>();
    for (VkDeviceSize i = 0; i < bytes; ++i)
      ASSERT_EQ(seen[offset + i], texels.raw[i]) << "byte " << i;
    for (VkDeviceSize i = 0; i < 64; ++i)
      ASSERT_EQ(seen[offset + bytes + i], 0xa5) << "beyond the view";
  }
};

TEST_P(VulkanTexels, of_every_format_are_loaded_and_stored) {
  int loaded = 0, stored = 0;
  for (const Format& format : formats) {
    const VkFormatFeatureFlags features = features_of(format.format);
    if (!(features & VK_FORMAT_FEATURE_UNIFORM_TEXEL_BUFFER_BIT))
      continue;
    const bool storable = features & VK_FORMAT_FEATURE_STORAGE_TEXEL_BUFFER_BIT;
    check(format, storable);
    ++loaded;
    stored += storable;
  }
  EXPECT_GE(loaded, 40);
  EXPECT_GE(stored, 38);
}

TEST_P(VulkanTexels, are_changed_atomically) {
  constexpr std::uint32_t groups = 4, invocations = groups * 64;
  Filled<std::uint32_t> counters(device(), {5, 0, 0, 0});
  Cleared returned(device(), invocations * 4);
  const View view(device(), counters, VK_FORMAT_R32_UINT, 0, 16);
  const Binding image = {VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER, {}, view.get(), {}};
  const Kernel kernel(device(), texel_atomics_spv, {image, storage(returned)});
  run(kernel, groups);
  EXPECT_EQ(counters.words()[0], 5 + invocations);
  std::uint32_t largest = 0, odd = 0;
  for (std::uint32_t i = 0; i < invocations; ++i) {
    largest = std::max(largest, i * 7 % 1000);
    odd ^= i;
  }
  EXPECT_EQ(counters.words()[1], largest);
  EXPECT_EQ(counters.words()[2], odd);
  EXPECT_EQ(counters.words()[3] % 5, 0u);
  EXPECT_NE(counters.words()[3], 0u);
  std::vector<std::uint32_t> order(returned.words(), returned.words() + invocations);
  std::ranges::sort(order);
  for (std::uint32_t i = 0; i < invocations; ++i)
    ASSERT_EQ(order[i], i + 5);
}

INSTANTIATE_TEST_SUITE_P(queues, VulkanTexels, shader_queues, queue_name);

} // namespace
