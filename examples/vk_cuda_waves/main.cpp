// Vulkan simulates waves on water, CUDA shades them, Vulkan reads the picture back: 60 times, every frame
// checked against a computation on the CPU. Memory and semaphores travel as file descriptors, within one
// process or from one to another.
#include <CLI/CLI.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <unistd.h>

#include "contact_sheet.hpp"
#include "cuda_side.hpp"
#include "fd_socket.hpp"
#include "leak_check.hpp"
#include "processes.hpp"
#include "simulation.hpp"
#include "vulkan_side.hpp"

namespace {

using namespace waves;

struct Options {
  SemaphoreKind semaphores = SemaphoreKind::binary;
  int processes = 1;
  std::uint32_t frames = 60;
  std::uint32_t size = 512;
  std::string sheet;
  bool check_leaks = false;
  int socket = -1; // of a second process: where the descriptors come from
};

Options parse(int argc, char** argv, int& status) {
  Options options;
  CLI::App app{"Vulkan and CUDA share memory and semaphores"};
  const std::map<std::string, SemaphoreKind> kinds = {{"binary", SemaphoreKind::binary},
                                                      {"timeline", SemaphoreKind::timeline}};
  app.add_option("--semaphores", options.semaphores, "binary or timeline")
      ->transform(CLI::CheckedTransformer(kinds));
  app.add_option("--processes", options.processes, "1, or 2 that pass descriptors over a socket")
      ->check(CLI::Range(1, 2));
  app.add_option("--frames", options.frames, "how many frames")->check(CLI::Range(1, 100000));
  app.add_option("--size", options.size, "cells on a side, a multiple of 128 or less than that")
      ->check(CLI::Range(16, 4096));
  app.add_option("--sheet", options.sheet, "write a contact sheet, a PNG, here");
  app.add_flag("--check-leaks", options.check_leaks,
               "fail if frames leave descriptors, threads or memory behind");
  app.add_option("--cuda-socket", options.socket)->group("");
  status = -1;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    status = app.exit(error);
  }
  return options;
}

// Differences between the GPU's pictures and the CPU's, over all frames.
struct Verdict {
  std::uint64_t wrong_heights = 0; // not equal to the bit
  std::uint32_t worst_channel = 0; // largest difference of an 8-bit channel

  bool passed() const { return wrong_heights == 0 && worst_channel <= 1; }
};

void compare(const VulkanSide& vulkan, const Reference& reference, Verdict& verdict) {
  const std::span<const float> height = vulkan.height();
  for (std::size_t i = 0; i < height.size(); ++i)
    if (height[i] != reference.height()[i])
      ++verdict.wrong_heights;
  const std::vector<std::uint32_t> expected = reference.shaded();
  const std::span<const std::uint32_t> rgba = vulkan.rgba();
  for (std::size_t i = 0; i < expected.size(); ++i)
    for (int shift = 0; shift < 32; shift += 8) {
      const int difference =
          std::abs(static_cast<int>(rgba[i] >> shift & 0xff) - static_cast<int>(expected[i] >> shift & 0xff));
      verdict.worst_channel = std::max(verdict.worst_channel, static_cast<std::uint32_t>(difference));
    }
}

bool leaked(const Holdings& before, const Holdings& after) {
#ifdef __SANITIZE_ADDRESS__
  constexpr std::size_t resident_slack_kib = 16384; // what was freed stays for a while
#else
  constexpr std::size_t resident_slack_kib = 4096; // allocator noise
#endif
  std::printf("  after a tenth of the frames: %zu fds, %zu threads, %zu mappings, %zu KiB resident\n"
              "  at the end:                  %zu fds, %zu threads, %zu mappings, %zu KiB resident\n",
              before.descriptors, before.threads, before.mappings, before.resident_kib, after.descriptors,
              after.threads, after.mappings, after.resident_kib);
  return after.descriptors > before.descriptors || after.threads > before.threads ||
         after.mappings > before.mappings + 2 ||
         after.resident_kib > before.resident_kib + resident_slack_kib;
}

// The second process: everything CUDA. It learns all that it needs from the socket.
int run_cuda_process(int socket) {
  end_with_parent(socket);
  const SharedObjects objects = receive_objects(socket);
  CudaSide cuda(&objects.parameters.device_uuid);
  cuda.import(objects);
  for (std::uint32_t frame = 0; frame < objects.parameters.frames; ++frame)
    cuda.enqueue_frame(frame);
  cuda.synchronize();
  return EXIT_SUCCESS;
}

int run(const Options& options) {
  std::unique_ptr<ChildProcess> child;
  std::unique_ptr<CudaSide> cuda;
  std::optional<std::array<std::uint8_t, 16>> uuid;
  if (options.processes == 2) {
    child = std::make_unique<ChildProcess>("--cuda-socket=");
  } else {
    cuda = std::make_unique<CudaSide>(nullptr);
    uuid = cuda->device_uuid();
  }

  VulkanSide vulkan(uuid, options.size, options.semaphores, initial_field(options.size));
  const SharedObjects objects = vulkan.export_objects(options.frames);
  if (cuda) {
    cuda->import(objects);
  } else {
    send_objects(child->socket(), objects);
    for (int fd : {objects.height_memory, objects.rgba_memory, objects.field_ready, objects.image_ready})
      close(fd);
  }
  std::printf("%s, %s semaphores, %d process%s: %u frames of %ux%u\n", vulkan.device_name(),
              options.semaphores == SemaphoreKind::timeline ? "timeline" : "binary", options.processes,
              options.processes == 1 ? "" : "es", options.frames, options.size, options.size);

  Reference reference(options.size);
  Verdict verdict;
  std::optional<ContactSheet> sheet;
  if (!options.sheet.empty())
    sheet.emplace(options.frames, options.size);
  Holdings before;
  for (std::uint32_t frame = 0; frame < options.frames; ++frame) {
    vulkan.submit_simulation(frame);
    if (cuda)
      cuda->enqueue_frame(frame);
    reference.advance_frame();
    vulkan.read_back(frame);
    compare(vulkan, reference, verdict);
    if (sheet)
      sheet->add(frame, vulkan.rgba());
    if (frame == options.frames / 10)
      before = count_holdings();
  }
  bool passed = verdict.passed();
  std::printf(
      "  heights that differ from the CPU's: %llu; largest difference of a colour channel: %u of 255\n",
      static_cast<unsigned long long>(verdict.wrong_heights), verdict.worst_channel);
  if (options.check_leaks)
    passed = !leaked(before, count_holdings()) && passed;
  if (sheet) {
    sheet->write_png(options.sheet);
    std::printf("  picture: %s\n", options.sheet.c_str());
  }
  if (child)
    child->wait();
  std::printf("  %s\n", passed ? "passed" : "FAILED");
  return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}

} // namespace

int main(int argc, char** argv) {
  int status = -1;
  const Options options = parse(argc, argv, status);
  if (status >= 0)
    return status;
  std::setvbuf(stdout, nullptr, _IOLBF, 0); // for whoever reads along
  try {
    return options.socket >= 0 ? run_cuda_process(options.socket) : run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "vk_cuda_waves: %s\n", error.what());
    return EXIT_FAILURE;
  }
}
