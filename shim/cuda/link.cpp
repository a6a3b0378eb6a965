// The linker, for PTX.
#include <core/link.hpp>

#include "jit_options.hpp"

using namespace shim;
using namespace shim::cuda;

namespace {

// `body(core::Link&)`, whatever context is current.
template <class Body, class... Args>
CUresult call_on_link(const char* name, CUlinkState state, Body&& body, const Args&... args) {
  return call_anywhere(
      name,
      [&]() -> Result<void> {
        Result<core::Pinned<core::Link>> found = object_from<core::Link>(state, "link state");
        if (!found)
          return found.error();
        return body(**found);
      },
      state, args...);
}

// Does the type fit what the image says of itself?
Result<void> add_image(core::Link& link, CUjitInputType type, const void* data, std::size_t size) {
  if (type < CU_JIT_INPUT_CUBIN || type >= CU_JIT_NUM_INPUT_TYPES || !data || size == 0)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "cuLinkAddData: {} bytes of type {}", size,
                      static_cast<int>(type));
  constexpr std::string_view elf = "\177ELF";
  bool machine_code =
      size >= elf.size() && std::string_view(static_cast<const char*>(data), elf.size()) == elf;
  if (type != CU_JIT_INPUT_PTX && type != CU_JIT_INPUT_FATBINARY && !machine_code)
    return util::fail(CUDA_ERROR_INVALID_IMAGE, "cuLinkAddData: it is not of type {}",
                      static_cast<int>(type));
  return link.add(data, size);
}

} // namespace

CUresult cuLinkCreate_v2(unsigned int option_count, CUjit_option* options, void** values,
                         CUlinkState* state) {
  return call_in_context(
      "cuLinkCreate_v2",
      [&](core::Context& context) -> Result<void> {
        if (Result<void> given = require("cuLinkCreate", state); !given)
          return given;
        Result<core::JitOptions> read = read_options(option_count, options, values);
        if (!read)
          return read.error();
        Result<std::uint64_t> made = context.create_link(*read);
        if (!made)
          return made.error();
        *state = to_handle<CUlinkState>(*made);
        return {};
      },
      option_count, options, values, state);
}

CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void* data, size_t size, const char* name,
                          unsigned int option_count, CUjit_option* options, void** values) {
  return call_on_link(
      "cuLinkAddData_v2", state,
      [&](core::Link& link) -> Result<void> {
        if (Result<core::JitOptions> read = read_options(option_count, options, values); !read)
          return read.error();
        return add_image(link, type, data, size);
      },
      type, data, size, name);
}

CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char* path, unsigned int option_count,
                          CUjit_option* options, void** values) {
  return call_on_link(
      "cuLinkAddFile_v2", state,
      [&](core::Link& link) -> Result<void> {
        if (Result<void> given = require("cuLinkAddFile", path); !given)
          return given;
        if (Result<core::JitOptions> read = read_options(option_count, options, values); !read)
          return read.error();
        Result<std::vector<char>> file = core::read_module_file(path);
        if (!file)
          return file.error();
        return add_image(link, type, file->data(), file->size());
      },
      type, path);
}

CUresult cuLinkComplete(CUlinkState state, void** image, size_t* size) {
  return call_on_link(
      "cuLinkComplete", state,
      [&](core::Link& link) -> Result<void> {
        if (Result<void> given = require("cuLinkComplete", image); !given)
          return given;
        Result<const std::string*> linked = link.complete();
        if (!linked)
          return linked.error();
        *image = const_cast<char*>((*linked)->c_str());
        if (size)
          *size = (*linked)->size() + 1;
        return {};
      },
      image, size);
}

CUresult cuLinkDestroy(CUlinkState state) {
  return call_on_link("cuLinkDestroy", state,
                      [](core::Link& link) { return link.context().remove_child(link.handle); });
}

CUresult cuLinkCreate(unsigned int option_count, CUjit_option* options, void** values, CUlinkState* state) {
  return call_newer("cuLinkCreate", cuLinkCreate_v2, option_count, options, values, state);
}

CUresult cuLinkAddData(CUlinkState state, CUjitInputType type, void* data, size_t size, const char* name,
                       unsigned int option_count, CUjit_option* options, void** values) {
  return call_newer("cuLinkAddData", cuLinkAddData_v2, state, type, data, size, name, option_count, options,
                    values);
}

CUresult cuLinkAddFile(CUlinkState state, CUjitInputType type, const char* path, unsigned int option_count,
                       CUjit_option* options, void** values) {
  return call_newer("cuLinkAddFile", cuLinkAddFile_v2, state, type, path, option_count, options, values);
}
