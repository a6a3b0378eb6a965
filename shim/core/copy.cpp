#include <core/copy.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include <core/blit.hpp>
#include <core/driver.hpp>
#include <core/staging.hpp>

namespace shim::core {

namespace {

constexpr std::uint64_t inline_bytes = 16 * 1024;

// One side, after a look at what its address is.
struct Side {
  std::uint64_t address = 0, pitch = 0, slice = 0;
  bool gpu = false;                 // the GPU reaches it
  bool host = false;                // it is host memory, pinned or pageable
  bool device = false;              // it is not the CPU's: neither host memory nor managed
  bool sync = false;                // CU_POINTER_ATTRIBUTE_SYNC_MEMOPS: copies of it are synchronous
  std::shared_ptr<const void> keep; // the memory stays until the copy is in the stream
};

// From the first byte to behind the last one; false where that wraps around.
bool extent_of(std::uint64_t width, std::uint64_t height, std::uint64_t depth, std::uint64_t pitch,
               std::uint64_t slice, std::uint64_t& extent) {
  std::uint64_t rows, slices;
  return !__builtin_mul_overflow(height - 1, pitch, &rows) &&
         !__builtin_mul_overflow(depth - 1, slice, &slices) &&
         !__builtin_add_overflow(rows, slices, &extent) && !__builtin_add_overflow(extent, width, &extent);
}

Result<Side> resolve(const CopySide& side, const CopyRequest& request) {
  std::uint64_t extent, end;
  if (side.address == 0 ||
      !extent_of(request.width, request.height, request.depth, side.pitch, side.slice, extent) ||
      __builtin_add_overflow(side.address, extent, &end))
    return util::fail(CUDA_ERROR_INVALID_VALUE, "copy: bad range at {:#x}", side.address);
  Side result = {side.address, side.pitch, side.slice};
  std::optional<HeldAllocation> found = driver().allocations().hold(side.address);
  if (found && found->contains(side.address, extent)) {
    result.gpu = true;
    result.host = found->is_host();
    result.device = !found->cpu_uses();
    result.sync = found->sync_memops;
    result.keep = std::move(found->keep);
    return result;
  }
  bool host_memory = !found || found->cpu_uses();
  if (side.kind == PointerKind::device || !host_memory)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "copy: [{:#x}, {:#x}) is not inside an allocation",
                      side.address, end);
  result.host = true;
  return result;
}

// A part of a copy that fits into a staging block: `rows` rows of `width` bytes, packed.
struct Piece {
  std::uint64_t x, y, z, width, rows;
};

template <class Visit>
Result<void> for_each_piece(const CopyRequest& request, std::uint64_t capacity, Visit&& visit) {
  std::uint64_t width = std::min(request.width, capacity);
  std::uint64_t rows = request.width <= capacity ? std::max<std::uint64_t>(1, capacity / request.width) : 1;
  for (std::uint64_t z = 0; z < request.depth; ++z)
    for (std::uint64_t y = 0; y < request.height; y += rows)
      for (std::uint64_t x = 0; x < request.width; x += width) {
        Piece piece = {x, y, z, std::min(width, request.width - x), std::min(rows, request.height - y)};
        if (Result<void> visited = visit(piece); !visited)
          return visited;
      }
  return {};
}

std::uint64_t address_of(const Side& side, const Piece& piece) {
  return side.address + piece.z * side.slice + piece.y * side.pitch + piece.x;
}

void gather(std::byte* packed, const Side& side, const Piece& piece) {
  const auto* rows = reinterpret_cast<const std::byte*>(address_of(side, piece));
  for (std::uint64_t row = 0; row < piece.rows; ++row)
    std::memcpy(packed + row * piece.width, rows + row * side.pitch, piece.width);
}

void scatter(const std::byte* packed, const Side& side, const Piece& piece) {
  auto* rows = reinterpret_cast<std::byte*>(address_of(side, piece));
  for (std::uint64_t row = 0; row < piece.rows; ++row)
    std::memcpy(rows + row * side.pitch, packed + row * piece.width, piece.width);
}

CopyRegion region_of(const Piece& piece) {
  CopyRegion region;
  region.width = piece.width;
  region.height = piece.rows;
  return region;
}

// The bytes travel with the command.
Result<void> upload_inline(Stream& stream, const BlitKernels& blit, const CopyRequest& request,
                           const Side& to, const Side& from) {
  return for_each_piece(request, inline_bytes, [&](const Piece& piece) -> Result<void> {
    std::array<std::byte, inline_bytes> packed;
    gather(packed.data(), from, piece);
    CopyRegion region = region_of(piece);
    region.destination = address_of(to, piece);
    region.destination_pitch = to.pitch;
    region.source_pitch = piece.width;
    return blit.copy(stream, region, std::span(packed.data(), piece.width * piece.rows));
  });
}

// Pageable to GPU: returns when every byte was read from the source.
Result<void> upload(Stream& stream, const BlitKernels& blit, const CopyRequest& request, const Side& to,
                    const Side& from) {
  // Pinned memory is not given to a stream that may never come to use it.
  if (request.width * request.height * request.depth <= inline_bytes || stream.held())
    return upload_inline(stream, blit, request, to, from);
  Staging& staging = stream.context().staging();
  return for_each_piece(request, Staging::block_bytes, [&](const Piece& piece) -> Result<void> {
    Result<std::unique_ptr<Staging::Block>> block = staging.acquire();
    if (!block)
      return block.error();
    gather((*block)->buffer.cpu_as<std::byte>(), from, piece);
    CopyRegion region = region_of(piece);
    region.destination = address_of(to, piece);
    region.destination_pitch = to.pitch;
    region.source = (*block)->buffer.address();
    region.source_pitch = piece.width;
    if (Result<void> copied = blit.copy(stream, region); !copied) {
      staging.release(std::move(*block), MarkerRef());
      return copied;
    }
    Result<MarkerRef> busy = stream.record(kfd::SignalKind::interrupting);
    if (!busy) {
      staging.abandon(std::move(*block));
      return busy.error();
    }
    staging.release(std::move(*block), std::move(*busy));
    return {};
  });
}

// GPU to pageable: the GPU fills one block while the CPU empties the one before.
class Download {
public:
  Download(Stream& stream, const BlitKernels& blit, const Side& to, const Side& from)
      : stream_(stream), blit_(blit), to_(to), from_(from) {}

