// IR that LLVM 19 turns into wrong AMDGPU code, said in another way.
#pragma once

namespace llvm {
class Module;
}

namespace shim::jit {

// After optimisation, before code generation.
void work_around_code_generator(llvm::Module& module);

} // namespace shim::jit
