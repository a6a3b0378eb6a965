// cuLaunchHostFunc and cuStreamAddCallback: functions of the application's that run in stream order.
//
// They run on one thread of the context's, never on the application's and never on one that completes GPU
// work, in the order in which their streams reach them.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <core/marker.hpp>
#include <core/waker.hpp>

namespace shim::core {

class Context;
class Stream;

class HostFunctions {
public:
  explicit HostFunctions(Context& context) : context_(context) {}
  // Functions whose stream has reached them have run; the others never will.
  ~HostFunctions();

  // `function(status)`; work after it in the stream waits for it. `even_on_error`: called with the error,
  // too.
  Result<void> enqueue(Stream& stream, std::function<void(CUresult)> function, bool even_on_error);

private:
  struct Pending {
    MarkerRef reached;  // the GPU: the stream is here
    MarkerRef returned; // us: go on
    std::function<void(CUresult)> function;
    bool even_on_error;
  };
  Result<void> start_locked();
  void run();
  bool run_ready(std::vector<Pending>& pending);

  Context& context_;
  std::mutex mutex_;
  std::vector<Pending> incoming_;
  Waker waker_;
  bool stopping_ = false;
  CUresult ended_ = CUDA_SUCCESS; // the error that ended the thread before its time
  std::thread thread_;
};

} // namespace shim::core
