#version 460
// Votes and ballots among the active invocations.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_vote : require
#extension GL_KHR_shader_subgroup_ballot : require
layout(local_size_x = 128) in;
layout(std430, binding = 0) readonly buffer Active { uint active_flags[]; };
layout(std430, binding = 1) readonly buffer Input { uint input_values[]; };
layout(std430, binding = 2) buffer Output { uvec2 results[]; };

void put(uint operation, uvec2 value) {
  results[operation * 128 + gl_LocalInvocationIndex] = value;
}
void put(uint operation, uint value) {
  put(operation, uvec2(value, 0));
}

void main() {
  uint i = gl_LocalInvocationIndex;
  uint v = input_values[i];
  if (active_flags[i] == 0)
    return;
  uvec4 odd = subgroupBallot((v & 1) != 0);
  put(0, odd.xy);
  put(1, odd.zw);
  put(2, subgroupElect() ? 1 : 0);
  put(3, uint(subgroupAll(v < 200)) | uint(subgroupAny(v > 200)) << 1 | uint(subgroupAllEqual(v)) << 2 |
             uint(subgroupAllEqual(v & 0)) << 3);
  put(4, uvec2(subgroupBallotBitCount(odd), subgroupBallotInclusiveBitCount(odd)));
  put(5, subgroupBallotExclusiveBitCount(odd));
  put(6, uint(subgroupInverseBallot(odd)) | uint(subgroupBallotBitExtract(odd, 7)) << 1);
  put(7, uvec2(subgroupBallotFindLSB(subgroupBallot(true)), subgroupBallotFindMSB(subgroupBallot(true))));
  put(8, gl_SubgroupEqMask.xy);
  put(9, gl_SubgroupLeMask.xy);
  put(10, gl_SubgroupGtMask.xy);
}
