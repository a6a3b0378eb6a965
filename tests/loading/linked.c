/* A program linked with -lcuda. */
#include "use_cuda.h"

int main(void) {
  const struct Driver driver = {cuInit,     cuDriverGetVersion, cuCtxCreate, cuCtxDestroy,
                                cuMemAlloc, cuMemFree,          cuMemsetD32, cuMemcpyDtoH};
  return use_cuda(&driver);
}
