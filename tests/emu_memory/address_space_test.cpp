#include <memory/address_space.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

using namespace emu::memory;

namespace {

struct Pages {
  explicit Pages(std::size_t count) : bytes(count * page_size) {}
  std::byte* at(std::size_t page) { return bytes.data() + page * page_size; }
  std::vector<std::byte> bytes;
};

constexpr GpuAddress base = 0x10'0000;

TEST(address_space, translates_inside_a_mapping_only) {
  AddressSpace space;
  Pages pages(2);
  ASSERT_TRUE(space.map(base, 2 * page_size, pages.at(0), {}));
  Translator translator(space);
  EXPECT_EQ(translator.translate(base + 5, 4, Access::read), pages.at(0) + 5);
  EXPECT_EQ(translator.translate(base + 2 * page_size, 1, Access::read), nullptr);
  EXPECT_EQ(translator.fault().address, base + 2 * page_size);
  EXPECT_TRUE(translator.fault().not_present);
  EXPECT_EQ(translator.translate(base - 1, 1, Access::read), nullptr);
}

TEST(address_space, refuses_overlap) {
  AddressSpace space;
  Pages pages(4);
  ASSERT_TRUE(space.map(base, 2 * page_size, pages.at(0), {}));
  EXPECT_FALSE(space.map(base + page_size, page_size, pages.at(2), {}));
  EXPECT_FALSE(space.map(base - page_size, 4 * page_size, pages.at(0), {}));
  EXPECT_TRUE(space.map(base + 2 * page_size, page_size, pages.at(2), {}));
  EXPECT_FALSE(space.is_free(base, page_size));
  EXPECT_TRUE(space.is_free(base + 3 * page_size, page_size));
}

TEST(address_space, unmapping_the_middle_splits_a_mapping) {
  AddressSpace space;
  Pages pages(3);
  ASSERT_TRUE(space.map(base, 3 * page_size, pages.at(0), {}));
  Translator translator(space);
  EXPECT_NE(translator.translate(base + page_size, 1, Access::read), nullptr);
  space.unmap(base + page_size, page_size);
  EXPECT_EQ(translator.translate(base + page_size, 1, Access::read), nullptr)
      << "a cached translation went stale";
  EXPECT_EQ(translator.translate(base, 1, Access::read), pages.at(0));
  EXPECT_EQ(translator.translate(base + 2 * page_size, 1, Access::read), pages.at(2));
}

TEST(address_space, remapping_replaces_what_it_covers) {
  AddressSpace space;
  Pages pages(4);
  ASSERT_TRUE(space.map(base, 3 * page_size, pages.at(0), {}));
  Translator translator(space);
  space.remap(base + page_size, page_size, pages.at(3), {.writable = false});
  EXPECT_EQ(translator.translate(base, 1, Access::write), pages.at(0));
  EXPECT_EQ(translator.translate(base + page_size, 1, Access::read), pages.at(3));
  EXPECT_EQ(translator.translate(base + page_size, 1, Access::write), nullptr);
  EXPECT_EQ(translator.translate(base + 2 * page_size, 1, Access::write), pages.at(2));
  space.remap(base, 4 * page_size, pages.at(0), {});
  EXPECT_EQ(translator.translate(base + page_size, 1, Access::write), pages.at(1));
}

// A translation that runs beside it finds the old page or the new one.
TEST(address_space, remapping_leaves_no_hole_in_between) {
  AddressSpace space;
  Pages pages(1);
  ASSERT_TRUE(space.map(base, page_size, pages.at(0), {}));
  std::atomic<bool> done{false};
  unsigned holes = 0;
  std::thread reader([&] {
    Translator translator(space);
    while (!done)
      holes += translator.translate(base, 1, Access::read) == nullptr;
  });
  for (int i = 0; i < 20'000; ++i)
    space.remap(base, page_size, pages.at(0), {});
  done = true;
  reader.join();
  EXPECT_EQ(holes, 0u);
}

TEST(address_space, a_part_can_be_made_read_only) {
  AddressSpace space;
  Pages pages(3);
  ASSERT_TRUE(space.map(base, 3 * page_size, pages.at(0), {}));
  Translator translator(space);
  EXPECT_NE(translator.translate(base + page_size, 1, Access::write), nullptr);
  space.make_read_only(base + page_size, page_size);
  EXPECT_EQ(translator.translate(base + page_size, 1, Access::write), nullptr);
  EXPECT_FALSE(translator.fault().not_present);
  EXPECT_EQ(translator.translate(base + page_size, 1, Access::read), pages.at(1));
  EXPECT_EQ(translator.translate(base, 1, Access::write), pages.at(0));
  EXPECT_EQ(translator.translate(base + 2 * page_size, 1, Access::write), pages.at(2));
}

TEST(address_space, permissions_hold) {
  AddressSpace space;
  Pages pages(1);
  ASSERT_TRUE(space.map(base, page_size, pages.at(0), {.writable = false, .executable = false}));
  Translator translator(space);
  EXPECT_NE(translator.translate(base, 4, Access::read), nullptr);
  EXPECT_EQ(translator.translate(base, 4, Access::write), nullptr);
  EXPECT_FALSE(translator.fault().not_present);
  EXPECT_EQ(translator.fault().access, Access::write);
  EXPECT_EQ(translator.translate(base, 4, Access::execute), nullptr);
}

TEST(address_space, an_access_over_the_seam_of_two_mappings_is_told_apart_from_one_over_the_end) {
  AddressSpace space;
  Pages pages(3);
  ASSERT_TRUE(space.map(base, page_size, pages.at(0), {}));
  ASSERT_TRUE(space.map(base + page_size, page_size, pages.at(2), {}));
  Translator translator(space);
  EXPECT_EQ(translator.translate(base + page_size - 2, 4, Access::read), nullptr);
  EXPECT_TRUE(translator.straddles());
  EXPECT_EQ(translator.translate(base + 2 * page_size - 2, 4, Access::read), nullptr);
  EXPECT_FALSE(translator.straddles());
  EXPECT_EQ(translator.fault().address, base + 2 * page_size);
}

TEST(address_space, reads_and_writes_cross_seams) {
  AddressSpace space;
  Pages pages(3);
  ASSERT_TRUE(space.map(base, page_size, pages.at(2), {}));
  ASSERT_TRUE(space.map(base + page_size, page_size, pages.at(0), {}));
  Translator translator(space);
  const std::array<char, 8> text{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'};
  ASSERT_TRUE(translator.write(base + page_size - 3, text.data(), text.size()));
  EXPECT_EQ(std::memcmp(pages.at(3) - 3, "abc", 3), 0);
  EXPECT_EQ(std::memcmp(pages.at(0), "defgh", 5), 0);
  std::array<char, 8> back{};
  ASSERT_TRUE(translator.read(base + page_size - 3, back.data(), back.size()));
  EXPECT_EQ(back, text);
  EXPECT_FALSE(translator.read(base + 2 * page_size - 4, back.data(), back.size()));
  EXPECT_EQ(translator.fault().address, base + 2 * page_size);
}

TEST(address_space, both_forms_of_an_upper_half_address_name_the_same_page) {
  AddressSpace space;
  Pages pages(1);
  ASSERT_TRUE(space.map(0xffff'8000'0000'0000, page_size, pages.at(0), {}));
  Translator translator(space);
  EXPECT_EQ(translator.translate(0x8000'0000'0010, 4, Access::read), pages.at(0) + 16);
  EXPECT_EQ(translator.translate(0xffff'8000'0000'0010, 4, Access::read), pages.at(0) + 16);
  EXPECT_EQ(translator.translate(0x1234'8000'0000'0010, 4, Access::read), nullptr);
  space.unmap(0x8000'0000'0000, page_size);
  EXPECT_EQ(translator.translate(0xffff'8000'0000'0010, 4, Access::read), nullptr);
}

TEST(address_space, translations_beside_mapping_and_unmapping_see_one_or_the_other) {
  AddressSpace space;
  Pages pages(2);
  ASSERT_TRUE(space.map(base, page_size, pages.at(0), {}));
  std::atomic<bool> end{false};
  std::thread mapper([&] {
    for (int i = 0; i < 2000; ++i) {
      space.map(base + page_size, page_size, pages.at(1), {});
      space.unmap(base + page_size, page_size);
    }
    end = true;
  });
  Translator translator(space);
  while (!end) {
    ASSERT_EQ(translator.translate(base, 8, Access::write), pages.at(0));
    std::byte* second = translator.translate(base + page_size, 8, Access::read);
    ASSERT_TRUE(second == nullptr || second == pages.at(1));
  }
  mapper.join();
}

TEST(address_space, a_range_that_drops_writes_reads_as_zeros) {
  AddressSpace space;
  Pages pages(2);
  std::memset(pages.at(0), 0, 2 * page_size);
  ASSERT_TRUE(space.map(base, 2 * page_size, pages.at(0), {.writable = false, .drops_writes = true}));
  Translator translator(space);
  for (int i = 0; i < 2; ++i) {
    std::byte* word = translator.translate(base + 8, 8, Access::write);
    ASSERT_NE(word, nullptr);
    EXPECT_NE(word, pages.at(0) + 8);
    EXPECT_EQ(*word, std::byte{0}) << "what an atomic finds";
    *word = std::byte{7};
  }
  const std::vector<char> bytes(page_size + 100, 'x');
  EXPECT_TRUE(translator.write(base + 50, bytes.data(), bytes.size()));
  EXPECT_FALSE(translator.write(base + page_size, bytes.data(), bytes.size())) << "beyond the range";
  std::vector<char> back(2 * page_size, 'y');
  ASSERT_TRUE(translator.read(base, back.data(), back.size()));
  EXPECT_EQ(back, std::vector<char>(2 * page_size));
  EXPECT_EQ(translator.translate(base + 2 * page_size - 4, 8, Access::write), nullptr);
}

} // namespace
