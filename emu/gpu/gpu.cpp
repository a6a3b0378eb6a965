#include <gpu/gpu.hpp>
#include <gpu/segv.hpp>
#include <memory/access_section.hpp>

#include "pm4.hpp"
#include "sdma.hpp"
#include "user_queue.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <thread>
#include <utility>

#include <fmt/format.h>

namespace emu::gpu {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr unsigned steps_per_turn = 8;
constexpr auto spin_time = 100us;       // how long the command processor looks at memory before it sleeps
constexpr auto store_patience = 5ms;    // how long a store that faulted may take to come again
constexpr auto min_poll = 10us;         // a queue that waits for memory is looked at after this, doubling...
constexpr auto max_poll = 200us;        // ...up to this
constexpr auto unwatched_poll = 1ms;    // idle queues whose doorbells no one has made known
constexpr auto running_poll = 1ms;      // kernels that run may ring doorbells, and may run for too long
constexpr std::uint32_t ib_flag_ce = 1; // AMDGPU_IB_FLAG_CE

std::chrono::milliseconds watchdog_wanted() {
  const char* text = std::getenv("CUDA_SHIM_EMU_WATCHDOG");
  if (!text || !*text)
    return 0ms;
  std::chrono::milliseconds::rep count = 0;
  const char* end = text + std::strlen(text);
  const auto [stopped, error] = std::from_chars(text, end, count);
  if (error == std::errc{} && stopped == end && count >= 0)
    return std::chrono::milliseconds(count);
  complain(fmt::format("CUDA_SHIM_EMU_WATCHDOG={} is no number of milliseconds; no watchdog", text));
  return 0ms;
}

// No sched_yield(): on a busy machine it gives milliseconds away, and the spin is bounded as it is.
void relax() {
  for (int i = 0; i < 32; ++i)
    __builtin_ia32_pause();
}

} // namespace

// What ends a submission early.
struct Limits {
  const std::atomic<bool>& stop;
  std::optional<Clock::time_point> deadline;
};

struct Gpu::Implementation {
  Implementation(Callbacks to, std::chrono::milliseconds watchdog)
      : callbacks(std::move(to)), shaders(callbacks.interrupt, watchdog) {}

  const Callbacks callbacks;
  const std::shared_ptr<WakeWord> wake = std::make_shared<WakeWord>();
  ShaderArray shaders;

  std::mutex mutex;
  std::map<QueueId, std::shared_ptr<UserQueue>> queues;
  std::uint64_t version = 0; // of `queues`
  std::size_t watched = 0;   // doorbell mappings that are guarded
  bool unwatched = false;    // some mapping could not be guarded
  bool stopping = false;
  isa::TrapHandler trap_handler;
  std::thread command_processor;

  std::shared_ptr<UserQueue> find(QueueId id) {
    std::lock_guard lock(mutex);
    const auto found = queues.find(id);
    return found == queues.end() ? nullptr : found->second;
  }
  void serve();
  Step serve_queue(UserQueue& queue);
  std::optional<Fault> run(const Submission& submission, const std::atomic<bool>& stop);
  template <class Engine>
  std::optional<Fault> drive(Engine& engine, EngineContext& context, const Limits& limits);
};

// Several steps of one queue, then what they raised, with no lock held.
Step Gpu::Implementation::serve_queue(UserQueue& queue) {
  Step result = Step::idle;
  bool progressed = false;
  std::vector<Interrupt> interrupts;
  std::optional<Fault> fault;
  {
    std::lock_guard lock(queue.mutex);
    if (queue.destroyed)
      return Step::idle;
    for (unsigned i = 0; i < steps_per_turn; ++i) {
      result = queue.step();
      if (result != Step::progressed)
        break;
      progressed = true;
    }
    interrupts = queue.take_interrupts();
    fault = queue.take_fault();
  }
  for (const Interrupt& interrupt : interrupts)
    if (callbacks.interrupt)
      callbacks.interrupt(interrupt);
  if (fault && callbacks.fault)
    callbacks.fault(*fault);
  return progressed ? Step::progressed : result;
}