  Result<void> start(const Piece& piece) {
    Result<std::unique_ptr<Staging::Block>> block = stream_.context().staging().acquire();
    if (!block)
      return block.error();
    CopyRegion region = region_of(piece);
    region.destination = (*block)->buffer.address();
    region.destination_pitch = piece.width;
    region.source = address_of(from_, piece);
    region.source_pitch = from_.pitch;
    if (Result<void> copied = blit_.copy(stream_, region); !copied) {
      stream_.context().staging().release(std::move(*block), MarkerRef());
      return copied;
    }
    Result<MarkerRef> done = stream_.record(kfd::SignalKind::interrupting);
    if (!done) {
      stream_.context().staging().abandon(std::move(*block));
      return done.error();
    }
    Running next = {std::move(*block), std::move(*done), piece};
    Result<void> before = finish();
    running_ = std::move(next);
    return before;
  }

  Result<void> finish() {
    if (!running_.block)
      return {};
    Result<void> waited = running_.done->wait();
    if (waited)
      scatter(running_.block->buffer.cpu_as<std::byte>(), to_, running_.piece);
    stream_.context().staging().release(std::move(running_.block), std::move(running_.done));
    return waited;
  }

private:
  struct Running {
    std::unique_ptr<Staging::Block> block;
    MarkerRef done;
    Piece piece = {};
  };
  Stream& stream_;
  const BlitKernels& blit_;
  const Side& to_;
  const Side& from_;
  Running running_;
};

Result<void> download(Stream& stream, const BlitKernels& blit, const CopyRequest& request, const Side& to,
                      const Side& from) {
  Download download(stream, blit, to, from);
  Result<void> started = for_each_piece(request, Staging::block_bytes,
                                        [&](const Piece& piece) { return download.start(piece); });
  Result<void> finished = download.finish();
  return started ? finished : started;
}

Result<void> copy_on_host(Stream& stream, const CopyRequest& request, const Side& to, const Side& from) {
  if (Result<void> reached = stream.synchronize(); !reached)
    return reached;
  for (std::uint64_t z = 0; z < request.depth; ++z)
    for (std::uint64_t y = 0; y < request.height; ++y)
      std::memmove(reinterpret_cast<void*>(to.address + z * to.slice + y * to.pitch),
                   reinterpret_cast<const void*>(from.address + z * from.slice + y * from.pitch),
                   request.width);
  return {};
}

// One long row keeps only a line of work-groups busy, and rows without gaps are one row.
void simplify(CopyRegion& region) {
  if (region.depth == 1 && region.height > 1 && region.destination_pitch == region.width &&
      region.source_pitch == region.width) {
    region.width *= region.height;
    region.height = 1;
  }
}

Result<void> copy_on_gpu(Stream& stream, const BlitKernels& blit, const CopyRequest& request, const Side& to,
                         const Side& from) {
  constexpr std::uint64_t most_slices = 0xffffffff;
  CopyRegion region = {to.address, from.address,  to.pitch,       from.pitch,   to.slice,
                       from.slice, request.width, request.height, request.depth};
  if (request.depth > most_slices)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "copy: {} slices", request.depth);
  simplify(region);
  return blit.copy(stream, region);
}

} // namespace

