/* A program that looks the driver up at run time, as most do. */
#include "use_cuda.h"

#include <dlfcn.h>
#include <string.h>

static int missing;

static void* look_up(void* library, const char* name) {
  void* symbol = dlsym(library, name);
  if (!symbol) {
    fprintf(stderr, "%s is not exported\n", name);
    missing = 1;
  }
  return symbol;
}

#define LOOK_UP(member, name)                                                                                \
  do {                                                                                                       \
    void* symbol_ = look_up(library, name);                                                                  \
    memcpy(&driver.member, &symbol_, sizeof symbol_);                                                        \
  } while (0)

int main(void) {
  struct Driver driver;
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  LOOK_UP(init, "cuInit");
  LOOK_UP(version, "cuDriverGetVersion");
  LOOK_UP(create, "cuCtxCreate_v2");
  LOOK_UP(destroy, "cuCtxDestroy_v2");
  LOOK_UP(alloc, "cuMemAlloc_v2");
  LOOK_UP(release, "cuMemFree_v2");
  LOOK_UP(fill, "cuMemsetD32_v2");
  LOOK_UP(read, "cuMemcpyDtoH_v2");
  return missing ? 1 : use_cuda(&driver);
}
