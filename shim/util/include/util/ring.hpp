// A first-in first-out queue in one piece of memory that it keeps: once it has grown it allocates no more.
#pragma once

#include <cassert>
#include <cstddef>
#include <utility>
#include <vector>

namespace shim::util {

// T is default-constructible and movable. Not thread-safe. Empty ones own no memory.
template <class T>
class Ring {
public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T& front() { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  T& operator[](std::size_t index) {
    assert(index < size_);
    return slots_[(first_ + index) & (slots_.size() - 1)];
  }

  // May throw std::bad_alloc: room for one more, so that the next push_back() does not.
  void make_room() {
    if (size_ < slots_.size())
      return;
    std::vector<T> larger(slots_.empty() ? 4 : slots_.size() * 2); // a power of two
    for (std::size_t i = 0; i < size_; ++i)
      larger[i] = std::move((*this)[i]);
    slots_ = std::move(larger);
    first_ = 0;
  }
  T& push_back(T value) {
    make_room();
    ++size_;
    return back() = std::move(value);
  }
  T pop_front() {
    T value = std::exchange(front(), T());
    first_ = (first_ + 1) & (slots_.size() - 1);
    --size_;
    return value;
  }
  T pop_back() {
    T value = std::exchange(back(), T());
    --size_;
    return value;
  }

private:
  std::vector<T> slots_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

} // namespace shim::util
