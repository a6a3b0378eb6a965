#include "leak_check.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <unistd.h>

namespace waves {

namespace {

std::size_t entries(const char* directory) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(directory), std::filesystem::directory_iterator()));
}

} // namespace

Holdings count_holdings() {
  Holdings holdings;
  holdings.descriptors = entries("/proc/self/fd");
  holdings.threads = entries("/proc/self/task");
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);)
    ++holdings.mappings;
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  holdings.resident_kib = resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE)) / 1024;
  return holdings;
}

} // namespace waves
