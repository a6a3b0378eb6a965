#version 450
// An array of buffers, each invocation with another one; an inline uniform block.
#extension GL_EXT_nonuniform_qualifier : require
layout(local_size_x = 64) in;
layout(std430, binding = 0) readonly buffer Inputs { uint values[]; } inputs[8];
layout(std430, binding = 1) writeonly buffer Output { uint results[]; };
layout(std140, binding = 2) uniform Inline { uvec4 inline_words[2]; };

void main() {
  uint i = gl_GlobalInvocationID.x;
  results[i] = inputs[nonuniformEXT(i * 5 % 8)].values[i] + inline_words[i & 1][i >> 1 & 3];
}
