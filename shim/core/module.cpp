#include <core/module.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <core/code_object.hpp>
#include <core/driver.hpp>

namespace shim::core {

namespace {

constexpr std::uint64_t variable_alignment = 256;
constexpr std::uint64_t code_block_bytes = 64 * 1024;

constexpr std::uint64_t align_up(std::uint64_t value, std::uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

} // namespace

void write_log(const std::string& text, char* buffer, std::size_t& size) {
  if (!buffer || size == 0) {
    size = 0;
    return;
  }
  std::size_t length = std::min(text.size(), size - 1);
  std::memcpy(buffer, text.data(), length);
  buffer[length] = '\0';
  size = length + 1;
}

Module::Module(Context& context, std::shared_ptr<const jit::Module> code, unsigned optimization)
    : context_(context), code_(std::move(code)), optimization_(optimization) {}

Result<std::shared_ptr<Module>> Module::load(Context& context, const void* image, JitOptions& options) {
  std::string unpacked;
  Result<std::string_view> ptx = find_ptx(image, unpacked);
  jit::Log log;
  Result<std::shared_ptr<const jit::Module>> code =
      ptx ? jit::load_module(*ptx, &log) : Result<std::shared_ptr<const jit::Module>>(ptx.error());
  write_log(log.errors, options.error_log, options.error_log_size);
  write_log(log.info, options.info_log, options.info_log_size);
  if (!code)
    return code.error();
  std::shared_ptr<Module> module(new Module(context, std::move(*code), options.optimization));
  if (Result<void> placed = module->place_variables(); !placed)
    return placed.error();
  return module;
}

Module::~Module() {
  if (!code_buffers_.empty())
    context_.wait_for_work();
  driver().allocations().remove(addresses_);
}

void Module::close() {
  std::vector<std::uint64_t> handles;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    for (auto& [entry, function] : functions_)
      handles.push_back(function->handle);
  }
  for (std::uint64_t function : handles)
    driver().handles().erase(function);
}

Result<void> Module::place_variables() {
  const std::vector<jit::Variable>& variables = code_->info().variables;
  if (variables.empty())
    return {};
  std::uint64_t size = align_up(variables.size() * sizeof(std::uint64_t), variable_alignment);
  std::vector<std::uint64_t> offsets;
  for (const jit::Variable& variable : variables) {
    if (variable.external)
      return util::fail_at(util::LogLevel::error, CUDA_ERROR_NOT_FOUND,
                           "module: no one defines the variable {}", variable.name);
    if (variable.kind != jit::VariableKind::data)
      return util::fail(CUDA_ERROR_NOT_SUPPORTED, "module: {} is a texture or surface reference",
                        variable.name);
    size = align_up(size, std::max<std::uint64_t>(variable_alignment, variable.alignment));
    offsets.push_back(size);
    size += std::max<std::uint64_t>(variable.size, 1);
  }
  Result<kfd::Buffer> buffer = allocate_for_loading(context_.device().opened(), size, false);
  if (!buffer)
    return buffer.error();
  data_ = std::make_shared<kfd::Buffer>(std::move(*buffer));
  auto* bytes = data_->cpu_as<std::byte>();
  std::memset(bytes, 0, size);
  variable_table_ = data_->address();
  for (std::size_t i = 0; i < variables.size(); ++i) {
    std::uint64_t address = data_->address() + offsets[i];
    std::memcpy(bytes + i * sizeof(address), &address, sizeof(address));
    for (const jit::InitialBytes& piece : variables[i].initial)
      std::memcpy(bytes + offsets[i] + piece.offset, piece.bytes.data(), piece.bytes.size());
    for (const jit::Relocation& relocation : variables[i].relocations) {
      std::uint64_t target =
          data_->address() + offsets[relocation.variable] + static_cast<std::uint64_t>(relocation.addend);
      std::memcpy(bytes + offsets[i] + relocation.offset, &target,
                  std::min<std::size_t>(relocation.width, sizeof(target)));
    }
    auto allocation = std::make_shared<Allocation>();
    allocation->kind = AllocationKind::module;
    allocation->context = context_.shared_from_this();
    allocation->base = address;
    allocation->size = std::max<std::uint64_t>(variables[i].size, 1);
    allocation->owner = data_;
    addresses_.reserve(variables.size());
    if (Result<AllocationView> inserted = driver().allocations().insert(std::move(allocation)); !inserted)
      return inserted.error();
    addresses_.push_back(address);
  }
  context_.device().opened().flush_hdp();
  return {};
}

Result<std::uint64_t> Module::function(std::string_view name) {
  const std::vector<jit::Entry>& entries = code_->info().entries;
  auto entry =
      std::find_if(entries.begin(), entries.end(), [&](const jit::Entry& e) { return e.name == name; });
  if (entry == entries.end()) // entries that are not .visible are found, too: nvcc writes static kernels so
    return util::fail(CUDA_ERROR_NOT_FOUND, "module: no kernel {}", name);
  auto index = static_cast<std::size_t>(entry - entries.begin());
  std::lock_guard lock(mutex_);
  if (closed_)
    return util::fail(CUDA_ERROR_INVALID_HANDLE, "module: it was unloaded meanwhile");
  std::unique_ptr<Function>& function = functions_[index];
  if (!function)
    function = std::make_unique<Function>(*this, index);
  if (function->handle == 0)
    function->handle = driver().handles().insert(
        Function::handle_kind, std::shared_ptr<Function>(shared_from_this(), function.get()),
        context_.shared_from_this());
  if (function->handle == 0)
    return util::fail(CUDA_ERROR_OUT_OF_MEMORY, "no handle left for a function");
  return function->handle;
}

Result<Module::Global> Module::global(std::string_view name) const {
  const std::vector<jit::Variable>& variables = code_->info().variables;
  for (std::size_t i = 0; i < variables.size(); ++i)
    if (variables[i].name == name) // static variables are found, too
      return Global{addresses_[i], variables[i].size};
  for (const jit::Entry& entry : code_->info().entries)
    if (entry.name == name)
      return util::fail(CUDA_ERROR_INVALID_VALUE, "module: {} is a kernel", name);
  return util::fail(CUDA_ERROR_NOT_FOUND, "module: no variable {}", name);
}

Result<std::uint64_t> Module::place_code(const std::vector<std::byte>& image, std::uint32_t alignment) {
  kfd::Device& gpu = context_.device().opened();
  std::lock_guard lock(mutex_);
  std::uint64_t address = align_up(code_next_, alignment);
  if (code_buffers_.empty() || address + image.size() > code_end_) {
    Result<kfd::Buffer> buffer =
        allocate_for_loading(gpu, std::max<std::uint64_t>(image.size(), code_block_bytes), true);
    if (!buffer)
      return buffer.error();
    address = align_up(buffer->address(), alignment);
    code_end_ = buffer->address() + buffer->size();
    code_buffers_.push_back(std::move(*buffer));
  }
  const kfd::Buffer& buffer = code_buffers_.back();
  std::memcpy(buffer.cpu_as<std::byte>() + (address - buffer.address()), image.data(), image.size());
  gpu.flush_hdp();
  code_next_ = address + image.size();
  return address;
}

Result<std::uint64_t> load_module(Context& context, const void* image, JitOptions& options) {
  Result<std::shared_ptr<Module>> module = Module::load(context, image, options);
  if (!module)
    return module.error();
  return context.add_child(std::move(*module));
}

Result<std::vector<char>> read_module_file(const char* path) {
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown))
    return util::fail(CUDA_ERROR_FILE_NOT_FOUND, "{} is a directory", path);
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file)
    return util::fail(CUDA_ERROR_FILE_NOT_FOUND, "cannot read {}", path);
  bytes.push_back('\0');
  return bytes;
}

