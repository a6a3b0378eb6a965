// Special registers (PTX ISA, "Special Registers").
#include <jit/compiler.hpp>

#include "families.hpp"

namespace shim::jit {

namespace Intrinsic = llvm::Intrinsic;

namespace {

constexpr unsigned most_warps = 32;    // 1024 threads
constexpr unsigned shader_engines = 8; // what HW_ID1 can count, for %nsmid
constexpr unsigned wgps = 16;
constexpr unsigned shader_arrays = 2;
constexpr unsigned hw_id1 = 23; // hwreg number, gfx10 and later
constexpr std::uint64_t realtime_period_ns = 10;

Value* intrinsic(Emitter& e, Intrinsic::ID id) {
  return e.call(id, {}, {});
}

Value* thread_index(Emitter& e, unsigned axis) {
  static constexpr Intrinsic::ID ids[] = {Intrinsic::amdgcn_workitem_id_x, Intrinsic::amdgcn_workitem_id_y,
                                          Intrinsic::amdgcn_workitem_id_z};
  return intrinsic(e, ids[axis]);
}

Value* block_index(Emitter& e, unsigned axis) {
  static constexpr Intrinsic::ID ids[] = {Intrinsic::amdgcn_workgroup_id_x, Intrinsic::amdgcn_workgroup_id_y,
                                          Intrinsic::amdgcn_workgroup_id_z};
  return intrinsic(e, ids[axis]);
}

Value* block_threads(Emitter& e, unsigned axis) {
  return e.implicit_field(offsetof(ImplicitArguments, block_threads) + 4 * axis, e.b.getInt32Ty());
}

Value* grid_blocks(Emitter& e, unsigned axis) {
  return e.implicit_field(offsetof(ImplicitArguments, grid_blocks) + 4 * axis, e.b.getInt32Ty());
}

// Bits [offset, offset + width) of a hardware register.
Value* hardware_register(Emitter& e, unsigned id, unsigned offset, unsigned width) {
  return e.call(Intrinsic::amdgcn_s_getreg, {}, {e.b.getInt32(id | offset << 6 | (width - 1) << 11)});
}

// Unique among the compute units of a device, with gaps, as PTX allows.
Value* multiprocessor(Emitter& e) {
  Value* wgp = hardware_register(e, hw_id1, 10, 4);
  Value* array = hardware_register(e, hw_id1, 16, 1);
  Value* engine = hardware_register(e, hw_id1, 18, 3);
  Value* high = e.b.CreateAdd(e.b.CreateMul(engine, e.b.getInt32(shader_arrays)), array);
  return e.b.CreateAdd(e.b.CreateMul(high, e.b.getInt32(wgps)), wgp);
}

Value* clock(Emitter& e) {
  if (e.module().gfx().major >= 11)
    return intrinsic(e, Intrinsic::readsteadycounter);
  return intrinsic(e, Intrinsic::amdgcn_s_memtime);
}

Value* global_timer(Emitter& e) {
  Value* ticks = e.module().gfx().major >= 11 ? intrinsic(e, Intrinsic::readsteadycounter)
                                              : intrinsic(e, Intrinsic::amdgcn_s_memrealtime);
  return e.b.CreateMul(ticks, e.b.getInt64(realtime_period_ns));
}

Value* high_word(Emitter& e, Value* wide) {
  return e.b.CreateTrunc(e.b.CreateLShr(wide, 32), e.b.getInt32Ty());
}
Value* low_word(Emitter& e, Value* wide) {
  return e.b.CreateTrunc(wide, e.b.getInt32Ty());
}

Value* lane_mask(Emitter& e, std::string_view relation) {
  Value* bit = e.b.CreateShl(e.b.getInt32(1), e.lane());
  Value* below = e.b.CreateSub(bit, e.b.getInt32(1));
  if (relation == "eq")
    return bit;
  if (relation == "lt")
    return below;
  if (relation == "le")
    return e.b.CreateOr(below, bit);
  if (relation == "ge")
    return e.b.CreateNot(below);
  if (relation == "gt")
    return e.b.CreateNot(e.b.CreateOr(below, bit));
  return nullptr;
}

Value* dynamic_shared(Emitter& e) {
  return e.implicit_field(offsetof(ImplicitArguments, dynamic_shared_bytes), e.b.getInt32Ty());
}

Value* scalar(Emitter& e, std::string_view name) {
  if (name == "laneid")
    return e.lane();
  if (name == "warpid")
    return e.b.CreateLShr(e.flat_thread(), 5);
  if (name == "nwarpid")
    return e.b.getInt32(most_warps);
  if (name == "smid")
    return multiprocessor(e);
  if (name == "nsmid")
    return e.b.getInt32(shader_engines * shader_arrays * wgps);
  if (name == "gridid")
    return e.implicit_field(offsetof(ImplicitArguments, grid_id), e.b.getInt64Ty());
  if (name == "clock")
    return low_word(e, clock(e));
  if (name == "clock_hi")
    return high_word(e, clock(e));
  if (name == "clock64")
    return clock(e);
  if (name == "globaltimer")
    return global_timer(e);
  if (name == "globaltimer_lo")
    return low_word(e, global_timer(e));
  if (name == "globaltimer_hi")
    return high_word(e, global_timer(e));
  if (name == "dynamic_smem_size")
    return dynamic_shared(e);
  if (name == "total_smem_size")
    return e.b.CreateAdd(dynamic_shared(e), e.b.getInt32(e.module().static_shared_bytes()));
  if (name.starts_with("lanemask_"))
    return lane_mask(e, name.substr(9));
  // Nothing ever sets these: environment registers belong to tools.
  if (name.starts_with("envreg"))
    return e.b.getInt32(0);
  return nullptr;
}

} // namespace

Value* Emitter::lane() {
  Value* low = call(Intrinsic::amdgcn_mbcnt_lo, {}, {b.getInt32(~0u), b.getInt32(0)});
  return low; // wave32: the high half counts nothing
}

Value* Emitter::flat_thread() {
  Value* row =
      b.CreateAdd(b.CreateMul(thread_index(*this, 2), block_threads(*this, 1)), thread_index(*this, 1));
  return b.CreateAdd(b.CreateMul(row, block_threads(*this, 0)), thread_index(*this, 0));
}

Value* Emitter::special_register(std::string_view name) {
  const std::string_view whole = name;
  name.remove_prefix(1);
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) {
    if (Value* value = scalar(*this, name))
      return value;
  } else if (dot + 2 == name.size()) {
    const std::size_t axis = std::string_view("xyz").find(name[dot + 1]);
    const std::string_view base = name.substr(0, dot);
    if (axis != std::string_view::npos) {
      if (base == "tid")
        return thread_index(*this, static_cast<unsigned>(axis));
      if (base == "ntid")
        return block_threads(*this, static_cast<unsigned>(axis));
      if (base == "ctaid")
        return block_index(*this, static_cast<unsigned>(axis));
      if (base == "nctaid")
        return grid_blocks(*this, static_cast<unsigned>(axis));
    }
  }
  fail(fmt::format("unknown register `{}`", whole));
}

} // namespace shim::jit
