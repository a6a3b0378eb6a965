// Every check of KFD's event ioctls, broken once, and what a signal handler does to a wait.
#include "kfd_checks.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <pthread.h>
#include <thread>

using namespace kfd_test;

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

class EventChecks : public KfdDevice {
protected:
  static constexpr u32 slots = SIGNAL_EVENT_LIMIT + page / 8; // of the page that the process gives

  u32 create(u32 type = EVENT_SIGNAL, bool auto_reset = false) {
    kfd_ioctl_create_event_args args{};
    args.event_type = type;
    args.auto_reset = auto_reset;
    EXPECT_EQ(call(kfd_, ioc::CREATE_EVENT, args), 0);
    return args.event_id;
  }
  template <class Args>
  long on(unsigned long request, u32 id) {
    Args args{id, 0};
    return call(kfd_, request, args);
  }
  long set(u32 id) { return on<kfd_ioctl_set_event_args>(ioc::SET_EVENT, id); }
  long reset(u32 id) { return on<kfd_ioctl_reset_event_args>(ioc::RESET_EVENT, id); }
  long destroy(u32 id) { return on<kfd_ioctl_destroy_event_args>(ioc::DESTROY_EVENT, id); }
  long with_page(u64 handle) {
    kfd_ioctl_create_event_args args{};
    args.event_page_offset = handle;
    return call(kfd_, ioc::CREATE_EVENT, args);
  }
  // The wait's errno; its result in `result`.
  long wait(const void* events, u32 count, bool all, u32 timeout, u32* result = nullptr,
            u32* left = nullptr) {
    kfd_ioctl_wait_events_args args{as_u64(events), count, all, timeout, 99};
    const long error = call(kfd_, ioc::WAIT_EVENTS, args);
    if (result)
      *result = args.wait_result;
    if (left)
      *left = args.timeout;
    return error;
  }
};