const jit::Entry& Function::entry() const {
  return module_.code().info().entries[entry_];
}

Result<const LoadedKernel*> Function::load_slow() {
  std::lock_guard lock(mutex_);
  if (const LoadedKernel* loaded = loaded_.load(std::memory_order_relaxed))
    return loaded;
  jit::Target target = {.gfx = module_.context().device().node().gfx_name(),
                        .optimization = module_.optimization()};
  jit::Log log;
  Result<std::shared_ptr<const jit::Kernel>> kernel = jit::compile(module_.code(), entry_, target, &log);
  if (!kernel)
    return util::fail(kernel.code(), "kernel {}: {}", entry().name, log.errors);
  Result<std::uint64_t> address = module_.place_code((*kernel)->image, (*kernel)->image_alignment);
  if (!address)
    return address.error();
  kernel_ = {*kernel, *address + (*kernel)->descriptor_offset};
  loaded_.store(&kernel_, std::memory_order_release);
  return &kernel_;
}

Result<int> Function::attribute(CUfunction_attribute which) {
  Result<const LoadedKernel*> loaded = load();
  if (!loaded)
    return loaded.error();
  const jit::Kernel& kernel = *(*loaded)->kernel;
  const MachineShape& shape = module_.context().device().shape();
  switch (which) {
  case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    return static_cast<int>(kernel.max_threads);
  case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
    return static_cast<int>(kernel.static_shared_bytes);
  case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES: {
    std::uint64_t bytes = 0;
    for (const jit::Variable& variable : module_.code().info().variables)
      bytes += variable.space == jit::VariableSpace::constant ? variable.size : 0;
    return static_cast<int>(bytes);
  }
  case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
    return static_cast<int>(kernel.private_bytes);
  case CU_FUNC_ATTRIBUTE_NUM_REGS:
    return static_cast<int>(kernel.vgprs);
  case CU_FUNC_ATTRIBUTE_PTX_VERSION:
    return static_cast<int>(module_.code().info().target);
  case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
    return 61;
  case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
    return 0;
  case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES: {
    int limit = dynamic_shared_limit.load();
    return limit >= 0 ? limit : static_cast<int>(shape.shared_per_block - kernel.static_shared_bytes);
  }
  case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
    return carveout.load();
  default:
    return util::fail(CUDA_ERROR_INVALID_VALUE, "there is no function attribute {}", static_cast<int>(which));
  }
}

Result<void> Function::set_attribute(CUfunction_attribute which, int value) {
  Result<const LoadedKernel*> loaded = load();
  if (!loaded)
    return loaded.error();
  const MachineShape& shape = module_.context().device().shape();
  int largest = static_cast<int>(shape.shared_per_block - (*loaded)->kernel->static_shared_bytes);
  if (which == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES && value >= 0 && value <= largest)
    dynamic_shared_limit = value;
  else if (which == CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT && value >= -1 && value <= 100)
    carveout = value;
  else
    return util::fail(CUDA_ERROR_INVALID_VALUE, "function attribute {} cannot be {}", static_cast<int>(which),
                      value);
  return {};
}

} // namespace shim::core
