// Division as LLVM expands it: the whole sequence has to give the correctly rounded quotient.
#include <cmath>

#include "valu_fixture.hpp"

namespace emu::isa {
namespace {

using namespace test;

class Division : public Valu {
protected:
  static constexpr std::uint32_t all_denormals = 0xf0;

  void load(const char* const* lines, std::size_t count, const ValuTables& tables) {
    sequence_.clear();
    for (std::size_t i = 0; i < count; ++i)
      sequence_.push_back(retargeted(decoded(lines[i]), tables));
  }
  void run() {
    for (const Instruction& in : sequence_)
      in.handler(*after_, in);
  }
  void reset() {
    std::memset(static_cast<void*>(after_.get()), 0, sizeof *after_);
    after_->lanes = 64;
    after_->wave64 = true;
    after_->lane_mask = ~std::uint64_t{0};
    after_->set_pair(exec_lo, ~std::uint64_t{0});
    after_->mode = all_denormals;
  }

  std::vector<Instruction> sequence_;
};

// v2 / v3 -> v10
constexpr const char* f32_sequence[] = {
    "v_div_scale_f32 v4, s2, v3, v3, v2",
    "v_div_scale_f32 v5, vcc_lo, v2, v3, v2",
    "v_rcp_f32 v6, v4",
    "v_fma_f32 v7, -v4, v6, 1.0",
    "v_fmac_f32 v6, v7, v6",
    "v_mul_f32 v7, v5, v6",
    "v_fma_f32 v8, -v4, v7, v5",
    "v_fmac_f32 v7, v8, v6",
    "v_fma_f32 v4, -v4, v7, v5",
    "v_div_fmas_f32 v4, v4, v6, v7",
    "v_div_fixup_f32 v10, v4, v3, v2",
};

// v[2:3] / v[4:5] -> v[20:21]
constexpr const char* f64_sequence[] = {
    "v_div_scale_f64 v[6:7], s2, v[4:5], v[4:5], v[2:3]",
    "v_rcp_f64 v[8:9], v[6:7]",
    "v_fma_f64 v[10:11], -v[6:7], v[8:9], 1.0",
    "v_fma_f64 v[8:9], v[8:9], v[10:11], v[8:9]",
    "v_fma_f64 v[10:11], -v[6:7], v[8:9], 1.0",
    "v_fma_f64 v[8:9], v[8:9], v[10:11], v[8:9]",
    "v_div_scale_f64 v[10:11], vcc_lo, v[2:3], v[4:5], v[2:3]",
    "v_mul_f64 v[12:13], v[10:11], v[8:9]",
    "v_fma_f64 v[6:7], -v[6:7], v[12:13], v[10:11]",
    "v_div_fmas_f64 v[6:7], v[6:7], v[8:9], v[12:13]",
    "v_div_fixup_f64 v[20:21], v[6:7], v[4:5], v[2:3]",
};

TEST_F(Division, of_f32_is_correctly_rounded) {
  constexpr unsigned rounds = 20'000; // of 64 lanes
  for (const Target& target : targets_) {
    load(f32_sequence, std::size(f32_sequence), *target.tables);
    reset();
    unsigned wrong = 0;
    for (unsigned round = 0; round < rounds && wrong < 10; ++round) {
      for (unsigned reg : {2u, 3u})
        for (std::uint32_t& lane : after_->vgpr[reg])
          lane = random32() % 8 == 0 ? random32() & 0x80ffffff : random_single();
      run();
      for (unsigned i = 0; i < 64; ++i) {
        const float a = std::bit_cast<float>(after_->vgpr[2][i]),
                    b = std::bit_cast<float>(after_->vgpr[3][i]);
        const auto should = std::bit_cast<std::uint32_t>(a / b);
        if (!same(after_->vgpr[10][i], should, NanWidth::single) && ++wrong < 10)
          ADD_FAILURE() << target.name << ": " << std::hexfloat << a << " / " << b << " is "
                        << std::bit_cast<float>(after_->vgpr[10][i]) << ", not " << a / b;
      }
    }
    EXPECT_EQ(wrong, 0u) << target.name;
  }
}

TEST_F(Division, of_f64_is_correctly_rounded) {
  constexpr unsigned rounds = 4'000;
  for (const Target& target : targets_) {
    load(f64_sequence, std::size(f64_sequence), *target.tables);
    reset();
    unsigned wrong = 0;
    for (unsigned round = 0; round < rounds && wrong < 10; ++round) {
      for (unsigned reg : {2u, 4u})
        for (unsigned i = 0; i < 64; ++i) {
          std::uint64_t v = random_double();
          if (random32() % 8 == 0)
            v &= 0x803fffffffffffff;
          after_->vgpr[reg][i] = static_cast<std::uint32_t>(v);
          after_->vgpr[reg + 1][i] = static_cast<std::uint32_t>(v >> 32);
        }
      run();
      const auto wide = [&](unsigned reg, unsigned i) {
        return std::bit_cast<double>(after_->vgpr[reg][i] | std::uint64_t{after_->vgpr[reg + 1][i]} << 32);
      };
      for (unsigned i = 0; i < 64; ++i) {
        const double a = wide(2, i), b = wide(4, i), is = wide(20, i), should = a / b;
        const bool right = std::bit_cast<std::uint64_t>(is) == std::bit_cast<std::uint64_t>(should) ||
                           (std::isnan(is) && std::isnan(should));
        if (!right && ++wrong < 10)
          ADD_FAILURE() << target.name << ": " << std::hexfloat << a << " / " << b << " is " << is << ", not "
                        << should;
      }
    }
    EXPECT_EQ(wrong, 0u) << target.name;
  }
}

} // namespace
} // namespace emu::isa
