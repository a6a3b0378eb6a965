#include "generated_programs.h"

u32 host_program(u32 which, u32 x, u32 y, u32* memory) {
  u32 shared[8];
  for (u32 word = 0; word < 8; ++word)
    shared[word] = x + word;
  switch (which) {
#define CASE(number)                                                                                         \
  case number:                                                                                               \
    return program_##number(x, y, memory, shared);
    PROGRAMS(CASE)
  }
  return 0;
}
