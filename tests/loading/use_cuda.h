/* What both programs do with the driver, however they found it. C, to show that cuda.h is. */
#ifndef USE_CUDA_H
#define USE_CUDA_H

#include <stdio.h>

#include <cuda.h>

struct Driver {
  CUresult (*init)(unsigned);
  CUresult (*version)(int*);
  CUresult (*create)(CUcontext*, unsigned, CUdevice);
  CUresult (*destroy)(CUcontext);
  CUresult (*alloc)(CUdeviceptr*, size_t);
  CUresult (*release)(CUdeviceptr);
  CUresult (*fill)(CUdeviceptr, unsigned, size_t);
  CUresult (*read)(void*, CUdeviceptr, size_t);
};

#define EXPECT_SUCCESS(call)                                                                                 \
  do {                                                                                                       \
    CUresult result_ = (call);                                                                               \
    if (result_ != CUDA_SUCCESS) {                                                                           \
      fprintf(stderr, "%s answered %d\n", #call, (int)result_);                                              \
      return 1;                                                                                              \
    }                                                                                                        \
  } while (0)

/* Fills device memory and reads it back. 0 where all is as it should be. */
static int use_cuda(const struct Driver* driver) {
  enum { words = 1000 };
  static unsigned host[words];
  int version = 0, i;
  CUcontext context;
  CUdeviceptr memory;
  EXPECT_SUCCESS(driver->init(0));
  EXPECT_SUCCESS(driver->version(&version));
  EXPECT_SUCCESS(driver->create(&context, 0, 0));
  EXPECT_SUCCESS(driver->alloc(&memory, sizeof host));
  EXPECT_SUCCESS(driver->fill(memory, 0x1234abcd, words));
  EXPECT_SUCCESS(driver->read(host, memory, sizeof host));
  EXPECT_SUCCESS(driver->release(memory));
  EXPECT_SUCCESS(driver->destroy(context));
  for (i = 0; i < words; ++i) {
    if (host[i] != 0x1234abcd) {
      fprintf(stderr, "word %d is %#x\n", i, host[i]);
      return 1;
    }
  }
  printf("driver %d\n", version);
  return version == 10010 ? 0 : 1;
}

#endif
