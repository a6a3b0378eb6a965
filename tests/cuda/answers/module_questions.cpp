// Modules, the linker, functions, launches, occupancy.
#include <cstring>

#include "world.hpp"

namespace answers {

namespace {

constexpr const char* caller_ptx = ".version 6.0\n.target sm_30\n.address_size 64\n"
                                   ".extern .func (.param .u32 r) helper(.param .u32 a);\n"
                                   ".visible .entry caller(.param .u64 out) {\n"
                                   ".reg .u32 %r<4>; .reg .u64 %d<3>;\n"
                                   "mov.u32 %r0, 20;\n"
                                   "{ .param .u32 a; .param .u32 r; st.param.u32 [a], %r0;\n"
                                   "call (r), helper, (a); ld.param.u32 %r1, [r]; }\n"
                                   "ld.param.u64 %d0, [out]; cvta.to.global.u64 %d1, %d0;\n"
                                   "st.global.u32 [%d1], %r1; ret; }\n";
constexpr const char* helper_ptx = ".version 6.0\n.target sm_30\n.address_size 64\n"
                                   ".visible .func (.param .u32 r) helper(.param .u32 a) {\n"
                                   ".reg .u32 %r<4>; ld.param.u32 %r0, [a]; add.u32 %r1, %r0, 22;\n"
                                   "st.param.u32 [r], %r1; ret; }\n";

CUresult add(CUlinkState state, const char* ptx, CUjitInputType type = CU_JIT_INPUT_PTX) {
  return cuLinkAddData(state, type, const_cast<char*>(ptx), std::strlen(ptx) + 1, "a", 0, nullptr, nullptr);
}

// What linking these two gives.
int link(const char* first, const char* second) {
  CUlinkState state;
  if (CUresult result = cuLinkCreate(0, nullptr, nullptr, &state))
    return 1000 + result;
  int answer = add(state, first);
  if (!answer && second)
    answer = add(state, second);
  void* image = nullptr;
  size_t size = 0;
  if (answer)
    answer += 2000;
  else
    answer = cuLinkComplete(state, &image, &size);
  CUmodule module;
  if (!answer && cuModuleLoadData(&module, image))
    answer = 3000;
  cuLinkDestroy(state);
  return answer;
}

// Asks about the state of a linker.
template <class Ask>
int with_linker(Ask ask) {
  CUlinkState state;
  if (CUresult result = cuLinkCreate(0, nullptr, nullptr, &state))
    return 1000 + result;
  int answer = ask(state);
  cuLinkDestroy(state);
  return answer;
}

struct Launch {
  unsigned grid[3] = {1, 1, 1}, block[3] = {1, 1, 1}, shared = 0;
};

int launch(CUfunction function, Launch shape, CUstream stream = nullptr) {
  return cuLaunchKernel(function, shape.grid[0], shape.grid[1], shape.grid[2], shape.block[0], shape.block[1],
                        shape.block[2], shape.shared, stream, nullptr, nullptr);
}

// `ramp` with its parameters packed into `size` bytes.
int packed(World& w, size_t size, bool with_size = true, bool with_data = true) {
  struct {
    CUdeviceptr out;
    unsigned scale, offset, count, beyond[64];
  } data = {w.memory, 1, 1, 4, {}};
  void* extra[5] = {CU_LAUNCH_PARAM_END, CU_LAUNCH_PARAM_END, CU_LAUNCH_PARAM_END, CU_LAUNCH_PARAM_END,
                    CU_LAUNCH_PARAM_END};
  void** next = extra;
  if (with_data) {
    *next++ = CU_LAUNCH_PARAM_BUFFER_POINTER;
    *next++ = &data;
  }
  if (with_size) {
    *next++ = CU_LAUNCH_PARAM_BUFFER_SIZE;
    *next++ = &size;
  }
  return cuLaunchKernel(w.ramp, 1, 1, 1, 4, 1, 1, 0, nullptr, nullptr, extra);
}

int attribute(CUfunction function, int which) {
  int value = 0;
  return cuFuncGetAttribute(&value, static_cast<CUfunction_attribute>(which), function);
}

const Question questions[] = {
    ASK(cuModuleLoad(nullptr, "/nowhere")),
    ASK(cuModuleLoad(w.out, nullptr)),
    ASK(cuModuleLoad(w.out, "")),
    ASK(cuModuleLoad(w.out, "/nowhere")),
    ASK(cuModuleLoad(w.out, "/")),
    ASK(cuModuleLoad(w.out, "/dev/null")),
    ASK(cuModuleLoadData(nullptr, "")),
    ASK(cuModuleLoadData(w.out, nullptr)),
    ASK(cuModuleLoadData(w.out, "")),
    ASK(cuModuleLoadData(w.out, "nonsense")),
    ASK(cuModuleLoadData(w.out, ".version 6.0\n")),
    ASK(cuModuleLoadData(w.out, ".version 6.0\n.target sm_30\n.address_size 64\n")),
    ASK(cuModuleLoadData(w.out, ".version 99.0\n.target sm_30\n.address_size 64\n")),
    ASK(cuModuleLoadData(w.out, ".version 6.0\n.target sm_999\n.address_size 64\n")),
    ASK(cuModuleLoadData(w.out, ".version 6.0\n.target sm_30\n.address_size 32\n")),
    ASK(cuModuleLoadData(w.out, ".version 6.0\n.target sm_30\n.address_size 64\n.entry k() { wrong; }\n")),
    ASK(cuModuleLoadData(w.out, "\x7f"
                                "ELF")),
    ASK(cuModuleLoadData(w.out, caller_ptx)),
    ASK(cuModuleLoadDataEx(w.out, "nonsense", 1, nullptr, nullptr)),
    ASK_AS("cuModuleLoadDataEx with an unknown option",
           {
             auto option = static_cast<CUjit_option>(9999);
             void* value = nullptr;
             return cuModuleLoadDataEx(w.out, helper_ptx, 1, &option, &value);
           }),
    ASK_AS("cuModuleLoadDataEx with optimization level 9",
           {
             auto option = CU_JIT_OPTIMIZATION_LEVEL;
             void* value = reinterpret_cast<void*>(9);
             return cuModuleLoadDataEx(w.out, helper_ptx, 1, &option, &value);
           }),
    ASK_AS("cuModuleLoadDataEx with a null log",
           {
             CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
             void* values[] = {nullptr, reinterpret_cast<void*>(100)};
             return cuModuleLoadDataEx(w.out, "nonsense", 2, options, values);
           }),
    ASK(cuModuleLoadFatBinary(nullptr, w.zeros)),
    ASK(cuModuleLoadFatBinary(w.out, nullptr)),
    ASK(cuModuleLoadFatBinary(w.out, w.zeros)),
    ASK(cuModuleUnload(nullptr)),
    ASK(cuModuleUnload(w.dead_module)),
    ASK(cuModuleUnload(w.zeros)),
    ASK(cuModuleUnload(w.wild)),
    ASK(cuModuleGetFunction(nullptr, w.module, "ramp")),
    ASK(cuModuleGetFunction(w.out, nullptr, "ramp")),
    ASK(cuModuleGetFunction(w.out, w.module, nullptr)),
    ASK(cuModuleGetFunction(w.out, w.module, "")),
    ASK(cuModuleGetFunction(w.out, w.module, "absent")),
    ASK(cuModuleGetFunction(w.out, w.module, "counter")),
    ASK(cuModuleGetFunction(w.out, w.dead_module, "ramp")),
    ASK(cuModuleGetFunction(w.out, w.zeros, "ramp")),
    ASK(cuModuleGetGlobal(nullptr, nullptr, w.module, "counter")),
    ASK(cuModuleGetGlobal(w.out, nullptr, nullptr, "counter")),
    ASK(cuModuleGetGlobal(w.out, nullptr, w.module, nullptr)),
    ASK(cuModuleGetGlobal(w.out, nullptr, w.module, "")),
    ASK(cuModuleGetGlobal(w.out, nullptr, w.module, "absent")),
    ASK(cuModuleGetGlobal(w.out, nullptr, w.module, "ramp")),
    ASK(cuModuleGetGlobal(w.out, nullptr, w.dead_module, "counter")),
    ASK(cuModuleGetTexRef(nullptr, w.module, "absent")),
    ASK(cuModuleGetTexRef(w.out, w.module, "absent")),
    ASK(cuModuleGetTexRef(w.out, w.module, nullptr)),
    ASK(cuModuleGetSurfRef(w.out, w.module, "absent")),

    ASK(cuLinkCreate(0, nullptr, nullptr, nullptr)),
    ASK(cuLinkCreate(1, nullptr, nullptr, w.out)),
    ASK(cuLinkDestroy(nullptr)),
    ASK(cuLinkDestroy(w.zeros)),
    ASK(cuLinkComplete(nullptr, w.out, w.out)),
    ASK(link(helper_ptx, nullptr)),
    ASK(link(caller_ptx, helper_ptx)),
    ASK(link(helper_ptx, caller_ptx)),
    ASK(link(caller_ptx, nullptr)),
    ASK(link(helper_ptx, helper_ptx)),
    ASK(link("nonsense", nullptr)),
    ASK(link("", nullptr)),
    ASK(with_linker([&](CUlinkState s) { return cuLinkComplete(s, w.out, w.out); })),
    ASK(with_linker([&](CUlinkState s) { return cuLinkComplete(s, nullptr, w.out); })),
    ASK(with_linker([&](CUlinkState s) { return add(s, helper_ptx), cuLinkComplete(s, nullptr, w.out); })),
    ASK(with_linker([&](CUlinkState s) { return add(s, helper_ptx), cuLinkComplete(s, w.out, nullptr); })),
    ASK(with_linker([&](CUlinkState s) {
      return add(s, helper_ptx), cuLinkComplete(s, w.out, w.out), cuLinkComplete(s, w.out, w.out);
    })),
    ASK(with_linker([&](CUlinkState s) {
      return add(s, helper_ptx), cuLinkComplete(s, w.out, w.out), add(s, caller_ptx);
    })),
    ASK(with_linker([](CUlinkState s) { return add(s, helper_ptx, static_cast<CUjitInputType>(99)); })),
    ASK(with_linker([](CUlinkState s) { return add(s, helper_ptx, CU_JIT_INPUT_CUBIN); })),
    ASK(with_linker([](CUlinkState s) { return add(s, helper_ptx, CU_JIT_INPUT_FATBINARY); })),
    ASK(with_linker([](CUlinkState s) { return add(s, helper_ptx, CU_JIT_INPUT_OBJECT); })),
    ASK(with_linker([](CUlinkState s) {
      return cuLinkAddData(s, CU_JIT_INPUT_PTX, nullptr, 10, "a", 0, nullptr, nullptr);
    })),
    ASK(with_linker([](CUlinkState s) {
      return cuLinkAddData(s, CU_JIT_INPUT_PTX, const_cast<char*>(helper_ptx), 0, "a", 0, nullptr, nullptr);
    })),
    ASK(with_linker([](CUlinkState s) {
      return cuLinkAddData(s, CU_JIT_INPUT_PTX, const_cast<char*>(helper_ptx), std::strlen(helper_ptx), "a",
                           0, nullptr, nullptr);
    })),
    ASK(with_linker([](CUlinkState s) {
      return cuLinkAddData(s, CU_JIT_INPUT_PTX, const_cast<char*>(helper_ptx), std::strlen(helper_ptx) + 1,
                           nullptr, 0, nullptr, nullptr);
    })),
    ASK(with_linker(
        [](CUlinkState s) { return cuLinkAddFile(s, CU_JIT_INPUT_PTX, "/nowhere", 0, nullptr, nullptr); })),
    ASK(with_linker(
        [](CUlinkState s) { return cuLinkAddFile(s, CU_JIT_INPUT_PTX, nullptr, 0, nullptr, nullptr); })),
    ASK_AS("what the linked kernel computes",
           {
             CUlinkState state;
             void* image;
             size_t size;
             CUmodule module;
             CUfunction function;
             unsigned value = 0;
             void* parameters[] = {&w.memory};
             if (cuLinkCreate(0, nullptr, nullptr, &state) || add(state, caller_ptx) ||
                 add(state, helper_ptx) || cuLinkComplete(state, &image, &size) ||
                 cuModuleLoadData(&module, image) || cuLinkDestroy(state) ||
                 cuModuleGetFunction(&function, module, "caller") ||
                 cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr) ||
                 cuMemcpyDtoH(&value, w.memory, 4))
               return -1;
             return static_cast<int>(value);
           }),
    ASK_AS("a cubin log of a failed link is not empty",
           {
             char log[512] = "";
             CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
             void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
             CUlinkState state;
             void* image;
             size_t size;
             if (cuLinkCreate(2, options, values, &state) || add(state, caller_ptx))
               return -1;
             cuLinkComplete(state, &image, &size);
             int answer = log[0] != 0;
             cuLinkDestroy(state);
             return answer;
           }),

