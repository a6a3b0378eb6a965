// A dispatch on its way through the shader array: a pool of threads on which the workgroups of all queues
// run, each a bounded slice at a time.
//
// A workgroup stays on the thread that started it. A thread whose workgroups all spin or sleep starts further
// ones, so that workgroups that wait for each other make progress up to what the hardware could hold at once.
#pragma once

#include "compute_units.hpp"
#include "wake.hpp"

#include <gpu/types.hpp>
#include <isa/execute.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace emu::gpu {

struct DispatchDescription {
  std::shared_ptr<const memory::AddressSpace> space;
  isa::DispatchState state;
  std::array<std::uint32_t, 3> first{};     // workgroup ids run from `first`...
  std::array<std::uint32_t, 3> end{};       // ...to before `end`
  std::array<std::uint32_t, 3> last_size{}; // threads of a workgroup at the far edge of each dimension
  std::uint32_t scratch_waves = 0;          // how many waves' scratch there is; 0: the kernel uses none
  QueueId queue = no_queue;                 // whom interrupts of its waves name
  std::uint32_t vmid = 0;
  std::uint32_t priority = 7;
  std::shared_ptr<const Places> places; // null: all
};

// Checks against what the hardware could launch: sizes, LDS, scratch. An empty string says that all is well.
std::string refuse(const DispatchDescription& description);
// Can a workgroup processor (or compute unit, as RSRC1.WGP_MODE says) hold a workgroup's vector registers?
bool registers_fit(const DispatchDescription& description);

class Dispatch {
public:
  Dispatch(DispatchDescription description, std::shared_ptr<WakeWord> done_word);

  bool done() const { return done_.load(std::memory_order_acquire); }
  // Ends all workgroups at their next slice.
  // ShaderArray::look_again() tells those who sleep.
  void cancel() { cancelled_.store(true, std::memory_order_release); }
  // After done(): why it ended early, if it did. A cancelled dispatch without a fault of its own says
  // `stopped`.
  std::optional<Fault> fault() const;
  // When it was given to the shader array.
  std::chrono::steady_clock::time_point start_time() const { return start_time_; }

private:
  friend class ShaderArray;
  // Does nothing run it for now?
  bool held() const {
    return paused_.load(std::memory_order_acquire) && !cancelled_.load(std::memory_order_acquire);
  }

  const DispatchDescription description_;
  const std::shared_ptr<WakeWord> done_word_;
  const std::chrono::steady_clock::time_point start_time_ = std::chrono::steady_clock::now();
  std::uint32_t waves_per_group_ = 0;
  std::uint32_t group_limit_ = 0; // workgroups that its places hold at once
  std::atomic<bool> done_{false};
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> paused_{false};
  std::atomic<bool> exception_told_{false}; // of its waves' first one a line was written

  // Guarded by ShaderArray::mutex_.
  std::array<std::uint32_t, 3> next_{};
  bool all_started_ = false;
  std::uint32_t outstanding_ = 0;
  std::uint32_t slices_ = 0; // that run right now
  std::size_t next_place_ = 0;
  std::vector<std::uint32_t> free_scratch_; // workgroup-sized scratch slots
  std::optional<Fault> fault_;
};

class ShaderArray {
public:
  // `interrupt` hears of s_sendmsg(MSG_INTERRUPT), on the wave's thread, without a lock. A dispatch of a user
  // queue that runs for longer than `watchdog` hangs; 0: never.
  explicit ShaderArray(std::function<void(const Interrupt&)> interrupt = {},
                       std::chrono::milliseconds watchdog = {})
      : interrupt_(std::move(interrupt)), watchdog_(watchdog) {}
  ShaderArray(const ShaderArray&) = delete;
  ShaderArray& operator=(const ShaderArray&) = delete;
  ~ShaderArray(); // cancels what runs and joins

  // `done_word` is woken when the dispatch is done. The description has passed refuse(). The caller goes on
  // to help(): a dispatch of one workgroup wakes no other thread.
  std::shared_ptr<Dispatch> start(DispatchDescription description, std::shared_ptr<WakeWord> done_word);

  // Takes a dispatch off the hardware, and returns when no wave of it runs; or puts it on again. Not to be
  // called by a thread that runs a wave.
  void pause(Dispatch& dispatch, bool on);
  // A dispatch that is paused has been cancelled.
  void look_again() { news_.notify_all(); }

  std::chrono::milliseconds watchdog() const { return watchdog_; }
  // Work items of all workgroups that ended: the pipeline statistics' CS_INVOCATIONS.
  std::uint64_t invocations() const { return invocations_.load(std::memory_order_acquire); }

  // What a thread outside of the pool runs workgroups with. Belongs to that thread; empty() before it goes.
  class Helper {
  public:
    Helper();
    ~Helper();
    bool empty() const;

  private:
    friend class ShaderArray;
    std::unique_ptr<struct ShaderWorker> worker_;
  };

  // Runs a slice of some workgroup, of `only` if given, on the calling thread. False: there was none to run.
  bool help(Helper& helper, const Dispatch* only);

private:
  using Worker = struct ShaderWorker;

  void work();
  bool take_locked(Worker& worker, const Dispatch* only);
  bool start_workgroup_locked(Worker& worker, const std::shared_ptr<Dispatch>& dispatch);
  void retire_locked(Worker& worker, std::size_t resident);
  void finish_if_last_locked(Dispatch& dispatch);
  void run_slice(Worker& worker, std::unique_lock<std::mutex>& lock);

  const std::shared_ptr<Dispatch>& candidate_locked(const Worker& worker, std::size_t index) const;

  const std::function<void(const Interrupt&)> interrupt_;
  const std::chrono::milliseconds watchdog_;
  std::atomic<std::uint64_t> invocations_{0};

  std::mutex mutex_;
  std::condition_variable news_;
  std::condition_variable slice_ended_;            // of a dispatch that is paused
  std::vector<std::shared_ptr<Dispatch>> active_;  // with workgroups that have not started; by priority
  std::vector<std::shared_ptr<Dispatch>> running_; // not done
  std::vector<std::thread> threads_;
  bool stopping_ = false;
};

// An engine's thread, on which none of the program's signal handlers run. `name`: 15 characters at most.
std::thread start_engine_thread(std::string name, std::function<void()> body);

} // namespace emu::gpu
