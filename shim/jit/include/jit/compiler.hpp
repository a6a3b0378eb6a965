// PTX in, gfx machine code out.
//
// load_module() parses and checks a whole PTX module and says what core needs to know about it: its entries,
// their parameters, its variables. compile() makes one entry into code for one GPU. Both may be called from
// any thread.
//
// The parser is part of this library. LLVM is not: it lives in libcuda-shim-jit.so, which is opened on first
// need. It is looked for beside the shared object that holds this code, or where CUDA_SHIM_JIT_LIBRARY says.
// What was compiled once is kept in the cache on disk (CUDA_CACHE_PATH, CUDA_CACHE_DISABLE,
// CUDA_CACHE_MAXSIZE), and then LLVM is not opened at all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <util/error.hpp>

namespace shim::jit {

// One formal parameter of an entry, where cuLaunchKernel puts its value: bytes from the start of the
// parameter block.
struct Parameter {
  std::string name;
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
  std::uint32_t alignment = 1;
};

// One .entry.
struct Entry {
  std::string name;
  std::vector<Parameter> parameters;
  std::uint32_t parameter_bytes = 0;                         // end of the last parameter
  std::array<std::uint32_t, 3> max_threads = {0, 0, 0};      // .maxntid, zeros where absent
  std::array<std::uint32_t, 3> required_threads = {0, 0, 0}; // .reqntid, zeros where absent
  std::uint32_t min_blocks = 0;                              // .minnctapersm, 0 where absent
  bool visible = false;                                      // cuModuleGetFunction finds it
};

// Eight bytes (or `width`) at `offset` in a variable's initial contents become the address of another
// variable, plus addend.
struct Relocation {
  std::uint64_t offset = 0;
  std::uint32_t variable = 0; // index in ModuleInfo::variables
  std::int64_t addend = 0;
  std::uint32_t width = 8;
};

struct InitialBytes {
  std::uint64_t offset = 0;
  std::vector<std::byte> bytes;
};

enum class VariableSpace { global, constant };
enum class VariableKind { data, texture_reference, sampler_reference, surface_reference };

// One module-scope variable in .global or .const. Core allocates device memory for each one, once per loaded
// module.
struct Variable {
  std::string name;
  VariableSpace space = VariableSpace::global;
  VariableKind kind = VariableKind::data;
  std::uint64_t size = 0;
  std::uint32_t alignment = 1;
  std::vector<InitialBytes> initial; // zeros elsewhere
  std::vector<Relocation> relocations;
  bool visible = false;  // cuModuleGetGlobal finds it
  bool external = false; // declared only: another module must define it
};

struct ModuleInfo {
  std::vector<Entry> entries;
  std::vector<Variable> variables;
  std::uint32_t ptx_version = 0;   // 10 * major + minor
  std::uint32_t target = 0;        // 61 for sm_61
  std::uint32_t address_bits = 64; // 32 is refused
};

namespace ptx {
struct Module; // the syntax tree, jit/../ptx/ast.hpp
}

// A parsed and checked module. Immutable.
class Module {
public:
  explicit Module(std::unique_ptr<const ptx::Module> tree, ModuleInfo info,
                  std::array<std::uint8_t, 20> hash);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  const ModuleInfo& info() const { return info_; }
  const ptx::Module& tree() const { return *tree_; }
  // SHA-1 of the source text: the cache's key.
  const std::array<std::uint8_t, 20>& hash() const { return hash_; }

private:
  std::unique_ptr<const ptx::Module> tree_;
  ModuleInfo info_;
  std::array<std::uint8_t, 20> hash_;
};

// What CU_JIT_ERROR_LOG_BUFFER and CU_JIT_INFO_LOG_BUFFER receive.
struct Log {
  std::string errors; // "line 12: unknown instruction `foo.bar`", one a line
  std::string info;
};

// Parses PTX text (a trailing NUL is allowed and ends it) and checks that every function in it can be
// compiled. CUDA_ERROR_INVALID_PTX where it is not PTX that we know, with the reason in log->errors;
// CUDA_ERROR_JIT_COMPILER_NOT_FOUND where libcuda-shim-jit.so is missing. `log` may be null.
util::Result<std::shared_ptr<const Module>> load_module(std::string_view ptx, Log* log);

// What compiled code finds behind the parameter block of its kernarg segment, at Kernel::implicit_offset. The
// launcher fills in all of it.
struct ImplicitArguments {
  std::uint32_t grid_blocks[3];   // %nctaid: grid size in blocks
  std::uint32_t block_threads[3]; // %ntid
  std::uint32_t dynamic_shared_bytes;
  std::uint32_t reserved; // 0
  // GPU address of a table of 64-bit device addresses, one for each of ModuleInfo::variables, in that order.
  // Read-only to the GPU, alive as long as the module. May be 0 for a module without variables.
  std::uint64_t variable_addresses;
  std::uint64_t grid_id; // %gridid: any number that differs from launch to launch
};
static_assert(sizeof(ImplicitArguments) == 48);

// One entry as machine code. `image` is position-independent and has no relocations: copy it to executable
// GPU memory that is aligned to image_alignment, and put (GPU address of the copy + descriptor_offset) into
// the AQL packet's kernel_object. The descriptor is an amd::hsa::kernel_descriptor_t (64 bytes).
//
// Kernarg segment of a launch: kernarg_bytes bytes, aligned to kernarg_alignment: CUDA's parameter block,
// each parameter at its Parameter::offset, then ImplicitArguments at implicit_offset. AQL group_segment_size
// = static_shared_bytes + the launch's dynamic shared memory (which the code expects right behind the static
// part); private_segment_size = private_bytes, or private_bytes + the context's stack size limit where
// dynamic_stack is set.
struct Kernel {
  std::vector<std::byte> image;
  std::uint32_t image_alignment = 256;
  std::uint32_t descriptor_offset = 0;
  std::uint32_t kernarg_bytes = 0;
  std::uint32_t kernarg_alignment = 16;
  std::uint32_t implicit_offset = 0;
  std::uint32_t static_shared_bytes = 0; // a multiple of 16
  std::uint32_t private_bytes = 0;       // scratch for each work-item
  bool dynamic_stack = false;            // recursion: private_bytes is a lower bound
  std::uint32_t wavefront_size = 32;
  std::uint32_t max_threads = 1024; // per block
  std::uint32_t vgprs = 0;          // vector registers of a work-item: CU_FUNC_ATTRIBUTE_NUM_REGS
  std::uint32_t sgprs = 0;
};

// What compiled code expects of the machine.
struct Target {
  std::string gfx = "gfx1030"; // LLVM's processor name: any gfx10 or later
  unsigned optimization = 3;   // CU_JIT_OPTIMIZATION_LEVEL, 0 to 4
};

// Compiles one entry (an index in ModuleInfo::entries). Slow (milliseconds to seconds) unless the cache has
// it. CUDA_ERROR_NO_BINARY_FOR_GPU for a processor that LLVM does not know, CUDA_ERROR_INVALID_PTX with
// log->errors where the code cannot be made (for instance, a call of a function that no one defines),
// CUDA_ERROR_JIT_COMPILER_NOT_FOUND.
util::Result<std::shared_ptr<const Kernel>> compile(const Module& module, std::size_t entry,
                                                    const Target& target, Log* log);

} // namespace shim::jit