    ASK(cuFuncGetAttribute(nullptr, CU_FUNC_ATTRIBUTE_NUM_REGS, w.ramp)),
    ASK(cuFuncGetAttribute(w.out, CU_FUNC_ATTRIBUTE_NUM_REGS, nullptr)),
    ASK(cuFuncGetAttribute(w.out, CU_FUNC_ATTRIBUTE_NUM_REGS, w.zeros)),
    ASK(cuFuncGetAttribute(w.out, CU_FUNC_ATTRIBUTE_NUM_REGS, w.dead_function)),
    ASK(attribute(w.ramp, -1)),
    ASK(attribute(w.ramp, 99)),
    ASK(attribute(w.other_ramp, CU_FUNC_ATTRIBUTE_NUM_REGS)),
    ASK(cuFuncSetAttribute(w.ramp, CU_FUNC_ATTRIBUTE_NUM_REGS, 1)),
    ASK(cuFuncSetAttribute(w.ramp, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, -1)),
    ASK(cuFuncSetAttribute(w.ramp, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1 << 30)),
    ASK(cuFuncSetAttribute(w.ramp, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 101)),
    ASK(cuFuncSetAttribute(w.ramp, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, -2)),
    ASK(cuFuncSetAttribute(w.ramp, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, -1)),
    ASK(cuFuncSetAttribute(w.ramp, static_cast<CUfunction_attribute>(99), 1)),
    ASK(cuFuncSetAttribute(nullptr, CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 1)),
    ASK(cuFuncSetCacheConfig(w.ramp, static_cast<CUfunc_cache>(99))),
    ASK(cuFuncSetCacheConfig(nullptr, CU_FUNC_CACHE_PREFER_L1)),
    ASK(cuFuncSetSharedMemConfig(w.ramp, static_cast<CUsharedconfig>(99))),
    ASK(cuFuncSetSharedMemConfig(nullptr, CU_SHARED_MEM_CONFIG_DEFAULT_BANK_SIZE)),

