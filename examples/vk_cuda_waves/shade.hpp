// The colour of one cell of the height field. Compiled for the GPU by shade.cu and for the CPU by
// reference.cpp.
#pragma once

#ifdef __CUDA__
#define WAVES_DEVICE __attribute__((device))
#else
#define WAVES_DEVICE
#endif

namespace waves {

WAVES_DEVICE inline float clamp01(float v) {
  return v < 0.0f ? 0.0f : v > 1.0f ? 1.0f : v;
}

WAVES_DEVICE inline unsigned to_byte(float v) {
  return static_cast<unsigned>(clamp01(v) * 255.0f + 0.5f);
}

// RGBA8, red in the low byte. x and y are below size; height has size * size cells.
WAVES_DEVICE inline unsigned shade(const float* height, unsigned size, unsigned x, unsigned y) {
  const unsigned left = x == 0 ? x : x - 1, right = x == size - 1 ? x : x + 1;
  const unsigned up = y == 0 ? y : y - 1, down = y == size - 1 ? y : y + 1;
  const float h = height[y * size + x];
  const float slope_x = (height[y * size + right] - height[y * size + left]) * 6.0f;
  const float slope_y = (height[down * size + x] - height[up * size + x]) * 6.0f;

  // Lambert and a sharp highlight, the light from the upper left.
  const float length = __builtin_sqrtf(slope_x * slope_x + slope_y * slope_y + 1.0f);
  const float facing = (0.5f * slope_x + 0.4f * slope_y + 0.77f) / length;
  const float diffuse = clamp01(facing);
  float shine = diffuse * diffuse;
  shine *= shine;
  shine *= shine;
  shine *= shine;

  const float crest = clamp01(0.5f + 0.9f * h);
  const float red = (0.02f + 0.30f * crest * crest) * (0.35f + 0.75f * diffuse) + 0.55f * shine;
  const float green = (0.16f + 0.52f * crest) * (0.35f + 0.75f * diffuse) + 0.50f * shine;
  const float blue = (0.36f + 0.50f * crest) * (0.40f + 0.70f * diffuse) + 0.45f * shine;
  return to_byte(red) | to_byte(green) << 8 | to_byte(blue) << 16 | 0xff000000u;
}

} // namespace waves
