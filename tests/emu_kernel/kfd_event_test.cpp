// KFD events, as a real 6.12 kernel without a GPU was seen to treat them.
#include "kfd_test_device.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <pthread.h>
#include <thread>

using namespace kfd_test;

namespace {

using Clock = std::chrono::steady_clock;

class KfdEvents : public KfdDevice {
protected:
  u32 create(u32 type = EVENT_SIGNAL, bool auto_reset = false) {
    kfd_ioctl_create_event_args args{};
    args.event_type = type;
    args.auto_reset = auto_reset;
    EXPECT_EQ(call(kfd_, ioc::CREATE_EVENT, args), 0);
    EXPECT_EQ(args.event_trigger_data, args.event_id);
    if (type == EVENT_SIGNAL) {
      EXPECT_EQ(args.event_slot_index, args.event_id);
    }
    return args.event_id;
  }
  long set(u32 id) {
    kfd_ioctl_set_event_args args{id, 0};
    return call(kfd_, ioc::SET_EVENT, args);
  }
  long reset(u32 id) {
    kfd_ioctl_reset_event_args args{id, 0};
    return call(kfd_, ioc::RESET_EVENT, args);
  }
  long destroy(u32 id) {
    kfd_ioctl_destroy_event_args args{id, 0};
    return call(kfd_, ioc::DESTROY_EVENT, args);
  }
  long wait(std::vector<kfd_event_data>& events, bool all, u32 timeout, u32& result) {
    kfd_ioctl_wait_events_args args{};
    args.events_ptr = reinterpret_cast<u64>(events.data());
    args.num_events = static_cast<u32>(events.size());
    args.wait_for_all = all;
    args.timeout = timeout;
    const long error = call(kfd_, ioc::WAIT_EVENTS, args);
    result = args.wait_result;
    return error;
  }
  u32 wait(std::initializer_list<u32> ids, bool all, u32 timeout) {
    std::vector<kfd_event_data> events;
    for (const u32 id : ids) {
      kfd_event_data data{};
      data.event_id = id;
      events.push_back(data);
    }
    u32 result = 99;
    EXPECT_EQ(wait(events, all, timeout, result), 0);
    return result;
  }
};

TEST_F(KfdEvents, id_zero_is_never_given) {
  const u32 first = create();
  EXPECT_GE(first, 1u);
  EXPECT_LT(first, 256u);
  EXPECT_EQ(destroy(first), 0);
  EXPECT_EQ(create(), first) << "the lowest free id is taken";
  EXPECT_EQ(destroy(first), 0);
  const u32 memory = create(EVENT_MEMORY);
  EXPECT_GE(memory, 0x40000000u) << "events without a slot count from another number";
  EXPECT_EQ(destroy(memory), 0);
}

TEST_F(KfdEvents, waits_time_out) {
  const u32 event = create();
  EXPECT_EQ(wait({event}, false, 0), WAIT_RESULT_TIMEOUT);
  const auto start = Clock::now();
  EXPECT_EQ(wait({event}, false, 60), WAIT_RESULT_TIMEOUT);
  const auto elapsed = Clock::now() - start;
  EXPECT_GE(elapsed, std::chrono::milliseconds(59));
  EXPECT_LT(elapsed, std::chrono::milliseconds(1000));
  destroy(event);
}

TEST_F(KfdEvents, manual_event_stays_set_until_reset) {
  const u32 event = create();
  EXPECT_EQ(set(event), 0);
  EXPECT_EQ(wait({event}, false, 0), WAIT_RESULT_COMPLETE);
  EXPECT_EQ(wait({event}, false, 0), WAIT_RESULT_COMPLETE);
  EXPECT_EQ(reset(event), 0);
  EXPECT_EQ(wait({event}, false, 0), WAIT_RESULT_TIMEOUT);
  destroy(event);
}

TEST_F(KfdEvents, auto_reset_event_is_consumed) {
  const u32 event = create(EVENT_SIGNAL, true);
  EXPECT_EQ(set(event), 0);
  EXPECT_EQ(wait({event}, false, 0), WAIT_RESULT_COMPLETE);
  EXPECT_EQ(wait({event}, false, 0), WAIT_RESULT_TIMEOUT);
  destroy(event);
}

TEST_F(KfdEvents, waiting_for_all_needs_all) {
  const u32 one = create(), two = create();
  EXPECT_EQ(set(one), 0);
  EXPECT_EQ(wait({one, two}, false, 0), WAIT_RESULT_COMPLETE);
  EXPECT_EQ(wait({one, two}, true, 0), WAIT_RESULT_TIMEOUT);
  EXPECT_EQ(set(two), 0);
  EXPECT_EQ(wait({one, two}, true, 0), WAIT_RESULT_COMPLETE);
  destroy(one);
  destroy(two);
}

TEST_F(KfdEvents, set_wakes_a_blocked_thread) {
  const u32 event = create(EVENT_SIGNAL, true);
  std::atomic<bool> woken{false};
  std::thread waiter([&] {
    EXPECT_EQ(wait({event}, false, TIMEOUT_INFINITE), WAIT_RESULT_COMPLETE);
    woken = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_FALSE(woken);
  EXPECT_EQ(set(event), 0);
  waiter.join();
  EXPECT_EQ(wait({event}, false, 0), WAIT_RESULT_TIMEOUT) << "the waiter consumed it";
  destroy(event);
}

// Event age: a wait that knows how often the event was set misses nothing.
TEST_F(KfdEvents, age_tells_of_a_set_that_was_missed) {
  const u32 event = create(EVENT_SIGNAL, true);
  std::vector<kfd_event_data> events(1);
  events[0].event_id = event;
  events[0].signal_event_data.last_event_age = 1;
  EXPECT_EQ(set(event), 0);
  EXPECT_EQ(wait({event}, false, 0), WAIT_RESULT_COMPLETE) << "somebody else consumes it";
  u32 result = 0;
  EXPECT_EQ(wait(events, false, 0, result), 0);
  EXPECT_EQ(result, WAIT_RESULT_COMPLETE);
  EXPECT_EQ(events[0].signal_event_data.last_event_age, 2u);
  EXPECT_EQ(wait(events, false, 0, result), 0);
  EXPECT_EQ(result, WAIT_RESULT_TIMEOUT);
  destroy(event);
}

TEST_F(KfdEvents, kernel_made_page_has_256_slots_until_more_are_mapped) {
  std::vector<u32> ids;
  kfd_ioctl_create_event_args args{};
  long error = 0;
  while ((error = call(kfd_, ioc::CREATE_EVENT, args)) == 0 && ids.size() < 5000) {
    ids.push_back(args.event_id);
    args = {}; // the answer's page offset would be another page to set
  }
  args = {};
  EXPECT_EQ(error, -ENOSPC);
  EXPECT_EQ(ids.size(), 255u);
  void* page_address = mmap(nullptr, 4096 * 8, PROT_READ | PROT_WRITE, MAP_SHARED, kfd_,
                            static_cast<off_t>(KFD_MMAP_TYPE_EVENTS));
  ASSERT_NE(page_address, MAP_FAILED);
  EXPECT_EQ(static_cast<u64*>(page_address)[ids[0]], ~0ull) << "slots start unsignaled";
  ASSERT_EQ(call(kfd_, ioc::CREATE_EVENT, args), 0) << "the larger mapping gives more slots";
  ids.push_back(args.event_id);
  EXPECT_EQ(
      mmap(nullptr, 4096 * 8 + page, PROT_READ, MAP_SHARED, kfd_, static_cast<off_t>(KFD_MMAP_TYPE_EVENTS)),
      MAP_FAILED);
  EXPECT_EQ(errno, EINVAL);
  for (const u32 id : ids)
    destroy(id);
  munmap(page_address, 4096 * 8);
}

TEST_F(KfdEvents, page_is_given_once) {
  const u32 event = create(); // now the kernel has one
  kfd_ioctl_create_event_args args{};
  args.event_page_offset = make_handle(gpu_, 0);
  EXPECT_EQ(call(kfd_, ioc::CREATE_EVENT, args), -EINVAL);
  destroy(event);
}

} // namespace
