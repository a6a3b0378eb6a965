#include <core/device_names.hpp>
#include <gtest/gtest.h>

namespace {

using shim::core::parse_pci_address;
using shim::core::visible_devices;
using shim::kfd::PciAddress;
using Ordinals = std::vector<std::size_t>;

// Four cards: UUIDs that begin with c0ffee01, c0ffee02, 8bad and c0ff1e.
const std::vector<CUuuid> uuids = [] {
  std::vector<CUuuid> all(4);
  const unsigned char begins[4][4] = {
      {0xc0, 0xff, 0xee, 0x01}, {0xc0, 0xff, 0xee, 0x02}, {0x8b, 0xad, 0, 0}, {0xc0, 0xff, 0x1e, 0}};
  for (std::size_t i = 0; i < all.size(); ++i)
    for (int j = 0; j < 16; ++j)
      all[i].bytes[j] = static_cast<char>(j < 4 ? begins[i][j] : 16 * i + j);
  return all;
}();

Ordinals shown(std::string_view list) {
  return visible_devices(list, uuids);
}

TEST(VisibleDevices, are_numbers_in_the_order_of_the_list) {
  EXPECT_EQ((Ordinals{2, 0, 3}), shown("2,0,3"));
  EXPECT_EQ((Ordinals{1}), shown("1"));
  EXPECT_EQ((Ordinals{3, 1}), shown(" 3, 1 "));
}

TEST(VisibleDevices, end_at_the_first_entry_that_names_none) {
  EXPECT_EQ((Ordinals{0, 2}), shown("0,2,-1,1"));
  EXPECT_EQ((Ordinals{0}), shown("0,4,1"));
  EXPECT_EQ((Ordinals{0}), shown("0,,1"));
  EXPECT_EQ((Ordinals{0}), shown("0,nonsense,1"));
  EXPECT_EQ((Ordinals{0}), shown("0,99999999999999999999999,1"));
  EXPECT_EQ(Ordinals{}, shown("-1"));
  EXPECT_EQ(Ordinals{}, shown("NoDevFiles"));
}

TEST(VisibleDevices, are_none_for_an_empty_list) {
  EXPECT_EQ(Ordinals{}, shown(""));
  EXPECT_EQ(Ordinals{}, shown(" "));
  EXPECT_EQ(Ordinals{}, shown(","));
}

TEST(VisibleDevices, are_none_where_one_comes_twice) {
  EXPECT_EQ(Ordinals{}, shown("0,1,0"));
  EXPECT_EQ(Ordinals{}, shown("GPU-8bad,GPU-8b"));
  EXPECT_EQ((Ordinals{0, 1}), shown("0,1,9,0")); // the list has ended before
}

TEST(VisibleDevices, may_have_words_behind_their_number) {
  EXPECT_EQ((Ordinals{1, 2}), shown("1gpu,2:0"));
}

TEST(VisibleDevices, are_found_by_uuid) {
  const std::string whole = shim::core::uuid_name(uuids[1]);
  EXPECT_EQ("GPU-c0ffee02-1415-1617-1819-1a1b1c1d1e1f", whole);
  EXPECT_EQ((Ordinals{1}), shown(whole));
  EXPECT_EQ((Ordinals{1, 2}), shown(whole + "," + shim::core::uuid_name(uuids[2])));
  EXPECT_EQ((Ordinals{1}), shown("GPU-C0FFEE02-1415-1617-1819-1A1B1C1D1E1F"));
  EXPECT_EQ(Ordinals{}, shown(whole + "0"));
  EXPECT_EQ(Ordinals{}, shown(whole.substr(4)));
}

TEST(VisibleDevices, are_found_by_as_many_digits_as_tell_them_apart) {
  EXPECT_EQ((Ordinals{2, 3, 0}), shown("GPU-8,GPU-c0ff1,GPU-c0ffee01-0"));
  EXPECT_EQ((Ordinals{2}), shown("GPU-8bad,GPU-c0ffee,GPU-c0ff1e")); // c0ffee are two
  EXPECT_EQ(Ordinals{}, shown("GPU-"));
  EXPECT_EQ(Ordinals{}, shown("GPU-c0ffee03"));
}

TEST(VisibleDevices, are_all_named_as_the_first_is) {
  EXPECT_EQ((Ordinals{0}), shown("0,GPU-8bad,1"));
  EXPECT_EQ((Ordinals{2}), shown("GPU-8bad,0"));
}

TEST(PciAddress, has_three_forms) {
  EXPECT_EQ((PciAddress{1, 0x2a, 0x1f, 7}), parse_pci_address("0001:2a:1f.7"));
  EXPECT_EQ((PciAddress{0x10000, 0x2a, 0x1f, 7}), parse_pci_address("10000:2A:1F.7"));
  EXPECT_EQ((PciAddress{1, 0x2a, 0x1f, 0}), parse_pci_address("0001:2a:1f"));
  EXPECT_EQ((PciAddress{0, 0x2a, 0x1f, 7}), parse_pci_address("2a:1f.7"));
}

TEST(PciAddress, is_nothing_else) {
  for (const char* text :
       {"", "2a", "2a:1f", "2a.1f", "0:2a:1f.", "0:2a:", "0:2a:1f.7.1", "0:0:2a:1f", ":2a:1f.7", "0:2a:1f.7 ",
        " 0:2a:1f.7", "0x0:2a:1f.7", "0:2g:1f.7", "-1:2a:1f.7", "0:2a:1f:7", "100000000:2a:1f.7"})
    EXPECT_EQ(std::nullopt, parse_pci_address(text)) << text;
}

TEST(PciAddress, is_found_again_by_its_text) {
  const PciAddress pci = {0x1a, 0x2b, 0x0c, 5};
  EXPECT_EQ("001a:2b:0c.5", shim::core::pci_address_text(pci));
  EXPECT_EQ(pci, parse_pci_address(shim::core::pci_address_text(pci)));
}

} // namespace
