// A range of the process's address space that is unmapped when its owner goes.
#pragma once

#include <cstddef>
#include <sys/mman.h>
#include <utility>

namespace shim::util {

class Mapping {
public:
  Mapping() = default;
  Mapping(void* address, std::size_t size) : address_(address), size_(size) {}
  Mapping(Mapping&& other) noexcept
      : address_(std::exchange(other.address_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    if (this != &other) {
      reset();
      address_ = std::exchange(other.address_, nullptr);
      size_ = std::exchange(other.size_, 0);
    }
    return *this;
  }
  ~Mapping() { reset(); }

  void* data() const { return address_; }
  std::size_t size() const { return size_; }
  bool valid() const { return address_ != nullptr; }
  // Gives the range up without unmapping it.
  void* release() {
    size_ = 0;
    return std::exchange(address_, nullptr);
  }
  void reset() {
    if (address_)
      ::munmap(std::exchange(address_, nullptr), std::exchange(size_, 0));
  }

private:
  void* address_ = nullptr;
  std::size_t size_ = 0;
};

} // namespace shim::util
