// The table of handles by itself.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <core/handle.hpp>

namespace {

using shim::core::HandleKind;
using shim::core::HandleTable;

// Counts those that are alive, and how often one was destroyed twice.
struct Counted {
  explicit Counted(std::atomic<int>& alive) : alive_(alive) { ++alive_; }
  ~Counted() { alive_ -= value == 42 ? 1 : 1000; }
  std::atomic<int>& alive_;
  int value = 42;
};

TEST(HandleTable, an_erased_object_lives_until_its_last_pin_is_gone) {
  HandleTable table;
  std::atomic<int> alive = 0;
  std::uint64_t handle = table.insert(HandleKind::event, std::make_shared<Counted>(alive));
  HandleTable::Pin first = table.find(HandleKind::event, handle);
  HandleTable::Pin second = table.find(HandleKind::event, handle);
  ASSERT_NE(nullptr, first.object());
  EXPECT_TRUE(table.erase(handle));
  EXPECT_FALSE(table.erase(handle));
  EXPECT_EQ(nullptr, table.find(HandleKind::event, handle).object());
  EXPECT_TRUE(table.was(HandleKind::event, handle));
  first = HandleTable::Pin();
  EXPECT_EQ(1, alive);
  EXPECT_EQ(42, static_cast<Counted*>(second.object())->value);
  second = HandleTable::Pin();
  EXPECT_EQ(0, alive);
  EXPECT_EQ(0u, table.size());
}

TEST(HandleTable, a_slot_is_not_used_again_while_it_is_pinned) {
  HandleTable table;
  std::atomic<int> alive = 0;
  std::uint64_t handle = table.insert(HandleKind::event, std::make_shared<Counted>(alive));
  HandleTable::Pin pin = table.find(HandleKind::event, handle);
  void* object = pin.object();
  table.erase(handle);
  for (int i = 0; i < 10; ++i)
    table.erase(table.insert(HandleKind::event, std::make_shared<Counted>(alive)));
  EXPECT_EQ(object, pin.object());
  EXPECT_EQ(1, alive);
}

TEST(HandleTable, what_an_object_refers_to_goes_after_it) {
  struct Child {
    explicit Child(std::weak_ptr<int> of) : parent(std::move(of)) {}
    ~Child() { EXPECT_FALSE(parent.expired()); }
    std::weak_ptr<int> parent;
  };
  HandleTable table;
  auto parent = std::make_shared<int>();
  std::weak_ptr<int> watched = parent;
  std::uint64_t handle = table.insert(HandleKind::event, std::make_shared<Child>(watched), std::move(parent));
  EXPECT_FALSE(watched.expired());
  table.erase(handle);
  EXPECT_TRUE(watched.expired());
}

// Looks at old handles pin slots, too, and may be the last that do.
TEST(HandleTable, every_object_goes_once) {
  HandleTable table;
  std::atomic<int> alive = 0;
  std::atomic<std::uint64_t> shared = table.insert(HandleKind::event, std::make_shared<Counted>(alive));
  std::atomic<bool> over = false;
  std::atomic<int> found = 0;
  std::vector<std::thread> users;
  for (int i = 0; i < 3; ++i)
    users.emplace_back([&] {
      std::uint64_t old = shared;
      while (!over) {
        std::uint64_t handle = shared;
        HandleTable::Pin pin = table.find(HandleKind::event, handle);
        if (pin.object()) {
          EXPECT_EQ(42, static_cast<Counted*>(pin.object())->value);
          ++found;
        }
        EXPECT_TRUE(old == handle || !table.find(HandleKind::event, old).object());
        table.erase(handle); // or somebody else does
        old = handle;
      }
    });
  while (found < 1000) {
    std::uint64_t before = shared.exchange(table.insert(HandleKind::event, std::make_shared<Counted>(alive)));
    table.erase(before);
  }
  over = true;
  for (std::thread& user : users)
    user.join();
  table.erase(shared);
  EXPECT_EQ(0, alive);
  EXPECT_EQ(0u, table.size());
}

} // namespace
