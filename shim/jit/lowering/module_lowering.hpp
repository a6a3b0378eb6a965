// One PTX entry, and the functions that it calls, as an LLVM module.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <llvm/IR/LLVMContext.h>
#include <llvm/IR/Module.h>

#include "../ptx/ast.hpp"

namespace shim::jit {

// amdgpu's address spaces.
enum AddressSpace : unsigned {
  as_generic = 0,
  as_global = 1,
  as_shared = 3,
  as_constant = 4,
  as_private = 5
};

// A gfx processor, as far as the lowering must tell them apart.
struct GfxVersion {
  unsigned major = 10;
  unsigned minor = 3;
};

class ModuleLowering {
public:
  ModuleLowering(llvm::LLVMContext& context, const ptx::Module& tree, GfxVersion gfx);

  // Lowers the function, an entry or not, and all that it calls. Throws ptx::Error.
  void lower(std::uint32_t function);
  // Lowers just this function, only to see that it can be done: calls of functions that the driver provides
  // pass.
  void lower_alone(std::uint32_t function);
  bool checking() const { return checking_; }

  llvm::Module& module() { return *module_; }
  std::unique_ptr<llvm::Module> take() { return std::move(module_); }
  const ptx::Module& tree() const { return tree_; }
  GfxVersion gfx() const { return gfx_; }

  // The LLVM function of a .func. It returns whether its thread has exited, and takes the implicit arguments'
  // address, then the addresses of its returns and parameters in private memory.
  llvm::Function* function(std::uint32_t index);
  // Functions that an indirect call by a prototype can reach: those whose address is taken anywhere.
  const std::vector<std::uint32_t>& call_candidates();
  // Whether only calls by name lead from the root to the function.
  bool called_directly(const ptx::Function& function) const { return direct_.contains(&function); }

  // Bytes from the start of LDS.
  std::uint32_t shared_offset(std::uint32_t variable) const;
  std::uint32_t static_shared_bytes() const { return static_shared_bytes_; }
  // LDS for barriers that reduce or that some of the warps share.
  std::uint32_t barrier_memory() const { return barrier_memory_; }
  std::uint32_t barrier_memory_bytes() const { return barrier_memory_bytes_; }
  // The variable's place in ModuleInfo::variables.
  std::uint32_t device_index(std::uint32_t variable) const { return device_indices_[variable]; }
  bool recursive() const { return recursive_; }

private:
  void collect(std::uint32_t root);
  void collect_direct(std::uint32_t root);
  void lay_out_shared();
  void lower_one(std::uint32_t index);
  void lower_entry(std::uint32_t index);

  const ptx::Module& tree_;
  GfxVersion gfx_;
  std::unique_ptr<llvm::Module> module_;
  std::vector<std::uint32_t> device_indices_;
  std::vector<std::uint32_t> reached_; // functions, callers first
  std::unordered_map<std::uint32_t, std::uint32_t> shared_offsets_;
  std::unordered_map<std::uint32_t, llvm::Function*> functions_;
  std::unordered_set<const ptx::Function*> direct_;
  std::vector<std::uint32_t> candidates_;
  bool candidates_known_ = false;
  bool recursive_ = false;
  bool checking_ = false;
  std::uint32_t static_shared_bytes_ = 0;
  std::uint32_t barrier_memory_ = 0;
  std::uint32_t barrier_memory_bytes_ = 0;
};

// Where the implicit arguments start in the kernarg segment of an entry, and how large the segment is.
std::uint32_t parameter_bytes(const ptx::Function& entry);
std::uint32_t implicit_offset(const ptx::Function& entry);
std::uint32_t kernarg_bytes(const ptx::Function& entry);
// The offsets of the parameters.
std::vector<std::uint32_t> parameter_offsets(const ptx::Function& entry);

} // namespace shim::jit
