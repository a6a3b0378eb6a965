// Kernels for gfx1030, assembled with llvm-mc; the source stands above each.
#pragma once

#include <cstdint>
#include <vector>

namespace kernels {

inline constexpr std::uint32_t end_program = 0xbf810000; // s_endpgm
inline constexpr std::uint32_t s_trap_2 = 0xbf920002;

// s_load_dwordx2 s[4:5], s[0:1], 0x0; s_lshl_b32 s3, s2, 6; v_add_nc_u32 v0, s3, v0; v_lshlrev_b32 v1, 2,
// v0; s_waitcnt lgkmcnt(0); global_store_dword v1, v0, s[4:5]; s_endpgm
inline const std::vector<std::uint32_t> store_ids{0xf4040100, 0xfa000000, 0x8f038602, 0x4a000003, 0x34020082,
                                                  0xbf8cc07f, 0xdc708000, 0x00040001, 0xbf810000};

// s_lshl_b32 s3, s2, 6; v_add_nc_u32 v0, s3, v0; v_lshlrev_b32 v1, 2, v0; global_store_dword v1, v0,
// s[0:1]; s_endpgm
inline const std::vector<std::uint32_t> store_ids_direct{0x8f038602, 0x4a000003, 0x34020082,
                                                         0xdc708000, 0x00000001, 0xbf810000};

// s_load_dwordx2 s[4:5], s[0:1], 0x0; v_mov_b32 v0, 0; s_waitcnt lgkmcnt(0); again: global_load_dword v1,
// v0, s[4:5] glc dlc; s_waitcnt vmcnt(0); v_readfirstlane_b32 s6, v1; s_cmp_eq_u32 s6, 0; s_cbranch_scc1
// again; s_endpgm
inline const std::vector<std::uint32_t> spin_until_flag{0xf4040100, 0xfa000000, 0x7e000280, 0xbf8cc07f,
                                                        0xdc319000, 0x01040000, 0xbf8c3f70, 0x7e0c0501,
                                                        0xbf068006, 0xbf85fffa, 0xbf810000};

// s_load_dwordx2 s[4:5], s[0:1], 0x0; s_load_dword s7, s[0:1], 0x8; v_mov_b32 v0, 0; v_mov_b32 v1, 1;
// s_waitcnt lgkmcnt(0); global_atomic_add v0, v1, s[4:5]; again: global_load_dword v2, v0, s[4:5] glc dlc;
// s_waitcnt vmcnt(0); v_readfirstlane_b32 s6, v2; s_cmp_lt_u32 s6, s7; s_cbranch_scc1 again; s_endpgm
inline const std::vector<std::uint32_t> meet_all_groups{
    0xf4040100, 0xfa000000, 0xf40001c0, 0xfa000008, 0x7e000280, 0x7e020281, 0xbf8cc07f, 0xdcc88000,
    0x00040100, 0xdc319000, 0x02040000, 0xbf8c3f70, 0x7e0c0502, 0xbf0a0706, 0xbf85fffa, 0xbf810000};

// v_mov_b32 v0, 0; v_mov_b32 v1, s0; v_mov_b32 v2, s1; v_mov_b32 v3, s2; v_mov_b32 v4, s3;
// global_store_dwordx4 v0, v[1:4], s[8:9]; v_mov_b32 v1, s4; v_mov_b32 v2, s5; v_mov_b32 v3, s6; v_mov_b32
// v4, s7; global_store_dwordx4 v0, v[1:4], s[8:9] offset:16; v_mov_b32 v1, s10; v_mov_b32 v2, s11;
// v_mov_b32 v3, s12; v_mov_b32 v4, s13; global_store_dwordx4 v0, v[1:4], s[8:9] offset:32; v_mov_b32 v1,
// s14; v_mov_b32 v2, s15; v_mov_b32 v3, s16; v_mov_b32 v4, s17; global_store_dwordx4 v0, v[1:4], s[8:9]
// offset:48; s_endpgm
inline const std::vector<std::uint32_t> store_user_sgprs{
    0x7e000280, 0x7e020200, 0x7e040201, 0x7e060202, 0x7e080203, 0xdc788000, 0x00080100,
    0x7e020204, 0x7e040205, 0x7e060206, 0x7e080207, 0xdc788010, 0x00080100, 0x7e02020a,
    0x7e04020b, 0x7e06020c, 0x7e08020d, 0xdc788020, 0x00080100, 0x7e02020e, 0x7e04020f,
    0x7e060210, 0x7e080211, 0xdc788030, 0x00080100, 0xbf810000};

// v_mov_b32 v0, 0; v_mov_b32 v1, 0; global_store_dword v[0:1], v0, off; s_endpgm
inline const std::vector<std::uint32_t> store_to_null{0x7e000280, 0x7e020280, 0xdc708000, 0x007d0000,
                                                      0xbf810000};

// s_getreg_b32 s6, hwreg(HW_REG_HW_ID1); s_load_dwordx2 s[4:5], s[0:1], 0x0; s_lshl_b32 s3, s2, 2; v_mov_b32
// v0, s3; v_mov_b32 v1, s6; s_waitcnt lgkmcnt(0); global_store_dword v0, v1, s[4:5]; s_endpgm
inline const std::vector<std::uint32_t> store_hw_id1{0xb906f817, 0xf4040100, 0xfa000000, 0x8f038202,
                                                     0x7e000203, 0x7e020206, 0xbf8cc07f, 0xdc708000,
                                                     0x00040100, 0xbf810000};

// The same with HW_REG_HW_ID2.
inline const std::vector<std::uint32_t> store_hw_id2{0xb906f818, 0xf4040100, 0xfa000000, 0x8f038202,
                                                     0x7e000203, 0x7e020206, 0xbf8cc07f, 0xdc708000,
                                                     0x00040100, 0xbf810000};

// s_mov_b32 m0, 0x345; s_nop 0; s_sendmsg sendmsg(MSG_INTERRUPT); s_endpgm
inline const std::vector<std::uint32_t> send_interrupt{0xbefc03ff, 0x345, 0xbf800000, 0xbf900001, 0xbf810000};

// s_load_dwordx4 s[4:7], s[0:1], 0x0; v_mov_b32 v0, 0; v_mov_b32 v2, 0; v_mov_b32 v3, 0; s_waitcnt
// lgkmcnt(0); global_store_dwordx2 v0, v[2:3], s[4:5]; again: global_load_dword v1, v0, s[6:7] glc dlc;
// s_waitcnt vmcnt(0); v_readfirstlane_b32 s8, v1; s_cmp_lg_u32 s8, 0; s_cbranch_scc1 again; s_endpgm
inline const std::vector<std::uint32_t> ring_and_wait_for_zero{
    0xf4080100, 0xfa000000, 0x7e000280, 0x7e040280, 0x7e060280, 0xbf8cc07f, 0xdc748000, 0x00040200,
    0xdc319000, 0x01060000, 0xbf8c3f70, 0x7e100501, 0xbf078008, 0xbf85fffa, 0xbf810000};

// out[i] = in[i] + 1, one workgroup a word: s_load_dwordx4 s[4:7], s[0:1], 0x0; s_lshl_b32 s3, s2, 2;
// v_mov_b32 v0, s3; s_waitcnt lgkmcnt(0); global_load_dword v1, v0, s[4:5]; s_waitcnt vmcnt(0); v_add_nc_u32
// v1, 1, v1; global_store_dword v0, v1, s[6:7]; s_endpgm
inline const std::vector<std::uint32_t> copy_plus_one{0xf4080100, 0xfa000000, 0x8f038202, 0x7e000203,
                                                      0xbf8cc07f, 0xdc308000, 0x01040000, 0xbf8c3f70,
                                                      0x4a020281, 0xdc708000, 0x00060100, 0xbf810000};

// s_branch to itself
inline const std::vector<std::uint32_t> endless{0xbf82ffff, 0xbf810000};

} // namespace kernels
