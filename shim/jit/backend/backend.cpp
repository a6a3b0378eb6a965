// The way from PTX to machine code through LLVM, and the one symbol that libcuda-shim-jit.so exports.
#include "interface.hpp"

#include <mutex>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>
#include <llvm/ADT/SmallVector.h>
#include <llvm/Analysis/CGSCCPassManager.h>
#include <llvm/Analysis/LoopAnalysisManager.h>
#include <llvm/IR/DiagnosticInfo.h>
#include <llvm/IR/DiagnosticPrinter.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>
#include <llvm/Target/TargetOptions.h>
#include <util/env.hpp>
#include <util/log.hpp>

#include "../lowering/module_lowering.hpp"
#include "object_image.hpp"
#include "workarounds.hpp"

namespace shim::jit {
namespace {

constexpr const char* triple = "amdgcn-amd-amdhsa";
constexpr unsigned code_object_version = 500;
constexpr std::uint32_t most_threads = 1024;

// gfx1030 -> 10.3; nullopt for what is no gfx10 or later.
std::optional<GfxVersion> gfx_version(const std::string& name) {
  GfxVersion version;
  if (name == "gfx10-1-generic")
    return GfxVersion{10, 1};
  if (name == "gfx10-3-generic")
    return GfxVersion{10, 3};
  if (name == "gfx11-generic")
    return GfxVersion{11, 0};
  if (name.size() != 7 || !name.starts_with("gfx1"))
    return std::nullopt;
  version.major = static_cast<unsigned>(name[3] - '0') * 10 + static_cast<unsigned>(name[4] - '0');
  version.minor = static_cast<unsigned>(name[5] - '0');
  return version;
}

const llvm::Target* amdgpu() {
  static const llvm::Target* target = [] {
    LLVMInitializeAMDGPUTargetInfo();
    LLVMInitializeAMDGPUTarget();
    LLVMInitializeAMDGPUTargetMC();
    LLVMInitializeAMDGPUAsmParser(); // inline assembly
    LLVMInitializeAMDGPUAsmPrinter();
    std::string error;
    return llvm::TargetRegistry::lookupTarget(triple, error);
  }();
  return target;
}

// Keeps the errors that the code generator reports ("local memory limit exceeded").
struct Diagnostics final : llvm::DiagnosticHandler {
  explicit Diagnostics(std::string& text) : errors(text) {}
  bool handleDiagnostics(const llvm::DiagnosticInfo& info) override {
    if (info.getSeverity() != llvm::DS_Error)
      return true;
    llvm::raw_string_ostream stream(errors);
    llvm::DiagnosticPrinterRawOStream printer(stream);
    info.print(printer);
    stream << '\n';
    return true;
  }
  std::string& errors;
};

std::unique_ptr<llvm::TargetMachine> machine(const Target& target) {
  const llvm::CodeGenOptLevel level = target.optimization == 0   ? llvm::CodeGenOptLevel::None
                                      : target.optimization == 1 ? llvm::CodeGenOptLevel::Less
                                                                 : llvm::CodeGenOptLevel::Default;
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  // The device looks for the segment of a FLAT access at the register alone, and LLVM before 22 folds
  // constants that carry the address into the segment. It does not where it works around a fault of gfx10.1.
  const std::string features = "+wavefrontsize32,-wavefrontsize64,+flat-segment-offset-bug";
  return std::unique_ptr<llvm::TargetMachine>(amdgpu()->createTargetMachine(
      triple, target.gfx, features, options, llvm::Reloc::PIC_, std::nullopt, level, true));
}

// LLVM prints a warning of its own for a name that it does not know: ask before.
bool is_processor(const std::string& gfx) {
  const std::unique_ptr<llvm::MCSubtargetInfo> any(amdgpu() ? amdgpu()->createMCSubtargetInfo(triple, "", "")
                                                            : nullptr);
  return any && any->isCPUStringValid(gfx);
}

void optimize(llvm::Module& module, llvm::TargetMachine& machine, unsigned level) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager calls;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(calls);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, calls, modules);
  if (level == 0)
    builder.buildO0DefaultPipeline(llvm::OptimizationLevel::O0).run(module, modules);
  else
    builder
        .buildPerModuleDefaultPipeline(level == 1 ? llvm::OptimizationLevel::O1 : llvm::OptimizationLevel::O2)
        .run(module, modules);
}

