/* A program that closes the library, with work under way, and opens it again: from the main thread, and from
 * a thread that ends. */
#include <cuda.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXPECT_SUCCESS(call)                                                                                 \
  do {                                                                                                       \
    CUresult result_ = (call);                                                                               \
    if (result_ != CUDA_SUCCESS) {                                                                           \
      fprintf(stderr, "%s answered %d\n", #call, (int)result_);                                              \
      return 1;                                                                                              \
    }                                                                                                        \
  } while (0)

static int called[2];

static void note_call(void* data) {
  ssize_t written = write(called[1], data, 1);
  (void)written;
}

static void* look_up(void* library, const char* name) {
  void* symbol = dlsym(library, name);
  if (!symbol)
    fprintf(stderr, "%s is not exported\n", name);
  return symbol;
}

#define LOOK_UP(function, name)                                                                              \
  do {                                                                                                       \
    void* symbol_ = look_up(library, name);                                                                  \
    if (!symbol_)                                                                                            \
      return 1;                                                                                              \
    memcpy(&(function), &symbol_, sizeof symbol_);                                                           \
  } while (0)

/* Leaves a callback behind a long fill in a stream. 0 where it is so. */
static int leave_work(char* message) {
  CUresult (*init)(unsigned);
  CUresult (*create)(CUcontext*, unsigned, CUdevice);
  CUresult (*alloc)(CUdeviceptr*, size_t);
  CUresult (*create_stream)(CUstream*, unsigned);
  CUresult (*fill)(CUdeviceptr, unsigned, size_t, CUstream);
  CUresult (*call_host)(CUstream, CUhostFn, void*);
  CUcontext context;
  CUdeviceptr memory;
  CUstream stream;
  enum { words = 16 << 20 };
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (!library) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  LOOK_UP(init, "cuInit");
  LOOK_UP(create, "cuCtxCreate_v2");
  LOOK_UP(alloc, "cuMemAlloc_v2");
  LOOK_UP(create_stream, "cuStreamCreate");
  LOOK_UP(fill, "cuMemsetD32Async");
  LOOK_UP(call_host, "cuLaunchHostFunc");
  EXPECT_SUCCESS(init(0));
  EXPECT_SUCCESS(create(&context, 0, 0));
  EXPECT_SUCCESS(alloc(&memory, words * sizeof(unsigned)));
  EXPECT_SUCCESS(create_stream(&stream, CU_STREAM_NON_BLOCKING));
  EXPECT_SUCCESS(fill(memory, 1, words, stream));
  EXPECT_SUCCESS(call_host(stream, note_call, message));
  return dlclose(library);
}

static void* leave_work_and_end(void* message) {
  return leave_work(message) == 0 ? message : NULL;
}

static int expect_call(char message) {
  char got = 0;
  return read(called[0], &got, 1) == 1 && got == message ? 0 : 1;
}

int main(void) {
  static char messages[] = "abc";
  pthread_t thread;
  void* ended = NULL;
  int i;
  if (pipe(called) != 0)
    return 1;
  for (i = 0; i < 2; ++i)
    if (leave_work(&messages[i]) != 0 || expect_call(messages[i]) != 0)
      return 1;
  if (pthread_create(&thread, NULL, leave_work_and_end, &messages[2]) != 0 ||
      pthread_join(thread, &ended) != 0)
    return 1;
  if (!ended || expect_call(messages[2]) != 0 || leave_work(&messages[0]) != 0 ||
      expect_call(messages[0]) != 0)
    return 1;
  puts("alive");
  return 0;
}