// First, while the process has no event page yet.
TEST_F(EventChecks, the_event_page) {
  acquire();
  const Memory small = make(ALLOC_MEM_FLAGS_GTT, page);
  void* host = mmap(nullptr, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto own = allocation(ALLOC_MEM_FLAGS_USERPTR | ordinary, 8 * page);
  own.mmap_offset = as_u64(host);
  ASSERT_EQ(call(kfd_, ioc::ALLOC_MEMORY_OF_GPU, own), 0);
  const Memory events = make(ALLOC_MEM_FLAGS_GTT, slots * 8);
  run({
      {"another GPU's", [&] { return with_page(make_handle(gpu_ + 1, 0)); }, -EINVAL},
      {"unknown handle", [&] { return with_page(make_handle(gpu_, 0xffff)); }, -EINVAL},
      {"a userptr", [&] { return with_page(own.handle); }, -EINVAL},
      {"too small", [&] { return with_page(small.handle); }, -EINVAL},
      {"nothing wrong", [&] { return with_page(events.handle); }, 0},
      {"a second one", [&] { return with_page(events.handle); }, -EINVAL},
  });
  release(small);
  EXPECT_EQ(free(own.handle), 0);
  munmap(host, 8 * page);
}

TEST_F(EventChecks, slots_run_out) {
  std::vector<u32> ids;
  kfd_ioctl_create_event_args args{};
  long error = 0;
  while ((error = call(kfd_, ioc::CREATE_EVENT, args)) == 0 && ids.size() < 2 * slots) {
    ids.push_back(args.event_id);
    args = {};
  }
  EXPECT_EQ(error, -ENOSPC);
  EXPECT_EQ(ids.size(), slots - 2) << "slot 0 is never given, and one came with the page";
  for (const u32 id : ids)
    EXPECT_EQ(destroy(id), 0);
}

TEST_F(EventChecks, unknown_events) {
  const u32 memory = create(EVENT_MEMORY), debug = create(EVENT_DEBUG_EVENT);
  run({
      {"set", [&] { return set(4000); }, -EINVAL},
      {"set of event 0", [&] { return set(0); }, -EINVAL},
      {"reset", [&] { return reset(4000); }, -EINVAL},
      {"destroy", [&] { return destroy(4000); }, -EINVAL},
      {"destruction of event 0", [&] { return destroy(0); }, -EINVAL},
      {"set of a memory event", [&] { return set(memory); }, -EINVAL},
      {"reset of a memory event", [&] { return reset(memory); }, -EINVAL},
      {"set of a debug event", [&] { return set(debug); }, -EINVAL},
  });
  EXPECT_EQ(destroy(memory), 0);
  EXPECT_EQ(destroy(debug), 0);
}

TEST_F(EventChecks, waits) {
  const u32 event = create();
  EXPECT_EQ(set(event), 0);
  auto* last = reinterpret_cast<kfd_event_data*>(hole()) - 1;
  const std::vector<kfd_event_data> many(SIGNAL_EVENT_LIMIT + 1, [&] {
    kfd_event_data data{};
    data.event_id = event;
    return data;
  }());
  const auto ending_in_a_hole = [&](u32 first) {
    *last = {};
    last->event_id = first;
    return wait(last, 2, false, 0);
  };
  kfd_event_data unknown[2] = {};
  unknown[0].event_id = event;
  unknown[1].event_id = 4000;
  // Its age differs, so it would be written back.
  void* frozen = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  static_cast<kfd_event_data*>(frozen)->event_id = event;
  static_cast<kfd_event_data*>(frozen)->signal_event_data.last_event_age = 1;
  mprotect(frozen, page, PROT_READ);
  u32 result = 0;
  run({
      {"events in a hole", [&] { return wait(hole(), 1, false, 0, &result); }, -EFAULT},
      {"an unknown event before a hole", [&] { return ending_in_a_hole(4000); }, -EINVAL},
      {"events that end in a hole", [&] { return ending_in_a_hole(event); }, -EFAULT},
      {"an unknown event", [&] { return wait(unknown, 2, false, 0); }, -EINVAL},
      {"more events than a page has", [&] { return wait(many.data(), SIGNAL_EVENT_LIMIT + 1, true, 0); },
       -ENOMEM},
      {"too many in a hole", [&] { return wait(hole(), 1u << 31, false, 0); }, -ENOMEM},
      {"as many events as a page has", [&] { return wait(many.data(), SIGNAL_EVENT_LIMIT, true, 0); }, 0},
      {"an age that cannot be written", [&] { return wait(frozen, 1, false, 0); }, -EFAULT},
      {"the last event before a hole", [&] { return wait(last, 1, false, 0); }, 0},
      {"no events are all there", [&] { return wait(nullptr, 0, true, 0); }, 0},
  });
  EXPECT_EQ(result, WAIT_RESULT_FAIL) << "told on failure too";
  munmap(frozen, page);
  EXPECT_EQ(destroy(event), 0);
}

TEST_F(EventChecks, destroyed_while_waited_for) {
  const u32 event = create();
  std::thread waiter([&] {
    kfd_event_data data{};
    data.event_id = event;
    u32 result = 0;
    EXPECT_EQ(wait(&data, 1, false, TIMEOUT_INFINITE, &result), -EIO);
    EXPECT_EQ(result, WAIT_RESULT_FAIL);
  });
  std::this_thread::sleep_for(milliseconds(30));
  EXPECT_EQ(destroy(event), 0);
  waiter.join();
}

std::atomic<int> handled{0};

// Waits on another thread, which is sent a signal after 60 ms: handler, errno, milliseconds that the wait
// took.
struct Interrupted {
  long error = 0;
  u32 result = 0, left = 0;
  long took_ms = 0;
};

class Interruption : public EventChecks {
protected:
  Interrupted interrupt(
      u32 timeout, int flags, std::function<void()> then = [] {}) {
    struct sigaction action {};
    action.sa_handler = [](int) { ++handled; };
    action.sa_flags = flags;
    sigaction(SIGUSR1, &action, nullptr);
    handled = 0;
    const u32 event = event_ = create(EVENT_SIGNAL, true);
    Interrupted seen;
    std::thread waiter([&] {
      kfd_event_data data{};
      data.event_id = event;
      const auto start = Clock::now();
      seen.error = wait(&data, 1, false, timeout, &seen.result, &seen.left);
      seen.took_ms = std::chrono::duration_cast<milliseconds>(Clock::now() - start).count();
    });
    std::this_thread::sleep_for(milliseconds(60));
    pthread_kill(waiter.native_handle(), SIGUSR1);
    std::this_thread::sleep_for(milliseconds(30));
    then();
    waiter.join();
    EXPECT_EQ(handled, 1);
    EXPECT_EQ(destroy(event), 0);
    return seen;
  }
  u32 event_ = 0;
};

TEST_F(Interruption, ends_a_wait_with_the_time_that_was_left) {
  const Interrupted seen = interrupt(20'000, 0);
  EXPECT_EQ(seen.error, -EINTR);
  EXPECT_EQ(seen.result, WAIT_RESULT_FAIL);
  EXPECT_LT(seen.left, 19'990u);
  EXPECT_GT(seen.left, 10'000u);
}

TEST_F(Interruption, with_sa_restart_lets_a_timed_wait_go_on) {
  const Interrupted seen = interrupt(300, SA_RESTART);
  EXPECT_EQ(seen.error, 0);
  EXPECT_EQ(seen.result, WAIT_RESULT_TIMEOUT);
  EXPECT_GE(seen.took_ms, 299);
}

TEST_F(Interruption, with_sa_restart_loses_no_event) {
  const Interrupted seen = interrupt(20'000, SA_RESTART, [&] { EXPECT_EQ(set(event_), 0); });
  EXPECT_EQ(seen.error, 0);
  EXPECT_EQ(seen.result, WAIT_RESULT_COMPLETE);
}

TEST_F(Interruption, with_sa_restart_lets_an_endless_wait_go_on) {
  const Interrupted seen = interrupt(TIMEOUT_INFINITE, SA_RESTART, [&] { EXPECT_EQ(set(event_), 0); });
  EXPECT_EQ(seen.error, 0);
  EXPECT_EQ(seen.result, WAIT_RESULT_COMPLETE);
}

TEST_F(Interruption, ends_an_endless_wait) {
  EXPECT_EQ(interrupt(TIMEOUT_INFINITE, 0).error, -EINTR);
}

} // namespace