    ASK(launch(w.nothing, {})),
    ASK(launch(nullptr, {})),
    ASK(launch(w.zeros, {})),
    ASK(launch(w.dead_function, {})),
    ASK(launch(w.other_ramp, {})),
    ASK(launch(w.nothing, {}, w.other_stream)),
    ASK(launch(w.nothing, {}, w.dead_stream)),
    ASK(launch(w.nothing, {}, w.zeros)),
    ASK(launch(w.nothing, {.grid = {0, 1, 1}})),
    ASK(launch(w.nothing, {.grid = {1, 0, 1}})),
    ASK(launch(w.nothing, {.grid = {1, 1, 0}})),
    ASK(launch(w.nothing, {.grid = {0x80000000, 1, 1}})),
    ASK(launch(w.nothing, {.grid = {1, 65536, 1}})),
    ASK(launch(w.nothing, {.grid = {1, 1, 65536}})),
    ASK(launch(w.nothing, {.block = {0, 1, 1}})),
    ASK(launch(w.nothing, {.block = {1, 1, 0}})),
    ASK(launch(w.nothing, {.block = {1025, 1, 1}})),
    ASK(launch(w.nothing, {.block = {1, 1025, 1}})),
    ASK(launch(w.nothing, {.block = {1, 1, 65}})),
    ASK(launch(w.nothing, {.block = {32, 32, 2}})),
    ASK(launch(w.nothing, {.block = {1, 1, 64}})),
    ASK(launch(w.nothing, {.shared = 48 * 1024})),
    ASK(launch(w.nothing, {.shared = 1 << 20})),
    ASK(launch(w.small_blocks, {.block = {65, 1, 1}})),
    ASK(launch(w.ramp, {})),
    ASK_AS("a kernel that takes nothing, with parameters",
           {
             void* parameters[] = {nullptr};
             return cuLaunchKernel(w.nothing, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr);
           }),
    ASK_AS("a null parameter",
           {
             void* parameters[] = {&w.memory, nullptr, nullptr, nullptr};
             return cuLaunchKernel(w.ramp, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, nullptr);
           }),
    ASK_AS("parameters and extra",
           {
             unsigned one = 1;
             void* parameters[] = {&w.memory, &one, &one, &one};
             void* extra[] = {CU_LAUNCH_PARAM_END};
             return cuLaunchKernel(w.ramp, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, extra);
           }),
    ASK_AS("an empty extra",
           {
             void* extra[] = {CU_LAUNCH_PARAM_END};
             return cuLaunchKernel(w.ramp, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra);
           }),
    ASK_AS("an empty extra for a kernel that takes nothing",
           {
             void* extra[] = {CU_LAUNCH_PARAM_END};
             return cuLaunchKernel(w.nothing, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra);
           }),
    ASK_AS("an unknown option in extra",
           {
             void* extra[] = {reinterpret_cast<void*>(9), nullptr, CU_LAUNCH_PARAM_END};
             return cuLaunchKernel(w.ramp, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, extra);
           }),
    ASK(packed(w, 20)),
    ASK(packed(w, 24)),
    ASK(packed(w, 256)),
    ASK(packed(w, 4096 + 256)),
    ASK(packed(w, 21)),
    ASK(packed(w, 19)),
    ASK(packed(w, 17)),
    ASK(packed(w, 16)),
    ASK(packed(w, 12)),
    ASK(packed(w, 8)),
    ASK(packed(w, 1)),
    ASK(packed(w, 0)),
    ASK(packed(w, 20, false)),
    ASK(packed(w, 20, true, false)),
    ASK(packed(w, 20, false, false)),

