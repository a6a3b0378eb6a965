#version 460
// Subgroup arithmetic and shuffles of one type, among the invocations that the input calls active.
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_shader_subgroup_extended_types_int8 : require
#extension GL_EXT_shader_subgroup_extended_types_int16 : require
#extension GL_EXT_shader_subgroup_extended_types_int64 : require
#extension GL_EXT_shader_subgroup_extended_types_float16 : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_KHR_shader_subgroup_clustered : require
#extension GL_KHR_shader_subgroup_quad : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_KHR_shader_subgroup_shuffle_relative : require
layout(local_size_x = 128) in;
layout(std430, binding = 0) readonly buffer Active { uint active_flags[]; };
layout(std430, binding = 1) readonly buffer Input { TYPE input_values[]; };
layout(std430, binding = 2) buffer Output { TYPE results[]; };
layout(std430, binding = 3) buffer Places { uvec4 places[]; };

void put(uint operation, TYPE value) {
  results[operation * 128 + gl_LocalInvocationIndex] = value;
}

void main() {
  uint i = gl_LocalInvocationIndex;
  uint lane = gl_SubgroupInvocationID;
  places[i] = uvec4(gl_SubgroupSize, gl_NumSubgroups, gl_SubgroupID, lane);
  TYPE v = input_values[i];
  if (active_flags[i] == 0)
    return;
  put(0, subgroupAdd(v));
  put(1, subgroupMin(v));
  put(2, subgroupMax(v));
  put(3, subgroupInclusiveAdd(v));
  put(4, subgroupExclusiveAdd(v));
  put(5, subgroupInclusiveMin(v));
  put(6, subgroupInclusiveMax(v));
  put(7, subgroupMul(lane % 16 == 1 ? TYPE(2) : TYPE(1)));
  put(8, subgroupInclusiveMul(lane % 16 == 1 ? TYPE(2) : TYPE(1)));
  put(9, subgroupClusteredAdd(v, 4));
  put(10, subgroupClusteredMax(v, 16));
  put(11, subgroupBroadcastFirst(v));
  put(12, subgroupBroadcast(v, 5));
  put(13, subgroupShuffle(v, (lane * 7 + 3) & (gl_SubgroupSize - 1)));
  put(14, subgroupShuffleXor(v, 21));
  put(15, subgroupShuffleUp(v, 2));
  put(16, subgroupShuffleDown(v, 3));
  put(17, subgroupQuadBroadcast(v, 2));
  put(18, subgroupQuadSwapHorizontal(v));
  put(19, subgroupQuadSwapVertical(v));
  put(20, subgroupQuadSwapDiagonal(v));
#ifdef INTEGER
  put(21, subgroupAnd(v));
  put(22, subgroupOr(v));
  put(23, subgroupXor(v));
  put(24, subgroupInclusiveXor(v));
  put(25, subgroupClusteredOr(v, 8));
#endif
}
