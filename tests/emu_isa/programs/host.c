#include "programs.h"

u32 host_program(u32 which, u32 x, u32 y) {
  return run_program(which, x, y);
}
