// printf in a kernel: the runtime's host calls print it.
#include "hip_client.hpp"

#include <string>
#include <unistd.h>

__global__ void report(int n) {
  if (static_cast<int>(threadIdx.x) < n)
    printf("thread %d of block %d says %s %.2f\n", static_cast<int>(threadIdx.x),
           static_cast<int>(blockIdx.x), "hello", threadIdx.x * 0.25);
}

int main() {
  int ends[2];
  if (pipe(ends) != 0)
    return 1;
  const int terminal = dup(STDOUT_FILENO);
  std::fflush(stdout);
  dup2(ends[1], STDOUT_FILENO);
  report<<<2, 64>>>(3);
  const hipError_t error = hipDeviceSynchronize();
  std::fflush(stdout);
  dup2(terminal, STDOUT_FILENO);
  close(ends[1]);
  CHECK(error);
  std::string text;
  char part[256];
  for (ssize_t n = 0; (n = read(ends[0], part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(n));
  std::fputs(text.c_str(), stdout);
  for (int block = 0; block < 2; ++block)
    for (int thread = 0; thread < 3; ++thread) {
      char line[100];
      std::snprintf(line, sizeof line, "thread %d of block %d says hello %.2f\n", thread, block, thread * 0.25);
      EXPECT(text.find(line) != std::string::npos);
    }
  return failures != 0;
}