Result<void> copy(Stream& stream, const CopyRequest& request, bool synchronous) {
  if (request.width == 0 || request.height == 0 || request.depth == 0)
    return {};
  Result<Side> to = resolve(request.destination, request);
  if (!to)
    return to.error();
  Result<Side> from = resolve(request.source, request);
  if (!from)
    return from.error();
  if (!to->gpu && !from->gpu)
    return copy_on_host(stream, request, *to, *from);
  Result<const BlitKernels*> blit = stream.context().device().blit();
  if (!blit)
    return blit.error();
  if (!to->gpu)
    return download(stream, **blit, request, *to, *from);
  Result<void> queued = from->gpu ? copy_on_gpu(stream, **blit, request, *to, *from)
                                  : upload(stream, **blit, request, *to, *from);
  bool waits =
      (synchronous && !(to->device && from->device)) || (to->host && from->host) || to->sync || from->sync;
  if (!queued || !waits)
    return queued;
  return stream.synchronize();
}

Result<void> fill(Stream& stream, const FillRequest& request, bool synchronous) {
  FillRegion region;
  region.destination = request.address;
  region.pitch = request.pitch;
  region.height = request.height;
  std::uint64_t extent;
  if (__builtin_mul_overflow(request.width, std::uint64_t{request.value_size}, &region.width))
    return util::fail(CUDA_ERROR_INVALID_VALUE, "memset: {} values", request.width);
  if (region.width == 0 || region.height == 0)
    return {};
  bool pitch_matters = region.height > 1;
  if (request.address % request.value_size != 0 ||
      (pitch_matters && request.pitch % request.value_size != 0) ||
      (pitch_matters && request.pitch < region.width))
    return util::fail(CUDA_ERROR_INVALID_VALUE,
                      "memset: {:#x}, pitch {}, does not suit rows of {} values of {} bytes", request.address,
                      request.pitch, request.width, request.value_size);
  std::optional<HeldAllocation> found = driver().allocations().hold(request.address);
  if (!extent_of(region.width, region.height, 1, request.pitch, 0, extent) || !found ||
      !found->contains(request.address, extent))
    return util::fail(CUDA_ERROR_INVALID_VALUE,
                      "memset: {} rows of {} bytes at {:#x} are not inside an allocation", region.height,
                      region.width, request.address);
  region.pattern = request.value_size == 1   ? (request.value & 0xff) * 0x01010101u
                   : request.value_size == 2 ? (request.value & 0xffff) * 0x00010001u
                                             : request.value;
  Result<const BlitKernels*> blit = stream.context().device().blit();
  if (!blit)
    return blit.error();
  Result<void> queued = (*blit)->fill(stream, region);
  if (!queued || !((synchronous && found->cpu_uses()) || found->sync_memops))
    return queued;
  return stream.synchronize();
}

} // namespace shim::core
