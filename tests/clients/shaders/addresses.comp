#version 460
// Follows a list through device addresses, and loads and stores of every size behind them.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_16bit_storage : require
layout(local_size_x = 64) in;
layout(buffer_reference) buffer Node;
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Node {
  uint value;
  uint count;
  Node next;
};
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Mixed {
  uint8_t bytes[4];
  uint16_t halves[2];
  uint word;
  uvec3 triple;
  uint64_t wide;
  uvec4 quad;
};
layout(push_constant) uniform Push { Node head; Mixed mixed; };

void main() {
  if (gl_GlobalInvocationID.x == 0) {
    uint sum = 0;
    Node node = head;
    while (uvec2(node) != uvec2(0)) {
      sum += node.value;
      node.count = sum;
      node = node.next;
    }
    mixed.bytes[1] = uint8_t(mixed.bytes[0] + mixed.bytes[3]);
    mixed.halves[1] = uint16_t(mixed.halves[0] * 3s);
    mixed.triple = mixed.triple.zxy + 5;
    mixed.quad = mixed.quad.wzyx;
    mixed.wide = mixed.wide * mixed.wide;
  }
  atomicAdd(mixed.word, 1);
}
