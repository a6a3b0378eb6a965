#include "dispatch.hpp"

#include <memory/access_section.hpp>

#include <algorithm>
#include <csignal>

#include <fmt/format.h>
#include <pthread.h>

#include "engine.hpp"

namespace emu::gpu {

namespace {

constexpr std::uint64_t slice_instructions = 20'000;
constexpr std::uint64_t helper_slice_instructions = 4'000; // a helper has other things to do
constexpr std::uint32_t max_group_threads = 1024;
constexpr std::uint32_t max_group_lds = 64 * 1024;
constexpr std::uint32_t max_resident_waves = 36 * waves_per_wgp; // what navi21 can hold at once
constexpr std::uint32_t simd_registers = 1024;                   // of 32 lanes
constexpr std::uint32_t max_simd_waves = 16;
constexpr unsigned wgp_mode_bit = 29; // of COMPUTE_PGM_RSRC1
constexpr std::uint32_t normal_priority = 7;
constexpr std::size_t turns_of_all_priorities = 8; // every so many picks look at priority no more
constexpr std::size_t slices_before_growth = 4;
constexpr std::size_t spare_executions = 4;

std::uint32_t waves_of(const DispatchDescription& d) {
  const std::uint32_t threads = d.state.group_size[0] * d.state.group_size[1] * d.state.group_size[2];
  const std::uint32_t lanes = d.state.wave32 ? 32 : 64;
  return (threads + lanes - 1) / lanes;
}

FaultKind kind_of(isa::FaultKind kind) {
  switch (kind) {
  case isa::FaultKind::page_fault:
    return FaultKind::page_fault;
  case isa::FaultKind::memory_violation:
    return FaultKind::memory_violation;
  case isa::FaultKind::trap:
    return FaultKind::trap;
  case isa::FaultKind::aborted:
    return FaultKind::stopped;
  case isa::FaultKind::none:
  case isa::FaultKind::illegal_instruction:
    break;
  }
  return FaultKind::illegal_instruction;
}

Fault fault_of(const isa::Fault& from, const DispatchDescription& d, const isa::WorkgroupPosition& at) {
  Fault fault{kind_of(from.kind), d.queue, from.page, from.pc, {}};
  fault.vmid = d.vmid;
  fault.text = fmt::format("workgroup {},{},{} {}", at.id[0], at.id[1], at.id[2], from.describe());
  if (from.kind == isa::FaultKind::memory_violation)
    fault.page = {from.address, memory::Access::read, false};
  return fault;
}

} // namespace

std::thread start_engine_thread(std::string name, std::function<void()> body) {
  sigset_t all, before;
  sigfillset(&all);
  for (int synchronous : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP})
    sigdelset(&all, synchronous);
  pthread_sigmask(SIG_SETMASK, &all, &before); // from its first instruction on
  std::thread thread([name = std::move(name), body = std::move(body)] {
    pthread_setname_np(pthread_self(), name.c_str());
    body();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

std::string refuse(const DispatchDescription& d) {
  const auto& size = d.state.group_size;
  std::uint64_t threads = 1;
  for (unsigned i = 0; i < 3; ++i) {
    threads *= size[i];
    if (size[i] == 0 || d.last_size[i] == 0 || d.last_size[i] > size[i])
      return fmt::format("workgroup dimension {} is {} threads, the last {}", i, size[i], d.last_size[i]);
    if (threads > max_group_threads)
      return fmt::format("a workgroup of {}x{}x{} threads", size[0], size[1], size[2]);
  }
  const std::uint32_t lds = isa::lds_bytes(d.state.pgm_rsrc2);
  if (lds > max_group_lds)
    return fmt::format("{} bytes of LDS", lds);
  if (d.scratch_waves != 0 && d.scratch_waves < waves_of(d))
    return fmt::format("scratch for {} waves, a workgroup has {}", d.scratch_waves, waves_of(d));
  if (d.state.code == 0)
    return "no code";
  return {};
}

bool registers_fit(const DispatchDescription& d) {
  const bool wgp = d.state.pgm_rsrc1 >> wgp_mode_bit & 1;
  const std::uint32_t simds = wgp ? 4 : 2;
  // Of 32 lanes, allocated sixteen at a time.
  const std::uint32_t asked = isa::vgpr_count(d.state.pgm_rsrc1, d.state.wave32) * (d.state.wave32 ? 1 : 2);
  const std::uint32_t rows = (asked + 15) / 16 * 16;
  return waves_of(d) <= simds * std::min(max_simd_waves, simd_registers / std::max(1u, rows));
}

Dispatch::Dispatch(DispatchDescription description, std::shared_ptr<WakeWord> done_word)
    : description_(std::move(description)), done_word_(std::move(done_word)),
      waves_per_group_(waves_of(description_)), next_(description_.first) {
  const Places& places = description_.places ? *description_.places : *all_places();
  group_limit_ = static_cast<std::uint32_t>(places.size()) * (waves_per_wgp / std::max(1u, waves_per_group_));
  const std::uint32_t slots =
      std::min(description_.scratch_waves, max_resident_waves) / std::max(1u, waves_per_group_);
  for (std::uint32_t slot = slots; slot > 0; --slot)
    free_scratch_.push_back(slot - 1);
}

std::optional<Fault> Dispatch::fault() const {
  if (fault_)
    return fault_;
  if (cancelled_.load(std::memory_order_acquire))
    return Fault{FaultKind::stopped, no_queue, {}, 0, "the dispatch was stopped"};
  return std::nullopt;
}

// Decoded code and idle executions for one address space on one thread.
struct SpaceCache {
  explicit SpaceCache(const std::shared_ptr<const memory::AddressSpace>& of)
      : space(of), key(of.get()), code(*of) {}
  std::weak_ptr<const memory::AddressSpace> space;
  const memory::AddressSpace* key;
  isa::CodeCache code;
  std::vector<std::unique_ptr<isa::WorkgroupExecution>> spare;
};

struct ShaderResident {
  std::shared_ptr<Dispatch> dispatch;
  std::shared_ptr<SpaceCache> cache;
  std::unique_ptr<isa::WorkgroupExecution> execution;
  std::optional<std::uint32_t> scratch_slot;
  isa::WorkgroupPosition position;
  bool started = false;
  bool parked = false; // with halted waves
};

struct ShaderWorker {
  std::vector<std::shared_ptr<SpaceCache>> caches;
  std::vector<ShaderResident> residents;
  std::size_t turn = 0; // which resident runs next
  std::size_t dispatch_turn = 0;
  std::size_t fruitless = 0; // slices since a workgroup last finished or started
  std::size_t may_start = 0; // further workgroups to start beside those that are not finished
  std::uint32_t waves = 0;
  std::uint32_t wave_limit = 0;
  std::uint64_t slice = slice_instructions;

  std::shared_ptr<SpaceCache> cache_for(const std::shared_ptr<const memory::AddressSpace>& space) {
    std::erase_if(caches, [](const auto& cache) { return cache->space.expired(); });
    for (const auto& cache : caches)
      if (cache->key == space.get())
        return cache;
    return caches.emplace_back(std::make_shared<SpaceCache>(space));
  }
  bool holds(const Dispatch* dispatch) const {
    return std::any_of(residents.begin(), residents.end(),
                       [&](const ShaderResident& r) { return r.dispatch.get() == dispatch; });
  }
};

ShaderArray::~ShaderArray() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    for (const auto& dispatch : running_)
      dispatch->cancel();
  }
  news_.notify_all();
  for (std::thread& thread : threads_)
    thread.join();
}

std::shared_ptr<Dispatch> ShaderArray::start(DispatchDescription description,
                                             std::shared_ptr<WakeWord> done_word) {
  auto dispatch = std::make_shared<Dispatch>(std::move(description), std::move(done_word));
  const auto& d = dispatch->description_;
  std::uint64_t groups = 1;
  for (unsigned i = 0; i < 3; ++i)
    groups = d.first[i] < d.end[i] ? std::min<std::uint64_t>(groups * (d.end[i] - d.first[i]), 1u << 30) : 0;
  if (groups == 0) {
    dispatch->done_.store(true, std::memory_order_release);
    dispatch->done_word_->wake();
    return dispatch;
  }
  std::size_t wake_count = 0;
  {
    std::lock_guard lock(mutex_);
    if (threads_.empty()) {
      const unsigned count = std::max(2u, std::thread::hardware_concurrency());
      for (unsigned i = 0; i < count; ++i)
        threads_.push_back(start_engine_thread(fmt::format("kfd-emu cu{}", i), [this] { work(); }));
    }
    const auto after = std::find_if(active_.begin(), active_.end(), [&](const auto& other) {
      return other->description_.priority < d.priority;
    });
    active_.insert(after, dispatch);
    running_.push_back(dispatch);
    wake_count = std::min<std::uint64_t>(groups - 1, threads_.size());
  }
  for (std::size_t i = 0; i < wake_count; ++i)
    news_.notify_one();
  return dispatch;
}

void ShaderArray::finish_if_last_locked(Dispatch& dispatch) {
  if (!dispatch.all_started_ || dispatch.outstanding_ != 0)
    return;
  std::erase_if(running_, [&](const auto& other) { return other.get() == &dispatch; });
  const std::shared_ptr<WakeWord> word = dispatch.done_word_;
  dispatch.done_.store(true, std::memory_order_release);
  word->wake();
}

bool ShaderArray::start_workgroup_locked(Worker& worker, const std::shared_ptr<Dispatch>& dispatch) {
  Dispatch& d = *dispatch;
  const DispatchDescription& description = d.description_;
  if (d.cancelled_.load(std::memory_order_acquire)) {
    d.all_started_ = true;
    std::erase(active_, dispatch);
    finish_if_last_locked(d);
    return false;
  }
  if ((description.scratch_waves != 0 && d.free_scratch_.empty()) || d.outstanding_ >= d.group_limit_)
    return false;

  ShaderResident resident;
  resident.dispatch = dispatch;
  resident.position.id = d.next_;
  for (unsigned i = 0; i < 3; ++i)
    resident.position.size[i] =
        d.next_[i] + 1 == description.end[i] ? description.last_size[i] : description.state.group_size[i];
  if (description.scratch_waves != 0) {
    resident.scratch_slot = d.free_scratch_.back();
    d.free_scratch_.pop_back();
    resident.position.scratch_offset = static_cast<std::uint64_t>(*resident.scratch_slot) *
                                       d.waves_per_group_ * description.state.scratch_wave_size;
  }
  const Places& places = description.places ? *description.places : *all_places();
  resident.position.hw_id1 = places[d.next_place_++ % places.size()];
  ++d.outstanding_;
  unsigned i = 0;
  while (i < 3 && ++d.next_[i] == description.end[i]) {
    d.next_[i] = description.first[i];
    ++i;
  }
  worker.waves += d.waves_per_group_;
  worker.turn = worker.residents.size();
  worker.residents.push_back(std::move(resident));
  if (i == 3) {
    d.all_started_ = true;
    std::erase(active_, dispatch);
  }
  return true;
}

// The index'th dispatch to think of. Dispatches of the highest priority come first, in turns; now and then
// anyone's.
const std::shared_ptr<Dispatch>& ShaderArray::candidate_locked(const Worker& worker,
                                                               std::size_t index) const {
  std::size_t first = active_.size();
  if (worker.dispatch_turn % turns_of_all_priorities != 0) {
    first = 1;
    while (first < active_.size() &&
           active_[first]->description_.priority == active_[0]->description_.priority)
      ++first;
  }
  return active_[index < first ? (index + worker.dispatch_turn) % first : index];
}

// Chooses what the worker runs next: worker.turn. False: nothing to do.
bool ShaderArray::take_locked(Worker& worker, const Dispatch* only) {
  // A dispatch of which this thread holds nothing comes first, so that no queue waits for another's kernel.
  for (std::size_t i = 0; i < active_.size(); ++i) {
    const std::shared_ptr<Dispatch>& candidate = candidate_locked(worker, i);
    if ((only && candidate.get() != only) || candidate->held())
      continue;
    const bool extra = worker.holds(candidate.get());
    if (extra && (worker.may_start == 0 || worker.waves + candidate->waves_per_group_ > worker.wave_limit))
      continue;
    const std::shared_ptr<Dispatch> dispatch = candidate; // active_ changes below
    const std::size_t before = active_.size();
    if (start_workgroup_locked(worker, dispatch)) {
      worker.may_start -= extra ? 1 : 0;
      worker.fruitless = 0;
      ++worker.dispatch_turn;
      return true;
    }
    if (active_.size() < before)
      i = ~std::size_t{0}; // it was cancelled and is gone: look afresh
  }
  for (std::size_t i = 0; i < worker.residents.size(); ++i) {
    worker.turn = (worker.turn + 1) % worker.residents.size();
    const ShaderResident& resident = worker.residents[worker.turn];
    const bool parked = resident.parked && !resident.dispatch->cancelled_.load(std::memory_order_acquire);
    if (!parked && !resident.dispatch->held())
      return true;
  }
  return false;
}

void ShaderArray::pause(Dispatch& dispatch, bool on) {
  std::unique_lock lock(mutex_);
  dispatch.paused_.store(on, std::memory_order_release);
  if (on)
    slice_ended_.wait(lock, [&] { return dispatch.slices_ == 0; });
  else
    news_.notify_all();
}

ShaderArray::Helper::Helper() : worker_(std::make_unique<ShaderWorker>()) {
  worker_->slice = helper_slice_instructions;
  worker_->wave_limit = max_resident_waves / 4;
}
ShaderArray::Helper::~Helper() = default;
bool ShaderArray::Helper::empty() const {
  return worker_->residents.empty();
}

bool ShaderArray::help(Helper& helper, const Dispatch* only) {
  std::unique_lock lock(mutex_);
  if (!take_locked(*helper.worker_, only))
    return false;
  run_slice(*helper.worker_, lock);
  return true;
}

void ShaderArray::retire_locked(Worker& worker, std::size_t index) {
  ShaderResident resident = std::move(worker.residents[index]);
  worker.residents.erase(worker.residents.begin() + static_cast<std::ptrdiff_t>(index));
  Dispatch& d = *resident.dispatch;
  worker.waves -= d.waves_per_group_;
  worker.fruitless = 0;
  if (resident.scratch_slot)
    d.free_scratch_.push_back(*resident.scratch_slot);
  if (!d.all_started_ && (resident.scratch_slot || d.outstanding_ == d.group_limit_))
    news_.notify_one();
  --d.outstanding_;
  finish_if_last_locked(d);
  if (resident.execution && resident.cache->spare.size() < spare_executions)
    resident.cache->spare.push_back(std::move(resident.execution));
}

void ShaderArray::run_slice(Worker& worker, std::unique_lock<std::mutex>& lock) {
  ShaderResident& resident = worker.residents[worker.turn];
  Dispatch& d = *resident.dispatch;
  ++d.slices_;
  lock.unlock();
  std::optional<memory::AccessSection> section(std::in_place);
  if (!resident.started) {
    resident.cache = worker.cache_for(d.description_.space);
    auto& spare = resident.cache->spare;
    if (spare.empty()) {
      resident.execution = std::make_unique<isa::WorkgroupExecution>(resident.cache->code);
    } else {
      resident.execution = std::move(spare.back());
      spare.pop_back();
    }
    resident.execution->set_stop_flag(&d.cancelled_);
    const QueueId queue = d.description_.queue;
    resident.execution->set_interrupt_handler([this, queue](std::uint32_t m0, bool privileged) {
      if (interrupt_ && queue != no_queue) // amdgpu's own VMs: the kernel has no one to tell
        interrupt_({Interrupt::Source::sq_message, queue, m0, privileged});
    });
    resident.execution->set_exception_handler(
        [&d, position = resident.position](const isa::Fault& exception) {
          if (!d.exception_told_.exchange(true))
            complain(fmt::format("queue {} (VMID {}): {}", d.description_.queue, d.description_.vmid,
                                 fault_of(exception, d.description_, position).text));
        });
    resident.execution->start(d.description_.state, resident.position);
    resident.started = true;
  }
  const std::uint64_t slice =
      std::max<std::uint64_t>(1, worker.slice * (d.description_.priority + 1) / (normal_priority + 1));
  const std::uint64_t before = resident.execution->instructions();
  const isa::Progress progress =
      d.cancelled_.load(std::memory_order_acquire) ? isa::Progress::finished : resident.execution->run(slice);
  const bool slept = resident.execution->instructions() - before < slice / 2;
  if (progress == isa::Progress::finished)
    invocations_.fetch_add(std::uint64_t{1} * resident.position.size[0] * resident.position.size[1] *
                               resident.position.size[2],
                           std::memory_order_acq_rel);
  section.reset(); // which may have memory to unmap
  lock.lock();
  if (--d.slices_ == 0 && d.paused_.load(std::memory_order_relaxed))
    slice_ended_.notify_all();

  resident.parked = progress == isa::Progress::parked;
  if (progress == isa::Progress::yielded || resident.parked) {
    if (slept)
      worker.may_start = std::max<std::size_t>(worker.may_start, 1);
    if (++worker.fruitless >= slices_before_growth * worker.residents.size()) {
      worker.may_start = worker.residents.size();
      worker.fruitless = 0;
    }
    return;
  }
  if (progress == isa::Progress::faulted) {
    const isa::Fault& fault = resident.execution->fault();
    if (fault.kind != isa::FaultKind::aborted && !d.fault_)
      d.fault_ = fault_of(fault, d.description_, resident.position);
    d.cancel();
    if (!d.all_started_) {
      d.all_started_ = true;
      std::erase(active_, resident.dispatch);
    }
  }
  retire_locked(worker, worker.turn);
}

void ShaderArray::work() {
  Worker worker;
  std::unique_lock lock(mutex_);
  worker.wave_limit =
      max_resident_waves / static_cast<std::uint32_t>(std::max<std::size_t>(1, threads_.size()));
  while (!(stopping_ && worker.residents.empty() && active_.empty())) {
    if (take_locked(worker, nullptr))
      run_slice(worker, lock);
    else if (!stopping_)
      news_.wait(lock);
  }
}

} // namespace emu::gpu