void Gpu::Implementation::serve() {
  std::vector<std::shared_ptr<UserQueue>> serving;
  std::uint64_t serving_version = ~0ull;
  auto last_progress = Clock::now();
  auto poll = std::chrono::microseconds(min_poll);
  bool armed = false;
  bool rung = false; // the word changed while armed, and no queue has had work since
  std::uint32_t last_seen = wake->value();
  ShaderArray::Helper helper;
  for (;;) {
    const std::uint32_t seen = wake->value();
    // A fault may have taken the guards down, and the store that faulted may come later than the look at its
    // doorbell that follows: wherever the word changed, they are armed anew before anyone sleeps.
    if (std::exchange(last_seen, seen) != seen) {
      rung = std::exchange(armed, false);
      last_progress = Clock::now();
      poll = min_poll;
    }
    bool all_watched = false;
    {
      std::lock_guard lock(mutex);
      if (stopping)
        return;
      if (serving_version != version) {
        serving.clear();
        for (const auto& [id, queue] : queues)
          serving.push_back(queue);
        serving_version = version;
      }
      all_watched = watched > 0 && !unwatched;
    }
    if (serving.empty()) {
      if (!shaders.help(helper, nullptr)) // workgroups of a queue that is being destroyed
        wake->wait(seen, std::nullopt);
      continue;
    }
    bool progressed = false;
    bool blocked = false;
    bool running = false;
    for (const auto& queue : serving) {
      const Step step = serve_queue(*queue);
      progressed = progressed || step == Step::progressed;
      blocked = blocked || step == Step::blocked;
      running = running || step == Step::waiting;
    }
    if (shaders.help(helper, nullptr))
      progressed = true;
    const auto now = Clock::now();
    if (progressed) {
      rung = false;
      last_progress = now;
      poll = min_poll;
      continue;
    }
    if (now - last_progress < spin_time) {
      relax();
      continue;
    }
    // Armed again before the store that faulted has been repeated, the page would only make it fault once
    // more: on a busy machine again and again. Asleep we leave its thread the core.
    if (!armed && all_watched && rung && now - last_progress < store_patience) {
      wake->wait(seen, poll);
      poll = std::min<std::chrono::microseconds>(poll * 2, max_poll);
      continue;
    }
    if (!armed && all_watched) {
      // A store before the arming is seen by the pass that follows; one after it faults and wakes.
      arm_guards(wake->word());
      armed = true;
      continue;
    }
    std::optional<std::chrono::microseconds> timeout;
    if (blocked)
      timeout = poll;
    else if (running)
      timeout = running_poll;
    else if (!all_watched)
      timeout = unwatched_poll;
    wake->wait(seen, timeout);
    poll = std::min<std::chrono::microseconds>(poll * 2, max_poll);
  }
}

namespace {

template <class Engine>
Step step_of(Engine& engine) {
  const memory::AccessSection section;
  return engine.step();
}

} // namespace

template <class Engine>
std::optional<Fault> Gpu::Implementation::drive(Engine& engine, EngineContext& context,
                                                const Limits& limits) {
  // Decoded code outlives the submission; a workgroup does not.
  thread_local ShaderArray::Helper helper;
  auto poll = std::chrono::microseconds(min_poll);
  for (;;) {
    const std::uint32_t seen = context.wake->value();
    const bool overdue = limits.deadline && Clock::now() > *limits.deadline;
    if (overdue || limits.stop.load(std::memory_order_acquire)) {
      if constexpr (requires { engine.cancel(); }) {
        engine.cancel();
        while (engine.busy())
          if (!shaders.help(helper, engine.dispatch()))
            context.wake->wait(context.wake->value(), 1ms);
      }
      if (!overdue)
        return Fault{FaultKind::stopped, no_queue, {}, 0, "stopped by its owner"};
      return Fault{
          FaultKind::hang, no_queue, {}, 0, fmt::format("not done after {} ms", shaders.watchdog().count())};
    }
    switch (step_of(engine)) {
    case Step::progressed:
      poll = min_poll;
      break;
    case Step::idle:
      return std::nullopt;
    case Step::waiting:
      if constexpr (requires { engine.dispatch(); })
        if (shaders.help(helper, engine.dispatch()))
          break;
      context.wake->wait(seen, 1ms); // the limit is for `stop`
      break;
    case Step::blocked:
      context.wake->wait(seen, poll);
      poll = std::min<std::chrono::microseconds>(poll * 2, max_poll);
      break;
    }
  }
}

std::optional<Fault> Gpu::Implementation::run(const Submission& submission, const std::atomic<bool>& stop) {
  EngineContext context{.space = submission.space,
                        .apertures = submission.apertures,
                        .vmid = submission.vmid,
                        .shaders = &shaders,
                        .wake = std::make_shared<WakeWord>(),
                        .places = all_places()};
  Limits limits{stop, std::nullopt};
  if (shaders.watchdog() != 0ms)
    limits.deadline = Clock::now() + shaders.watchdog();
  std::optional<Pm4> pm4;
  std::optional<Sdma> sdma;
  if (submission.ring == Ring::dma)
    sdma.emplace(context);
  else
    pm4.emplace(context, submission.ring == Ring::graphics ? Pm4Kind::graphics : Pm4Kind::compute);
  for (const IndirectBuffer& ib : submission.ibs) {
    std::optional<Fault> fault;
    if (sdma) {
      sdma->push_ib(ib.va, ib.dwords);
      fault = drive(*sdma, context, limits);
    } else {
      pm4->on_constant_engine(submission.ring == Ring::graphics && ib.flags & ib_flag_ce);
      pm4->push_ib(ib.va, ib.dwords);
      fault = drive(*pm4, context, limits);
    }
    if (fault)
      return fault;
  }
  return std::nullopt;
}

