// Global wave sync: the instructions. A wave that has to wait executes its instruction again in its next
// turn.
#include "gws.hpp"

#include <bit>

#include "group.hpp"

namespace emu::isa {

void GlobalWaveSync::initialise(unsigned resource, std::uint32_t count) {
  std::lock_guard lock(mutex_);
  at(resource).counter = count;
}

bool GlobalWaveSync::pass(unsigned resource, std::uint32_t count, Wait& wait) {
  std::lock_guard lock(mutex_);
  Resource& r = at(resource);
  if (wait.waits) {
    wait.waits = r.round == wait.round;
  } else if (r.counter > 0) {
    --r.counter;
    wait = {true, r.round};
  } else {
    ++r.round;
    r.counter = count;
  }
  return !wait.waits;
}

bool GlobalWaveSync::acquire(unsigned resource, Wait& wait) {
  std::lock_guard lock(mutex_);
  Resource& r = at(resource);
  const bool go = r.counter > 0;
  r.counter -= go;
  r.waiting += !go;
  r.waiting -= wait.waits;
  wait.waits = !go;
  return go;
}

void GlobalWaveSync::release(unsigned resource, std::uint32_t count) {
  std::lock_guard lock(mutex_);
  at(resource).counter += count;
}

void GlobalWaveSync::release_all(unsigned resource) {
  std::lock_guard lock(mutex_);
  at(resource).counter = at(resource).waiting;
}

namespace {

using u32 = std::uint32_t;

// M0[21:16] plus the offset.
unsigned resource_of(const Wave& wave, const Instruction& in) {
  return (wave.m0() >> 16) + static_cast<u32>(in.offset);
}

// Null after raising: the queue has none.
GlobalWaveSync* sync_of(Wave& wave, const Instruction& in) {
  GlobalWaveSync* sync = wave.group->global_wave_sync;
  if (!sync)
    wave.group->raise_violation(wave, resource_of(wave, in), "the queue has no global wave sync");
  return sync;
}

// Of the first active lane.
u32 count_of(const Wave& wave, const Instruction& in) {
  const std::uint64_t exec = wave.exec();
  return wave.vgpr[in.src[0].index][exec == 0 ? 0 : std::countr_zero(exec)];
}

void again(Wave& wave) {
  wave.pc = wave.current_pc;
  wave.event = WaveEvent::yield;
}

} // namespace

void ds_gws_init(Wave& wave, const Instruction& in) {
  if (GlobalWaveSync* sync = sync_of(wave, in))
    sync->initialise(resource_of(wave, in), count_of(wave, in));
}

void ds_gws_barrier(Wave& wave, const Instruction& in) {
  GlobalWaveSync* sync = sync_of(wave, in);
  if (sync && !sync->pass(resource_of(wave, in), count_of(wave, in), wave.gws_wait))
    again(wave);
}

void ds_gws_sema_p(Wave& wave, const Instruction& in) {
  GlobalWaveSync* sync = sync_of(wave, in);
  if (sync && !sync->acquire(resource_of(wave, in), wave.gws_wait))
    again(wave);
}

void ds_gws_sema_v(Wave& wave, const Instruction& in) {
  if (GlobalWaveSync* sync = sync_of(wave, in))
    sync->release(resource_of(wave, in), 1);
}

void ds_gws_sema_br(Wave& wave, const Instruction& in) {
  if (GlobalWaveSync* sync = sync_of(wave, in))
    sync->release(resource_of(wave, in), count_of(wave, in));
}

void ds_gws_sema_release_all(Wave& wave, const Instruction& in) {
  if (GlobalWaveSync* sync = sync_of(wave, in))
    sync->release_all(resource_of(wave, in));
}

} // namespace emu::isa