    ASK(cuFuncSetBlockShape(nullptr, 1, 1, 1)),
    ASK(cuFuncSetBlockShape(w.nothing, 0, 1, 1)),
    ASK(cuFuncSetBlockShape(w.nothing, -1, 1, 1)),
    ASK(cuFuncSetBlockShape(w.nothing, 1025, 1, 1)),
    ASK(cuFuncSetBlockShape(w.nothing, 32, 32, 2)),
    ASK(cuFuncSetSharedSize(w.nothing, 1 << 30)),
    ASK(cuFuncSetSharedSize(w.nothing, 0)),
    ASK(cuParamSetSize(w.nothing, 0)),
    ASK(cuParamSetSize(w.ramp, 20)),
    ASK(cuParamSetSize(w.ramp, 1 << 20)),
    ASK(cuParamSeti(w.ramp, -1, 1)),
    ASK(cuParamSeti(w.ramp, 1 << 20, 1)),
    ASK(cuParamSetv(w.ramp, 0, nullptr, 8)),
    ASK(cuParamSetv(w.ramp, 0, w.zeros, 0)),
    ASK(cuLaunchGrid(w.nothing, 0, 1)),
    ASK(cuLaunchGrid(w.nothing, -1, 1)),
    ASK(cuLaunch(nullptr)),

