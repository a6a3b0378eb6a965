// A vector whose first elements need no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace shim::util {

// T is default-constructible and movable. Elements lie in one piece. What was moved from is to be dropped.
template <class T, std::size_t count>
class SmallVector {
public:
  void push_back(T value) {
    if (size_ < count) {
      few_[size_++] = std::move(value);
      return;
    }
    if (size_ == count)
      many_.assign(std::make_move_iterator(few_.begin()), std::make_move_iterator(few_.end()));
    many_.push_back(std::move(value));
    ++size_;
  }
  std::size_t size() const { return size_; }
  T* begin() { return size_ > count ? many_.data() : few_.data(); }
  T* end() { return begin() + size_; }
  T& operator[](std::size_t index) { return begin()[index]; }

private:
  std::array<T, count> few_ = {};
  std::vector<T> many_;
  std::size_t size_ = 0;
};

} // namespace shim::util
