// amdgpu contexts: the queues of submissions of a drm file, one for every ring of a context that was used.
//
// A ring runs its jobs in order on a thread of its own, which exists while the ring has work.
#pragma once

#include "drm_uapi.hpp"
#include "fence.hpp"
#include "machine.hpp"
#include "vm.hpp"

#include <gpu/gpu.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace emu::kernel {

inline constexpr unsigned sched_jobs = 32; // amdgpu_sched_jobs: submissions of a ring that may be pending
inline constexpr unsigned hardware_ip_kinds = 10; // AMDGPU_HW_IP_NUM

// Rings of a context for a kind of engine; 0 where this card has no such engine but the kernel knows the
// kind, and -EINVAL beyond.
int rings_of(std::uint32_t ip_type);

// Is the CAP_* effective in this process?
bool has_capability(unsigned capability);

// What the jobs of a drm file share.
struct VmState {
  VmState() : id(Machine::get().new_fence_context()) {}
  const std::uint64_t id;          // of its VM, in reservation objects
  std::mutex submit_mutex;         // orders submissions
  std::mutex mutex;                // guards what follows
  std::uint64_t fault_address = 0; // AMDGPU_INFO_GPUVM_FAULT
  std::uint32_t fault_status = 0;
  Payload users; // last fence of every ring: what VM_ALWAYS_VALID buffers wait for

  // What is unmapped now goes when the jobs that were submitted before are done. A batch for Vm; 0: there are
  // none.
  Vm::Batch retire();
  // Lets go of what was unmapped behind jobs that are done by now.
  void finish_retired(Vm& vm);
  // Does the batch still wait for its jobs?
  bool is_retired(Vm::Batch batch);

private:
  struct Pending {
    Payload users;
    Vm::Batch batch;
  };
  std::vector<Pending> retired_;
  Vm::Batch next_batch_ = 1;
};

// The state of a context that its jobs may outlive.
struct ContextState {
  const std::uint64_t id = Machine::get().new_fence_context(); // unique in the machine
  std::atomic<bool> guilty{false};
  const std::uint32_t resets_at_birth = Machine::get().reset_count();
  std::atomic<std::uint32_t> resets_told{resets_at_birth}; // at the last QUERY_STATE
};

struct Job {
  std::uint32_t ip_type = 0;
  std::vector<gpu::IndirectBuffer> ibs;
  Payload dependencies; // plain fences
  FenceRef scheduled;   // signals when the job starts
  FenceRef finished;    // signals when it is done
  std::shared_ptr<Vm> vm;
  std::shared_ptr<VmState> vm_state;
  std::shared_ptr<ContextState> context;
  std::vector<std::shared_ptr<BufferObject>> buffers; // kept alive
  std::shared_ptr<BufferObject> user_fence;           // null: none
  std::uint64_t user_fence_offset = 0;
  std::uint64_t sequence = 0;
};

// One ring of a context (a drm_sched_entity).
class ContextRing : public std::enable_shared_from_this<ContextRing> {
public:
  // Makes the fences of a job; the caller hands it to push() in the same order.
  bool valid() const { return finished_.valid() && scheduled_.valid(); }
  void issue_fences(Job& job);
  // Takes the job, and its place in the ring's numbering: the sequence number that user space sees.
  void push(Job job);
  std::uint64_t record(const FenceRef& fence);

  // amdgpu_ctx_get_fence: EINVAL where there was no such submission; a signaled fence where it is long over.
  int fence(std::uint64_t sequence, FenceRef& out);
  // The fence that says that the job of a finished fence has started: both count alike.
  FenceRef scheduled_fence_of(const FenceRef& finished) const;
  // Blocks until another submission may be queued.
  void wait_for_room();
  // drm_sched_entity_error: how the last job ended.
  int error() const { return error_.load(); }

  // The context goes: gives pending jobs a second, then cancels them. A job that runs goes on to its end.
  void close();

  // Was it made before this process was forked off? Then it is the parent's, and its thread and locks are not
  // here.
  bool is_parents() const { return generation_ != Machine::get().fork_generation(); }

private:
  void loop();
  void run(Job& job);
  int execute(const Job& job);

  const std::uint32_t generation_ = Machine::get().fork_generation();
  FenceTimeline finished_, scheduled_;
  std::atomic<std::uint64_t> scheduled_behind_{0}; // sequence of a finished fence - that of its scheduled one
  std::atomic<std::uint32_t> scheduled_slot_{FenceRef::no_slot};
  std::atomic<int> error_{0};
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> stop_{false};

  std::mutex mutex_;
  std::condition_variable filled_, idle_;
  std::deque<Job> jobs_;
  bool running_ = false; // is there a thread?
  std::uint64_t next_sequence_ = 1;
  FenceRef fences_[sched_jobs];
};

class Context {
public:
  Context() : state(std::make_shared<ContextState>()) {}
  ~Context();

  // amdgpu_ctx_get_entity; negative errno. Of an engine that is not there 6.12 has a ring all the same, to
  // which nothing can be submitted, and 7.2 has none: EINVAL.
  int ring(std::uint32_t ip_type, std::uint32_t instance, std::uint32_t ring,
           std::shared_ptr<ContextRing>& out);

  const std::shared_ptr<ContextState> state;

private:
  std::mutex mutex_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::shared_ptr<ContextRing>> rings_;
};

class ContextTable {
public:
  std::uint32_t add(std::shared_ptr<Context> context);
  std::shared_ptr<Context> find(std::uint32_t id);
  // Null where there is none.
  std::shared_ptr<Context> remove(std::uint32_t id);
  void clear();

private:
  std::mutex mutex_;
  std::map<std::uint32_t, std::shared_ptr<Context>> contexts_;
};

} // namespace emu::kernel
