// The idle scheme: doorbells that wake a sleeping command processor, and what it leaves of the program's own
// SIGSEGV.
#include "machine.hpp"

#include <gpu/segv.hpp>

#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>
#include <sys/resource.h>

using namespace test;

namespace {

std::chrono::microseconds cpu_time() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto total = [](const timeval& t) {
    return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
  };
  return std::chrono::duration_cast<std::chrono::microseconds>(total(usage.ru_utime) + total(usage.ru_stime));
}

bool writable(const void* page) {
  char start[32];
  std::snprintf(start, sizeof start, "%lx-", reinterpret_cast<std::uintptr_t>(page));
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.starts_with(start))
      return line.find(" rw") != std::string::npos;
  return false;
}

void complete_one(Machine& machine, AqlQueue& queue) {
  Signal* done = make_signal(machine, 1);
  queue.submit(barrier(barrier_and, {}, done));
  ASSERT_TRUE(eventually([&] { return peek(&done->value) == 0; }));
}

TEST(doorbell, wakes_an_idle_gpu_again_and_again) {
  Machine machine;
  machine.gpu.watch_doorbells(machine.doorbells, Machine::doorbell_page);
  AqlQueue queue(machine);
  for (int i = 0; i < 30; ++i) {
    std::this_thread::sleep_for(2ms); // long enough to be armed
    complete_one(machine, queue);
  }
}

TEST(doorbell, rings_in_quick_succession_from_several_threads_all_count) {
  Machine machine;
  machine.gpu.watch_doorbells(machine.doorbells, Machine::doorbell_page);
  std::vector<std::unique_ptr<AqlQueue>> queues;
  std::vector<Signal*> signals;
  for (int i = 0; i < 4; ++i) {
    queues.push_back(std::make_unique<AqlQueue>(machine));
    signals.push_back(make_signal(machine, 400));
  }
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < queues.size(); ++t)
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 400; ++i) {
        while (queues[t]->read_index() + 60 < i)
          std::this_thread::yield();
        queues[t]->submit(barrier(barrier_and, {}, signals[t]));
        if (i % 40 == 0)
          std::this_thread::sleep_for(std::chrono::microseconds(100 * (t + 1)));
      }
    });
  for (std::thread& thread : threads)
    thread.join();
  for (Signal* signal : signals)
    EXPECT_TRUE(eventually([&] { return peek(&signal->value) == 0; }));
}

// The thread that rings may lose its core between the fault and the store's repetition.
TEST(doorbell, that_was_rung_stays_open_for_a_store_that_is_late) {
  constexpr auto patience = 5ms; // the command processor's
  Machine machine;
  machine.gpu.watch_doorbells(machine.doorbells, Machine::doorbell_page);
  AqlQueue queue(machine);
  complete_one(machine, queue);
  std::uint64_t* nobodys = machine.doorbells + machine.take_doorbell();
  for (std::uint64_t judged = 0; judged < 20;) {
    ASSERT_TRUE(eventually([&] { return !writable(machine.doorbells); }));
    const auto rung = std::chrono::steady_clock::now();
    poke(nobodys, judged);
    std::this_thread::sleep_for(1ms);
    const bool open = writable(machine.doorbells);
    if (std::chrono::steady_clock::now() - rung >= patience)
      continue; // we were late
    EXPECT_TRUE(open);
    ++judged;
  }
}

TEST(doorbell, an_idle_gpu_takes_no_processor_time) {
  Machine machine;
  machine.gpu.watch_doorbells(machine.doorbells, Machine::doorbell_page);
  AqlQueue queue(machine);
  complete_one(machine, queue);
  std::this_thread::sleep_for(5ms);
  const auto before = cpu_time();
  std::this_thread::sleep_for(200ms);
  EXPECT_LT(cpu_time() - before, 2ms);
}

TEST(doorbell, a_gpu_whose_queues_are_all_blocked_takes_little_processor_time) {
  Machine machine;
  machine.gpu.watch_doorbells(machine.doorbells, Machine::doorbell_page);
  AqlQueue queue(machine);
  Signal* never = make_signal(machine, 1);
  queue.submit(barrier(barrier_and, {never}, nullptr));
  std::this_thread::sleep_for(5ms);
  const auto before = cpu_time();
  std::this_thread::sleep_for(200ms);
  EXPECT_LT(cpu_time() - before, 50ms);
}

