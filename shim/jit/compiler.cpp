#include <jit/compiler.hpp>

#include <fmt/format.h>

#include "cache.hpp"
#include "kernel_file.hpp"
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
std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

// What a module's source and a purpose give is found under this key.
Digest cache_key(const Digest& source, std::string_view purpose) {
  return sha1(fmt::format("{}\n{}\n{}", to_hex(source), backend_identity(), purpose));
}

// Whether all functions can be lowered. A module that passed once is not looked at again.
util::Result<bool> check(const ptx::Module& tree, const Digest& hash, std::string& errors) {
  const Digest key = cache_key(hash, "checked");
  if (cache_load(key))
    return true;
  const auto opened = backend();
  if (!opened)
    return opened.error();
  const bool good = opened.value()->check(tree, errors);
  if (good)
    cache_store(key, "good");
  return good;
}

} // namespace

Module::Module(std::unique_ptr<const ptx::Module> tree, ModuleInfo info, std::array<std::uint8_t, 20> hash)
    : tree_(std::move(tree)), info_(std::move(info)), hash_(hash) {}

Module::~Module() = default;

util::Result<std::shared_ptr<const Module>> load_module(std::string_view text, Log* log) {
  text = text.substr(0, text.find('\0'));
  std::string errors;
  try {
    std::unique_ptr<const ptx::Module> tree = ptx::parse(std::string(text));
    const Digest hash = sha1(text);
    const auto good = check(*tree, hash, errors);
    if (!good)
      return good.error();
    if (*good) {
      ModuleInfo info = describe(*tree);
      return std::make_shared<const Module>(std::move(tree), std::move(info), hash);
    }
  } catch (const ptx::Error& error) {
    errors = fmt::format("line {}: {}\n", error.line, error.message);
  }
  add_errors(log, errors);
  return util::fail(CUDA_ERROR_INVALID_PTX, "PTX: {}", first_line(errors));
}

util::Result<std::shared_ptr<const Kernel>> compile(const Module& module, std::size_t entry,
                                                    const Target& target, Log* log) {
  const std::uint32_t function = entry_function(module.tree(), entry);
  if (function == ptx::no_index)
    return util::fail(CUDA_ERROR_INVALID_VALUE, "entry {} of {}", entry, module.info().entries.size());
  const std::string& name = module.info().entries[entry].name;
  const Digest key = cache_key(module.hash(), fmt::format("{}:{}:{}", target.gfx, target.optimization, name));
  if (const auto cached = cache_load(key))
    if (auto kernel = decode(*cached))
      return std::make_shared<const Kernel>(std::move(*kernel));
  const auto opened = backend();
  if (!opened)
    return opened.error();
  auto kernel = std::make_shared<Kernel>();
  std::string errors;
  const CUresult result = opened.value()->compile(module.tree(), function, target, *kernel, errors);
  if (result == CUDA_SUCCESS) {
    cache_store(key, encode(*kernel));
    return std::shared_ptr<const Kernel>(std::move(kernel));
  }
  add_errors(log, errors);
  return util::fail(result, "compilation of {}: {}", name, first_line(errors));
}

} // namespace shim::jit
