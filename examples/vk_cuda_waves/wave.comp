// One step of the damped wave equation on a square grid with reflecting walls.
//
// `previous` holds the field one step back and is overwritten with the field one step ahead: each invocation reads it
// at its own cell alone. `precise` keeps the arithmetic exactly as written, so that a CPU can reproduce every bit.
#version 450

layout(local_size_x = 16, local_size_y = 16) in;

layout(push_constant) uniform Parameters {
  uint size;
  float courant_squared; // (wave speed * time step / cell size)^2, at most 0.5
  float damping;         // factor per step
};

layout(std430, binding = 0) readonly buffer Current { float current[]; };
layout(std430, binding = 1) buffer Previous { float previous[]; };
layout(std430, binding = 2) writeonly buffer Height { float height[]; };

void main() {
  const uint x = gl_GlobalInvocationID.x, y = gl_GlobalInvocationID.y;
  if (x >= size || y >= size)
    return;
  const uint left = x == 0u ? x : x - 1u, right = x == size - 1u ? x : x + 1u;
  const uint up = y == 0u ? y : y - 1u, down = y == size - 1u ? y : y + 1u;
  const uint here = y * size + x;
  const float center = current[here];
  precise float sides = current[y * size + left] + current[y * size + right];
  precise float ends = current[up * size + x] + current[down * size + x];
  precise float laplacian = (sides + ends) - 4.0 * center;
  precise float velocity = center - previous[here];
  precise float next = center + damping * velocity + courant_squared * laplacian;
  // Keeps denormals out, which Vulkan may flush.
  if (abs(next) < 1e-25)
    next = 0.0;
  previous[here] = next;
  height[here] = next;
}