TEST(doorbell, is_writable_after_it_is_forgotten) {
  Machine machine;
  machine.gpu.watch_doorbells(machine.doorbells, Machine::doorbell_page);
  AqlQueue queue(machine);
  std::this_thread::sleep_for(5ms);
  machine.gpu.forget_doorbells(machine.doorbells, Machine::doorbell_page);
  complete_one(machine, queue); // found by polling
}

TEST(doorbell, can_be_rung_by_a_thread_that_blocks_every_signal) {
  Machine machine;
  machine.gpu.watch_doorbells(machine.doorbells, Machine::doorbell_page);
  AqlQueue queue(machine);
  std::this_thread::sleep_for(5ms);
  std::thread([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    complete_one(machine, queue);
  }).join();
}

sigjmp_buf escape;
volatile sig_atomic_t caught;
void* volatile caught_address;
void on_program_segv(int, siginfo_t* info, void*) {
  caught = caught + 1;
  caught_address = info->si_addr;
  siglongjmp(escape, 1);
}

TEST(doorbell, the_programs_own_handler_gets_its_own_faults_and_no_others) {
  caught = 0;
  Machine machine;
  machine.gpu.watch_doorbells(machine.doorbells, Machine::doorbell_page);
  AqlQueue queue(machine);
  struct sigaction action {};
  action.sa_sigaction = on_program_segv;
  action.sa_flags = SA_SIGINFO;
  struct sigaction old {};
  ASSERT_EQ(sigaction(SIGSEGV, &action, &old), 0);
  struct sigaction told {};
  ASSERT_EQ(sigaction(SIGSEGV, nullptr, &told), 0);
  EXPECT_EQ(told.sa_sigaction, on_program_segv);

  std::this_thread::sleep_for(5ms);
  complete_one(machine, queue); // through an armed doorbell
  EXPECT_EQ(caught, 0);

  void* forbidden = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (sigsetjmp(escape, 1) == 0)
    *static_cast<volatile int*>(forbidden) = 1;
  EXPECT_EQ(caught, 1);
  EXPECT_EQ(caught_address, forbidden);

  std::this_thread::sleep_for(5ms);
  complete_one(machine, queue); // the handler is still there
  munmap(forbidden, 4096);
  sigaction(SIGSEGV, &old, nullptr);
}

int file_without_pages = -1;
char* page_of_file = nullptr;

// Memory that is mapped from a file which ends before it.
TEST(doorbell, the_fault_hook_and_the_program_hear_of_pages_that_a_file_does_not_have) {
  file_without_pages = memfd_create("short", MFD_CLOEXEC);
  page_of_file =
      static_cast<char*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file_without_pages, 0));
  emu::gpu::set_fault_hook([](const siginfo_t& info, void*) {
    return info.si_signo == SIGBUS && info.si_addr == page_of_file &&
           ftruncate(file_without_pages, 4096) == 0;
  });
  *static_cast<volatile char*>(page_of_file) = 'x'; // tried again, with the page there
  EXPECT_EQ(*page_of_file, 'x');
  emu::gpu::set_fault_hook(nullptr);

  ASSERT_EQ(ftruncate(file_without_pages, 0), 0);
  struct sigaction action {};
  action.sa_sigaction = on_program_segv;
  action.sa_flags = SA_SIGINFO;
  struct sigaction old {};
  ASSERT_EQ(sigaction(SIGBUS, &action, &old), 0);
  caught = 0;
  if (sigsetjmp(escape, 1) == 0)
    *static_cast<volatile char*>(page_of_file) = 'y';
  EXPECT_EQ(caught, 1);
  EXPECT_EQ(caught_address, page_of_file);
  sigaction(SIGBUS, &old, nullptr);
  munmap(page_of_file, 4096);
  close(file_without_pages);
}

TEST(doorbell, a_fault_that_no_one_handles_still_kills) {
  EXPECT_EXIT(
      {
        Machine machine;
        machine.gpu.watch_doorbells(machine.doorbells, Machine::doorbell_page);
        signal(SIGSEGV, SIG_DFL); // a sanitizer has its own
        *static_cast<volatile int*>(mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) = 1;
      },
      testing::KilledBySignal(SIGSEGV), "");
}

} // namespace
