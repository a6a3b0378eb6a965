// SVM's two operations, as a program calls them.
#pragma once

#include "kfd_test_device.hpp"

#include <initializer_list>

namespace kfd_test {

using Attributes = std::vector<kfd_ioctl_svm_attribute>;

// 0 or a negative errno; the attributes are the kernel's answer.
inline long svm(int kfd, u32 op, u64 begin, u64 size, Attributes& attributes) {
  std::vector<char> bytes(sizeof(kfd_ioctl_svm_args) + attributes.size() * sizeof attributes[0]);
  const kfd_ioctl_svm_args args{begin, size, op, static_cast<u32>(attributes.size())};
  std::memcpy(bytes.data(), &args, sizeof args);
  if (!attributes.empty())
    std::memcpy(bytes.data() + sizeof args, attributes.data(), bytes.size() - sizeof args);
  const long error = call(kfd, _IOC(_IOC_READ | _IOC_WRITE, 'K', _IOC_NR(ioc::SVM), bytes.size()), bytes[0]);
  if (!attributes.empty())
    std::memcpy(attributes.data(), bytes.data() + sizeof args, bytes.size() - sizeof args);
  return error;
}

inline long set_svm(int kfd, const void* begin, u64 size, Attributes attributes) {
  return svm(kfd, SVM_OP_SET_ATTR, reinterpret_cast<u64>(begin), size, attributes);
}

// The answers, in the order of the questions; none where the kernel refuses.
inline Attributes get_svm(int kfd, const void* begin, u64 size, Attributes questions) {
  const long error = svm(kfd, SVM_OP_GET_ATTR, reinterpret_cast<u64>(begin), size, questions);
  EXPECT_EQ(error, 0);
  return questions;
}

inline char* anonymous(std::size_t size, int protection = PROT_READ | PROT_WRITE) {
  return static_cast<char*>(mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

} // namespace kfd_test
