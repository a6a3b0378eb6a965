// PTX by hand, for sm_30 as ffmpeg's is: every driver takes it.
#pragma once

namespace cuda_test {

inline constexpr const char* kernels_ptx = R"ptx(
.version 6.0
.target sm_30
.address_size 64

.global .align 4 .u32 counter = 7;
.const .align 4 .u32 factors[4] = {1, 10, 100, 1000};
.global .align 8 .b8 scratch[64];

// out[i] = i * scale + offset
.visible .entry ramp(.param .u64 out, .param .u32 scale, .param .u32 offset, .param .u32 count)
{
  .reg .pred %p;
  .reg .u32 %r<8>;
  .reg .u64 %rd<4>;
  ld.param.u64 %rd0, [out];
  ld.param.u32 %r0, [scale];
  ld.param.u32 %r1, [offset];
  ld.param.u32 %r2, [count];
  mov.u32 %r3, %ctaid.x;
  mov.u32 %r4, %ntid.x;
  mov.u32 %r5, %tid.x;
  mad.lo.u32 %r6, %r3, %r4, %r5;
  setp.ge.u32 %p, %r6, %r2;
  @%p bra done;
  mad.lo.u32 %r7, %r6, %r0, %r1;
  cvta.to.global.u64 %rd1, %rd0;
  mul.wide.u32 %rd2, %r6, 4;
  add.u64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r7;
done:
  ret;
}

// Records where each thread is: out[linear] = ctaid.x | ctaid.y << 8 | ctaid.z << 16 | tid.z << 24
.visible .entry places(.param .u64 out)
{
  .reg .u32 %r<24>;
  .reg .u64 %rd<4>;
  ld.param.u64 %rd0, [out];
  mov.u32 %r0, %ctaid.x;
  mov.u32 %r1, %ctaid.y;
  mov.u32 %r2, %ctaid.z;
  mov.u32 %r3, %tid.x;
  mov.u32 %r4, %tid.y;
  mov.u32 %r5, %tid.z;
  mov.u32 %r6, %nctaid.x;
  mov.u32 %r7, %nctaid.y;
  mov.u32 %r8, %ntid.x;
  mov.u32 %r9, %ntid.y;
  mov.u32 %r10, %ntid.z;
  mad.lo.u32 %r11, %r2, %r7, %r1;
  mad.lo.u32 %r11, %r11, %r6, %r0;
  mul.lo.u32 %r12, %r8, %r9;
  mul.lo.u32 %r12, %r12, %r10;
  mul.lo.u32 %r11, %r11, %r12;
  mad.lo.u32 %r13, %r5, %r9, %r4;
  mad.lo.u32 %r13, %r13, %r8, %r3;
  add.u32 %r11, %r11, %r13;
  shl.b32 %r14, %r1, 8;
  shl.b32 %r15, %r2, 16;
  shl.b32 %r16, %r5, 24;
  or.b32 %r17, %r0, %r14;
  or.b32 %r17, %r17, %r15;
  or.b32 %r17, %r17, %r16;
  cvta.to.global.u64 %rd1, %rd0;
  mul.wide.u32 %rd2, %r11, 4;
  add.u64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r17;
  ret;
}

// Reverses a block through dynamic shared memory.
.extern .shared .align 4 .b8 dynamic[];
.visible .entry reverse(.param .u64 data)
{
  .reg .u32 %r<10>;
  .reg .u64 %rd<4>;
  ld.param.u64 %rd0, [data];
  cvta.to.global.u64 %rd1, %rd0;
  mov.u32 %r0, %tid.x;
  mov.u32 %r1, %ntid.x;
  mul.wide.u32 %rd2, %r0, 4;
  add.u64 %rd3, %rd1, %rd2;
  ld.global.u32 %r2, [%rd3];
  mov.u32 %r3, dynamic;
  shl.b32 %r4, %r0, 2;
  add.u32 %r5, %r3, %r4;
  st.shared.u32 [%r5], %r2;
  bar.sync 0;
  sub.u32 %r6, %r1, %r0;
  sub.u32 %r6, %r6, 1;
  shl.b32 %r6, %r6, 2;
  add.u32 %r7, %r3, %r6;
  ld.shared.u32 %r8, [%r7];
  st.global.u32 [%rd3], %r8;
  ret;
}

// *out = counter * factors[2]; counter += 1
.visible .entry use_variables(.param .u64 out)
{
  .reg .u32 %r<6>;
  .reg .u64 %rd<3>;
  ld.param.u64 %rd0, [out];
  cvta.to.global.u64 %rd1, %rd0;
  ld.global.u32 %r0, [counter];
  ld.const.u32 %r1, [factors+8];
  mul.lo.u32 %r2, %r0, %r1;
  st.global.u32 [%rd1], %r2;
  add.u32 %r3, %r0, 1;
  st.global.u32 [counter], %r3;
  ret;
}

// Parameters of many sizes: *out = a + b + c + d
.visible .entry sum(.param .u64 out, .param .u8 a, .param .u16 b, .param .u32 c, .param .u64 d)
{
  .reg .u16 %h<2>;
  .reg .u64 %rd<8>;
  .reg .u32 %r<2>;
  ld.param.u64 %rd0, [out];
  ld.param.u8 %h0, [a];
  ld.param.u16 %h1, [b];
  ld.param.u32 %r0, [c];
  ld.param.u64 %rd1, [d];
  cvt.u64.u16 %rd2, %h0;
  cvt.u64.u16 %rd3, %h1;
  cvt.u64.u32 %rd4, %r0;
  add.u64 %rd5, %rd2, %rd3;
  add.u64 %rd5, %rd5, %rd4;
  add.u64 %rd5, %rd5, %rd1;
  cvta.to.global.u64 %rd6, %rd0;
  st.global.u64 [%rd6], %rd5;
  ret;
}

.visible .entry small_blocks(.param .u64 out)
.maxntid 64, 1, 1
{
  .reg .u64 %rd<2>;
  .reg .u32 %r<2>;
  ld.param.u64 %rd0, [out];
  cvta.to.global.u64 %rd1, %rd0;
  mov.u32 %r0, 1;
  st.global.u32 [%rd1], %r0;
  ret;
}

.visible .entry nothing()
{
  ret;
}
)ptx";

} // namespace cuda_test
