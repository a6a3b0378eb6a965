#include <memory/access_section.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace emu::memory;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t size = 4096;

void* map_memory() {
  return mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
bool is_mapped(void* base) {
  return msync(base, size, MS_ASYNC) == 0;
}

// A thread inside of a section until told to leave.
class Inside {
public:
  Inside()
      : thread_([this] {
          const AccessSection section;
          entered_ = true;
          entered_.notify_one();
          leave_.wait(false);
        }) {
    entered_.wait(false);
  }
  ~Inside() { leave(); }
  void leave() {
    if (!thread_.joinable())
      return;
    leave_ = true;
    leave_.notify_one();
    thread_.join();
  }

private:
  std::atomic<bool> entered_{false}, leave_{false};
  std::thread thread_;
};

TEST(AccessSection, memory_that_nobody_reaches_is_unmapped_at_once) {
  void* memory = map_memory();
  { const AccessSection over; }
  unmap_behind_accesses(memory, size);
  EXPECT_FALSE(is_mapped(memory));
}

TEST(AccessSection, memory_stays_until_the_sections_end_that_had_begun) {
  Inside first, second;
  void* memory = map_memory();
  unmap_behind_accesses(memory, size);
  Inside later;
  first.leave();
  EXPECT_TRUE(is_mapped(memory));
  second.leave();
  EXPECT_FALSE(is_mapped(memory));
}

TEST(AccessSection, one_that_unmaps_is_over_first) {
  void* memory = map_memory();
  {
    const AccessSection outer;
    {
      const AccessSection inner;
      unmap_behind_accesses(memory, size);
    }
    EXPECT_TRUE(is_mapped(memory));
  }
  EXPECT_FALSE(is_mapped(memory));
}

TEST(AccessSection, whoever_waits_waits_for_the_others) {
  const AccessSection own;
  EXPECT_TRUE(wait_for_accesses(0ms));
  Inside inside;
  EXPECT_FALSE(wait_for_accesses(10ms));
  std::thread leaving([&] {
    std::this_thread::sleep_for(20ms);
    inside.leave();
  });
  EXPECT_TRUE(wait_for_accesses(20s));
  leaving.join();
}

TEST(AccessSection, a_child_has_none_of_its_parents) {
  Inside inside;
  void* memory = map_memory();
  unmap_behind_accesses(memory, size);
  const pid_t child = fork();
  if (child == 0) {
    const bool waited = wait_for_accesses(0ms);
    { const AccessSection own; }
    _exit(waited && !is_mapped(memory) ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_TRUE(is_mapped(memory));
}

TEST(AccessSection, memory_is_there_for_whoever_found_it_before_it_was_taken_away) {
  std::atomic<std::atomic<int>*> current{new (map_memory()) std::atomic<int>};
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!stop) {
        const AccessSection section;
        std::atomic<int>* found = current.load();
        for (int n = 0; n < 100; ++n)
          ++*found;
      }
    });
  for (int i = 0; i < 20'000; ++i)
    unmap_behind_accesses(current.exchange(new (map_memory()) std::atomic<int>), size);
  stop = true;
  for (std::thread& reader : readers)
    reader.join();
  munmap(current, size);
}

} // namespace