void dump(llvm::Module& module, const char* when) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, nullptr);
  util::log_write(util::LogLevel::trace, fmt::format("jit: {}\n{}", when, text));
}

llvm::SmallString<0> emit(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::SmallString<0> object;
  llvm::raw_svector_ostream stream(object);
  llvm::legacy::PassManager passes;
  if (machine.addPassesToEmitFile(passes, stream, nullptr, llvm::CodeGenFileType::ObjectFile))
    throw std::runtime_error("LLVM emits no objects for this processor");
  passes.run(module);
  return object;
}

void verify(llvm::Module& module) {
  std::string fault;
  llvm::raw_string_ostream stream(fault);
  if (llvm::verifyModule(module, &stream))
    throw std::runtime_error(fmt::format("broken module: {}", fault));
}

void add_line(std::string& errors, const ptx::Error& error) {
  errors += fmt::format("line {}: {}\n", error.line, error.message);
}

bool check(const ptx::Module& tree, std::string& errors) {
  bool good = true;
  for (std::uint32_t i = 0; i < tree.functions.size(); i++) {
    if (!tree.functions[i].has_body)
      continue;
    try {
      llvm::LLVMContext context;
      ModuleLowering(context, tree, {}).lower_alone(i);
    } catch (const ptx::Error& error) {
      add_line(errors, error);
      good = false;
    }
  }
  return good;
}

std::uint32_t thread_limit(const ptx::Function& entry) {
  std::uint64_t threads = most_threads;
  for (const auto& limit : {entry.max_threads, entry.required_threads})
    if (limit[0])
      threads = std::min<std::uint64_t>(threads, std::uint64_t{limit[0]} * limit[1] * limit[2]);
  return static_cast<std::uint32_t>(threads);
}

CUresult compile(const ptx::Module& tree, std::uint32_t index, const Target& target, Kernel& kernel,
                 std::string& errors) {
  const auto version = gfx_version(target.gfx);
  const std::unique_ptr<llvm::TargetMachine> to =
      version && is_processor(target.gfx) ? machine(target) : nullptr;
  if (!to) {
    errors += fmt::format("no code for processor `{}`\n", target.gfx);
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
  const ptx::Function& entry = tree.functions[index];
  try {
    llvm::LLVMContext context;
    std::string diagnostics;
    context.setDiagnosticHandler(std::make_unique<Diagnostics>(diagnostics));
    ModuleLowering lowering(context, tree, *version);
    llvm::Module& module = lowering.module();
    module.setTargetTriple(triple);
    module.setDataLayout(to->createDataLayout());
    module.addModuleFlag(llvm::Module::Error, "amdhsa_code_object_version", code_object_version);
    lowering.lower(index);
    const bool traced = util::env_string("CUDA_SHIM_JIT_DUMP").has_value();
    if (traced)
      dump(module, "lowered");
    verify(module);
    optimize(module, *to, target.optimization);
    work_around_code_generator(module);
    if (traced)
      dump(module, "optimized");
    const auto object = emit(module, *to);
    if (!diagnostics.empty()) {
      errors += diagnostics;
      return CUDA_ERROR_INVALID_PTX;
    }
    kernel.static_shared_bytes = lowering.static_shared_bytes();
    kernel.implicit_offset = implicit_offset(entry);
    kernel.kernarg_bytes = kernarg_bytes(entry);
    kernel.max_threads = thread_limit(entry);
    make_image({object.data(), object.size()}, entry.name, kernel);
    return CUDA_SUCCESS;
  } catch (const ptx::Error& error) {
    add_line(errors, error);
    return CUDA_ERROR_INVALID_PTX;
  } catch (const std::runtime_error& error) {
    errors += fmt::format("entry `{}`: {}\n", entry.name, error.what());
    return CUDA_ERROR_INVALID_PTX;
  }
}

constexpr BackendInterface backend = {compiler_revision, check, compile};

} // namespace
} // namespace shim::jit

extern "C" __attribute__((visibility("default"))) const shim::jit::BackendInterface* cuda_shim_jit_backend() {
  return &shim::jit::backend;
}
