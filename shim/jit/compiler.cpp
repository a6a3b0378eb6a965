#include <jit/compiler.hpp>

#include <fmt/format.h>

#include "loader.hpp"
#include "module_info.hpp"
#include "ptx/parser.hpp"
#include "sha1.hpp"

namespace shim::jit {
namespace {

void add_errors(Log* log, const std::string& errors) {
  if (log)
    log->errors += errors;
}

// The first line, for our own log.
std::string_view first_line(std::string_view text) { return text.substr(0, text.find('\n')); }

} // namespace

Module::Module(std::unique_ptr<const ptx::Module> tree, ModuleInfo info, std::array<std::uint8_t, 20> hash)
    : tree_(std::move(tree)), info_(std::move(info)), hash_(hash) {}

Module::~Module() = default;

util::Result<std::shared_ptr<const Module>> load_module(std::string_view text, Log* log) {
  text = text.substr(0, text.find('\0'));
  std::string errors;
  try {
    std::unique_ptr<const ptx::Module> tree = ptx::parse(std::string(text));
    const auto opened = backend();
    if (!opened)
      return opened.error();
    if (opened.value()->check(*tree, errors)) {
      ModuleInfo info = describe(*tree);
      return std::make_shared<const Module>(std::move(tree), std::move(info), sha1(text));
    }
  } catch (const ptx::Error& error) {
    errors = fmt::format("line {}: {}\n", error.line, error.message);
  }
  add_errors(log, errors);
  return util::fail(CUDA_ERROR_INVALID_PTX, "PTX: {}", first_line(errors));
}

util::Result<std::shared_ptr<const Kernel>> compile(const Module& module, std::size_t entry, const Target& target,
                                                    Log* log) {
  const std::uint32_t function = entry_function(module.tree(), entry);
  if (function == ptx::no_index)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "entry {} of {}", entry, module.info().entries.size());
  const auto opened = backend();
  if (!opened)
    return opened.error();
  auto kernel = std::make_shared<Kernel>();
  std::string errors;
  const CUresult result = opened.value()->compile(module.tree(), function, target, *kernel, errors);
  if (result == CUDA_SUCCESS)
    return std::shared_ptr<const Kernel>(std::move(kernel));
  add_errors(log, errors);
  return util::fail(result, "compilation of {}: {}", module.info().entries[entry].name, first_line(errors));
}

} // namespace shim::jit
