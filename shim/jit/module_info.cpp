#include "module_info.hpp"

namespace shim::jit {
namespace {

Entry describe_entry(const ptx::Function& function) {
  Entry entry;
  entry.name = function.name;
  entry.visible = function.visible;
  entry.max_threads = function.max_threads;
  entry.required_threads = function.required_threads;
  entry.min_blocks = function.min_blocks;
  std::uint32_t end = 0;
  for (const ptx::Variable& variable : function.parameters) {
    Parameter parameter;
    parameter.name = variable.name;
    parameter.size = static_cast<std::uint32_t>(variable.size);
    parameter.alignment = variable.alignment;
    parameter.offset = (end + variable.alignment - 1) / variable.alignment * variable.alignment;
    end = parameter.offset + parameter.size;
    entry.parameters.push_back(std::move(parameter));
  }
  entry.parameter_bytes = end;
  return entry;
}

VariableKind kind_of(ptx::Type type) {
  switch (type) {
  case ptx::Type::texref:
    return VariableKind::texture_reference;
  case ptx::Type::samplerref:
    return VariableKind::sampler_reference;
  case ptx::Type::surfref:
    return VariableKind::surface_reference;
  default:
    return VariableKind::data;
  }
}

Variable describe_variable(const ptx::Variable& source, const std::vector<std::uint32_t>& indices) {
  Variable variable;
  variable.name = source.name;
  variable.space = source.space == ptx::Space::constant ? VariableSpace::constant : VariableSpace::global;
  variable.kind = kind_of(source.type);
  variable.size = source.size;
  variable.alignment = source.alignment;
  for (const ptx::InitialBytes& piece : source.initial)
    variable.initial.push_back({piece.offset, piece.bytes});
  variable.visible = source.visible;
  variable.external = source.external;
  for (const ptx::InitialAddress& address : source.addresses)
    variable.relocations.push_back(
        {address.offset, indices[address.variable], address.addend, address.width});
  return variable;
}

} // namespace

ModuleInfo describe(const ptx::Module& tree) {
  ModuleInfo info;
  info.ptx_version = tree.version;
  info.target = tree.target;
  info.address_bits = tree.address_bits;
  for (const ptx::Function& function : tree.functions)
    if (function.entry && function.has_body)
      info.entries.push_back(describe_entry(function));
  std::vector<std::uint32_t> indices;
  std::uint32_t next = 0;
  for (const ptx::Variable& variable : tree.variables)
    indices.push_back(variable.space == ptx::Space::shared ? ptx::no_index : next++);
  for (const ptx::Variable& variable : tree.variables)
    if (variable.space != ptx::Space::shared)
      info.variables.push_back(describe_variable(variable, indices));
  return info;
}

std::uint32_t entry_function(const ptx::Module& tree, std::size_t entry) {
  for (std::uint32_t i = 0; i < tree.functions.size(); i++)
    if (tree.functions[i].entry && tree.functions[i].has_body && entry-- == 0)
      return i;
  return ptx::no_index;
}

} // namespace shim::jit
