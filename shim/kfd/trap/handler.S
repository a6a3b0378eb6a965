// The trap handler of the process's waves: tells the host why a wave can go no further, and halts it.
//
// Entered from KFD's own handler (amdkfd/cwsr_trap_handler_gfx10.asm), which has left
//   ttmp[0:1]    PC; above bit 48 the number of the s_trap, 0 for an exception
//   ttmp12       STATUS
//   ttmp[14:15]  the address of the table: of each queue, by its doorbell, the amd_signal_t to raise (0: none)
// The signal gets a word as from the packet processor's firmware (QueueErrorBits of ../queue_error.hpp), then its
// event is raised as the end of a packet raises it. What the wave computed is lost, so its registers are free.
//
// No atomic operation: the signal is host memory, and PCI Express has no OR. Of several waves the last one counts.

#ifdef __GFX11__
#define LOAD_DWORD s_load_b32
#define LOAD_DWORDX2 s_load_b64
#define STORE_DWORDX2 global_store_b64
#else
#define LOAD_DWORD s_load_dword
#define LOAD_DWORDX2 s_load_dwordx2
#define STORE_DWORDX2 global_store_dwordx2
#endif

// amd_signal_t
#define VALUE 8
#define EVENT_MAILBOX 16
#define EVENT_ID 24

#define STATUS_HALT_BIT 13
#define TRAPSTS_MEMORY_VIOLATION_BIT 8
#define TRAPSTS_ILLEGAL_INSTRUCTION_BIT 11

#define ERROR_MEMORY_VIOLATION_BIT 29
#define ERROR_ILLEGAL_INSTRUCTION_BIT 30
#define ERROR_TRAP_BIT 31

  .text
trap_handler:
  // What is on its way into registers comes first.
  s_waitcnt 0
  s_waitcnt_vscnt null, 0

  // The error: the trap's number stays where ttmp1 has it, in bits 16 to 23.
  s_and_b32 ttmp2, ttmp1, 0xff0000
  s_getreg_b32 ttmp3, hwreg(HW_REG_TRAPSTS)
  s_bitcmp1_b32 ttmp3, TRAPSTS_MEMORY_VIOLATION_BIT
  s_cbranch_scc0 no_memory_violation
  s_bitset1_b32 ttmp2, ERROR_MEMORY_VIOLATION_BIT
no_memory_violation:
  s_bitcmp1_b32 ttmp3, TRAPSTS_ILLEGAL_INSTRUCTION_BIT
  s_cbranch_scc0 no_illegal_instruction
  s_bitset1_b32 ttmp2, ERROR_ILLEGAL_INSTRUCTION_BIT
no_illegal_instruction:
  s_and_b32 ttmp3, ttmp2, (1 << ERROR_MEMORY_VIOLATION_BIT) | (1 << ERROR_ILLEGAL_INSTRUCTION_BIT)
  s_cbranch_scc1 find_signal
  s_bitset1_b32 ttmp2, ERROR_TRAP_BIT

find_signal:
#ifdef __GFX11__
  s_sendmsg_rtn_b32 ttmp3, sendmsg(MSG_RTN_GET_DOORBELL)
  s_waitcnt lgkmcnt(0)
#else
  // The answer comes in EXEC.
  s_mov_b32 exec_lo, 0x80000000
  s_sendmsg sendmsg(MSG_GET_DOORBELL)
no_answer:
  s_nop 7
  s_bitcmp0_b32 exec_lo, 31
  s_cbranch_scc0 no_answer
  s_mov_b32 ttmp3, exec_lo
#endif
  s_and_b32 ttmp3, ttmp3, 0x3ff
  s_lshl_b32 ttmp3, ttmp3, 3
  LOAD_DWORDX2 ttmp[4:5], ttmp[14:15], ttmp3 glc
  s_waitcnt lgkmcnt(0)
  s_cmp_eq_u64 ttmp[4:5], 0
  s_cbranch_scc1 halt

  LOAD_DWORDX2 ttmp[14:15], ttmp[4:5], EVENT_MAILBOX glc
  LOAD_DWORD ttmp3, ttmp[4:5], EVENT_ID glc
  s_mov_b32 exec_hi, 0
  s_mov_b32 exec_lo, 1
  v_mov_b32 v0, 0
  v_mov_b32 v1, ttmp2
  v_mov_b32 v2, 0
  STORE_DWORDX2 v0, v[1:2], ttmp[4:5] offset:VALUE glc slc dlc
  s_waitcnt 0
  s_waitcnt_vscnt null, 0
  v_mov_b32 v1, ttmp3
  STORE_DWORDX2 v0, v[1:2], ttmp[14:15] glc slc dlc
  s_waitcnt_vscnt null, 0
  s_mov_b32 m0, ttmp3
  s_nop 0
  s_sendmsg sendmsg(MSG_INTERRUPT)

halt:
  // Halted at a loop of its own: a wave that is halted at s_endpgm cannot be saved when its queue is preempted.
  s_bitset1_b32 ttmp12, STATUS_HALT_BIT
  s_getpc_b64 ttmp[0:1]
behind_getpc:
  s_add_u32 ttmp0, ttmp0, parked - behind_getpc
  s_addc_u32 ttmp1, ttmp1, 0
  s_setreg_b32 hwreg(HW_REG_STATUS), ttmp12
  s_rfe_b64 ttmp[0:1]

parked:
  s_sleep 127
  s_branch parked

  // Instructions are fetched ahead.
  .rept 64
  s_code_end
  .endr