Gpu::Gpu(Callbacks callbacks, std::optional<std::chrono::milliseconds> watchdog)
    : implementation_(
          std::make_unique<Implementation>(std::move(callbacks), watchdog ? *watchdog : watchdog_wanted())) {}

Gpu::~Gpu() {
  Implementation& i = *implementation_;
  std::vector<QueueId> ids;
  {
    std::lock_guard lock(i.mutex);
    for (const auto& [id, queue] : i.queues)
      ids.push_back(id);
  }
  for (QueueId id : ids)
    destroy_queue(id);
  {
    std::lock_guard lock(i.mutex);
    i.stopping = true;
  }
  i.wake->wake();
  if (i.command_processor.joinable())
    i.command_processor.join();
}

QueueId Gpu::create_queue(const QueueDescription& description) {
  Implementation& i = *implementation_;
  std::lock_guard lock(i.mutex);
  QueueId id = 0;
  while (i.queues.contains(id))
    ++id;
  i.queues.emplace(id, make_user_queue(id, description, i.trap_handler, i.shaders, i.wake));
  ++i.version;
  if (!i.command_processor.joinable())
    i.command_processor = start_engine_thread("kfd-emu cp", [&i] { i.serve(); });
  i.wake->wake();
  return id;
}

bool Gpu::update_queue(QueueId id, const QueueUpdate& update) {
  const std::shared_ptr<UserQueue> queue = implementation_->find(id);
  if (!queue)
    return false;
  {
    std::lock_guard lock(queue->mutex);
    queue->update(update);
  }
  implementation_->wake->wake();
  return true;
}

bool Gpu::set_cu_mask(QueueId id, std::vector<std::uint32_t> cu_mask) {
  const std::shared_ptr<UserQueue> queue = implementation_->find(id);
  if (!queue)
    return false;
  std::lock_guard lock(queue->mutex);
  queue->set_cu_mask(cu_mask);
  return true;
}

bool Gpu::set_global_wave_sync(QueueId id, bool on) {
  const std::shared_ptr<UserQueue> queue = implementation_->find(id);
  if (!queue)
    return false;
  std::lock_guard lock(queue->mutex);
  queue->set_global_wave_sync(on);
  return true;
}

bool Gpu::destroy_queue(QueueId id) {
  Implementation& i = *implementation_;
  std::shared_ptr<UserQueue> queue;
  {
    std::lock_guard lock(i.mutex);
    const auto found = i.queues.find(id);
    if (found == i.queues.end())
      return false;
    queue = std::move(found->second);
    i.queues.erase(found);
    ++i.version;
  }
  {
    std::lock_guard lock(queue->mutex);
    queue->destroyed = true; // no one steps it any more
    queue->cancel();
  }
  i.shaders.look_again();
  i.wake->wake(); // a kernel that nobody runs, for want of compute units, is ended by the command processor
  // Without the lock: the command processor may hold workgroups of it, and has to come round to them.
  for (;;) {
    const std::uint32_t seen = i.wake->value();
    if (!queue->busy())
      break;
    i.wake->wait(seen, 1ms);
  }
  i.wake->wake(); // the command processor lets go of it
  return true;
}

void Gpu::set_trap_handler(GpuAddress code, GpuAddress memory) {
  implementation_->trap_handler.memory.store(memory, std::memory_order_release);
  implementation_->trap_handler.code.store(code, std::memory_order_release);
}

void Gpu::watch_doorbells(void* base, std::size_t size) {
  Implementation& i = *implementation_;
  const bool guarded = add_guard(base, size, i.wake->word());
  {
    std::lock_guard lock(i.mutex);
    if (guarded)
      ++i.watched;
    else
      i.unwatched = true;
  }
  i.wake->wake();
}

void Gpu::forget_doorbells(void* base, std::size_t size) {
  Implementation& i = *implementation_;
  const std::size_t removed = remove_guard(base, size);
  {
    std::lock_guard lock(i.mutex);
    i.watched -= std::min(removed, i.watched);
  }
  i.wake->wake();
}

void Gpu::kick() {
  Implementation& i = *implementation_;
  {
    std::lock_guard lock(i.mutex);
    for (const auto& [id, queue] : i.queues)
      queue->kick();
  }
  i.wake->wake();
}

std::optional<Fault> Gpu::submit(const Submission& submission, const std::atomic<bool>& stop) {
  static constexpr const char* names[] = {"graphics", "compute", "DMA"};
  std::optional<Fault> fault;
  try {
    fault = implementation_->run(submission, stop);
  } catch (Stop& stopped) {
    fault = std::move(stopped.fault);
  }
  if (fault)
    fault->vmid = submission.vmid;
  if (fault && fault->kind != FaultKind::stopped)
    complain(fmt::format("{} submission (VMID {}): {}: {}", names[static_cast<unsigned>(submission.ring)],
                         fault->vmid, to_string(fault->kind), fault->text));
  return fault;
}

} // namespace emu::gpu
