/* Children that are forked while another thread creates and destroys contexts: each is told at once that it
 * has no driver. */
#include <cuda.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { children = 60, patience_seconds = 60 };

static atomic_int over, made;

static void* churn(void* unused) {
  while (!atomic_load(&over)) {
    CUcontext context = NULL;
    if (cuCtxCreate(&context, 0, 0) != CUDA_SUCCESS || cuCtxDestroy(context) != CUDA_SUCCESS)
      return &over; /* not null */
    atomic_fetch_add(&made, 1);
  }
  return unused;
}

/* What a child gets, as an exit status. */
static int call_everything(CUcontext context, CUstream stream, CUdeviceptr memory) {
  CUdeviceptr address = 0;
  CUcontext created = NULL;
  int count = 0;
  const CUresult results[] = {cuInit(0),
                              cuInit(0),
                              cuDeviceGetCount(&count),
                              cuCtxCreate(&created, 0, 0),
                              cuCtxSetCurrent(context),
                              cuCtxSynchronize(),
                              cuMemAlloc(&address, 16),
                              cuMemFree(memory),
                              cuStreamSynchronize(stream),
                              cuStreamDestroy(stream),
                              cuDevicePrimaryCtxRetain(&created, 0),
                              cuCtxDestroy(context)};
  for (size_t i = 0; i < sizeof results / sizeof *results; ++i)
    if (results[i] != CUDA_ERROR_NOT_INITIALIZED)
      return 1 + (int)i;
  return 0;
}

int main(void) {
  CUcontext context = NULL;
  CUstream stream = NULL;
  CUdeviceptr memory = 0;
  pthread_t thread;
  void* failed = NULL;
  int bad = 0;
  if (cuInit(0) != CUDA_SUCCESS || cuCtxCreate(&context, 0, 0) != CUDA_SUCCESS ||
      cuStreamCreate(&stream, 0) != CUDA_SUCCESS || cuMemAlloc(&memory, 4096) != CUDA_SUCCESS ||
      pthread_create(&thread, NULL, churn, NULL) != 0)
    return 1;
  for (int i = 0; i < children; ++i) {
    int status = 0;
    pid_t child;
    usleep((useconds_t)(rand() % 5000)); /* not to wait: for another moment of the other thread's */
    child = fork();
    if (child == 0) {
      alarm(patience_seconds);
      status = call_everything(context, stream, memory);
      if (i % 2)
        exit(status); /* with all handlers */
      _exit(status);
    }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      fprintf(stderr, "child %d ended with %#x\n", i, (unsigned)status);
      if (++bad == 3)
        break;
    }
  }
  atomic_store(&over, 1);
  pthread_join(thread, &failed);
  printf("%d children were wrong or hung, %d contexts meanwhile\n", bad, atomic_load(&made));
  if (bad || failed || atomic_load(&made) == 0)
    return 1;
  return cuCtxDestroy(context) == CUDA_SUCCESS ? 0 : 1;
}