    ASK_AS("parameters and an extra that is not empty",
           {
             unsigned one = 1, value = 0;
             struct {
               CUdeviceptr out;
               unsigned scale, offset, count;
             } data = {w.memory, 1, 500, 4};
             size_t size = 20;
             void* parameters[] = {&w.memory, &one, &one, &one};
             void* extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &data, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                              CU_LAUNCH_PARAM_END};
             if (CUresult result = cuLaunchKernel(w.ramp, 1, 1, 1, 1, 1, 1, 0, nullptr, parameters, extra))
               return result;
             cuMemcpyDtoH(&value, w.memory, 4);
             return static_cast<int>(2000 + value);
           }),
    ASK_AS("a module from a link of nothing",
           {
             CUlinkState state;
             void* image;
             size_t size;
             if (CUresult result = cuLinkCreate(0, nullptr, nullptr, &state))
               return 1000 + result;
             cuLinkComplete(state, &image, &size);
             int answer = cuModuleLoadData(w.out, image);
             cuLinkDestroy(state);
             return answer;
           }),
    ASK_AS("a link of three kernels that share a variable",
           {
             return link(
                 ".version 6.0\n.target sm_30\n.address_size 64\n.visible .global .u32 shared_v = 3;\n",
                 ".version 6.0\n.target sm_30\n.address_size 64\n.extern .global .u32 shared_v;\n"
                 ".visible .entry k() { .reg .u32 %r; ld.global.u32 %r, [shared_v]; ret; }\n");
           }),
    ASK_AS("a link of two modules with a static variable of one name",
           {
             return link(".version 6.0\n.target sm_30\n.address_size 64\n.global .u32 v = 3;\n",
                         ".version 6.0\n.target sm_30\n.address_size 64\n.global .u32 v = 4;\n");
           }),
    ASK_AS("a link of two modules with a visible variable of one name",
           {
             return link(".version 6.0\n.target sm_30\n.address_size 64\n.visible .global .u32 v = 3;\n",
                         ".version 6.0\n.target sm_30\n.address_size 64\n.visible .global .u32 v = 4;\n");
           }),
    ASK_AS("a link of two modules with a weak variable of one name",
           {
             return link(".version 6.0\n.target sm_30\n.address_size 64\n.weak .global .u32 v = 3;\n",
                         ".version 6.0\n.target sm_30\n.address_size 64\n.weak .global .u32 v = 4;\n");
           }),
    ASK(cuModuleLoadData(w.out, ".target sm_30\n.address_size 64\n")),
    ASK(cuModuleLoadData(w.out, "// a remark\n.version 6.0\n.target sm_30\n.address_size 64\n")),
    ASK(cuModuleLoadData(w.out, "   \n\t.version 6.0\n.target sm_30\n.address_size 64\n")),
    ASK(cuModuleLoadData(w.out, "nonsense .version 6.0\n.target sm_30\n.address_size 64\n")),
    ASK(cuModuleLoadData(w.out, ".version 6.0\n.target sm_30\nnonsense\n")),
    ASK(cuModuleLoadData(w.out, ".version 6.0\n.target sm_10\n.address_size 64\n")),
    ASK(cuModuleLoadData(w.out, ".version 6.0\n.target nonsense\n.address_size 64\n")),
    ASK(cuModuleLoadData(w.out, ".version 1.0\n.target sm_30\n.address_size 64\n")),
    ASK(cuModuleLoadData(w.out, ".version 6.9\n.target sm_30\n.address_size 64\n")),
    ASK(cuModuleLoadData(w.out, ".version 9.9\n.target sm_30\n.address_size 64\n")),
    ASK_AS("the size of the block that cuFuncSetBlockShape takes",
           {
             return cuFuncSetBlockShape(w.nothing, 1, 1, 64) * 1000 +
                    cuFuncSetBlockShape(w.nothing, 1, 1, 65);
           }),
    ASK(cuFuncSetSharedSize(w.nothing, 48 << 10)),
    ASK(cuFuncSetSharedSize(w.nothing, (48 << 10) + 1)),
    ASK(cuParamSeti(w.ramp, 4096, 1)),
    ASK(cuParamSetSize(w.ramp, 4096)),
    ASK(cuParamSetSize(w.ramp, 4097)),
    ASK(cuOccupancyMaxActiveBlocksPerMultiprocessor(nullptr, w.ramp, 32, 0)),
    ASK(cuOccupancyMaxActiveBlocksPerMultiprocessor(w.out, nullptr, 32, 0)),
    ASK(cuOccupancyMaxActiveBlocksPerMultiprocessor(w.out, w.ramp, 0, 0)),
    ASK(cuOccupancyMaxActiveBlocksPerMultiprocessor(w.out, w.ramp, -1, 0)),
    ASK(cuOccupancyMaxActiveBlocksPerMultiprocessor(w.out, w.ramp, 2048, 0)),
    ASK(cuOccupancyMaxActiveBlocksPerMultiprocessor(w.out, w.ramp, 32, size_t{1} << 30)),
    ASK_AS("the blocks of 2048 threads on a multiprocessor",
           {
             int blocks = 77;
             cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, w.ramp, 2048, 0);
             return blocks;
           }),
    ASK(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(w.out, w.ramp, 32, 0, 2)),
    ASK(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(w.out, w.ramp, 32, 0, 1)),
    ASK(cuOccupancyMaxPotentialBlockSize(nullptr, w.out, w.ramp, nullptr, 0, 0)),
    ASK(cuOccupancyMaxPotentialBlockSize(w.out, nullptr, w.ramp, nullptr, 0, 0)),
    ASK(cuOccupancyMaxPotentialBlockSize(w.out, w.out, nullptr, nullptr, 0, 0)),
    ASK(cuOccupancyMaxPotentialBlockSize(w.out, w.out, w.ramp, nullptr, 0, -1)),
    ASK(cuOccupancyMaxPotentialBlockSizeWithFlags(w.out, w.out, w.ramp, nullptr, 0, 0, 2)),
    ASK(cuLaunchCooperativeKernel(w.nothing, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr)),
    ASK(cuLaunchCooperativeKernel(w.nothing, 1 << 20, 1, 1, 1, 1, 1, 0, nullptr, nullptr)),
    ASK(cuLaunchCooperativeKernel(nullptr, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr)),
};

} // namespace

std::span<const Question> module_questions() {
  return questions;
}

} // namespace answers
