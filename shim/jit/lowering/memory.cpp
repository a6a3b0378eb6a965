// Loads and stores (PTX ISA, "ld", "ldu", "st", "prefetch").
#include "families.hpp"

namespace shim::jit {
namespace {

// How strongly an access is ordered: by its .weak, .relaxed, .acquire, .release or .volatile.
struct Access {
  bool is_volatile = false;
  llvm::AtomicOrdering ordering = llvm::AtomicOrdering::NotAtomic;
  llvm::SyncScope::ID scope = llvm::SyncScope::System;
};

Access take_access(Emitter& e, bool load) {
  Access access;
  const std::string_view order =
      e.modifiers().take_one({"weak", "volatile", "relaxed", "mmio", load ? "acquire" : "release"});
  if (order == "volatile" || order == "mmio")
    access.is_volatile = true;
  if (order == "mmio")
    e.modifiers().take("relaxed");
  if (order == "relaxed" || order == "mmio")
    access.ordering = llvm::AtomicOrdering::Monotonic;
  if (order == "acquire")
    access.ordering = llvm::AtomicOrdering::Acquire;
  if (order == "release")
    access.ordering = llvm::AtomicOrdering::Release;
  if (access.ordering != llvm::AtomicOrdering::NotAtomic)
    access.scope = take_scope(e, llvm::SyncScope::System);
  return access;
}

// Words that only say where a cache should keep the data.
void take_cache_words(Emitter& e, bool load) {
  if (load)
    e.modifiers().take_one({"ca", "cg", "cs", "lu"});
  else
    e.modifiers().take_one({"wb", "cg", "cs", "wt"});
  e.modifiers().take_one(
      {"L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last", "L1::no_allocate"});
  e.modifiers().take_one({"L2::64B", "L2::128B", "L2::256B"});
}

std::size_t take_vector(Emitter& e) {
  const std::string_view vector = e.modifiers().take_one({"v2", "v4", "v8"});
  return vector.empty() ? 1 : static_cast<std::size_t>(vector[1] - '0');
}

Type take_memory_type(Emitter& e) {
  const Type type = e.expect_type();
  if (type == Type::pred || type == Type::f16x2 || ptx::is_opaque(type))
    e.fail_unknown();
  return type;
}

std::vector<const Operand*> vector_operands(Emitter& e, std::size_t index, std::size_t count) {
  const Operand& operand = e.operand(index);
  std::vector<const Operand*> result;
  if (count == 1) {
    const bool single = operand.kind == Operand::Kind::vector && operand.elements.size() == 1;
    result.push_back(single ? &operand.elements[0] : &operand);
    return result;
  }
  if (operand.kind != Operand::Kind::vector || operand.elements.size() != count)
    e.fail(fmt::format("expected a vector of {}", count));
  for (const Operand& element : operand.elements)
    result.push_back(&element);
  return result;
}

Value* element_address(Emitter& e, Value* base, std::size_t index, Type type) {
  return index ? e.b.CreateConstGEP1_64(e.b.getInt8Ty(), base, index * ptx::type_bytes(type)) : base;
}

llvm::LoadInst* load_one(Emitter& e, llvm::Type* type, Value* address, std::uint64_t alignment,
                         const Access& access) {
  auto* load = e.b.CreateAlignedLoad(type, address, llvm::Align(alignment), access.is_volatile);
  if (access.ordering != llvm::AtomicOrdering::NotAtomic)
    load->setAtomic(access.ordering, access.scope);
  return load;
}

void mark_invariant(llvm::LoadInst* load) {
  load->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(load->getContext(), {}));
}

void ld(Emitter& e) {
  e.expect_operands(2);
  Access access = take_access(e, true);
  Space space = take_space(e);
  const bool non_coherent = e.modifiers().take("nc") || e.instruction().opcode == "ldu";
  access.is_volatile = access.is_volatile || e.modifiers().take("cv");
  take_cache_words(e, true);
  const std::size_t count = take_vector(e);
  const Type type = take_memory_type(e);
  Value* address = e.address(e.operand(1), space);
  const auto destinations = vector_operands(e, 0, count);
  const std::uint64_t bytes = ptx::type_bytes(type);
  llvm::Type* bits = e.integer_type(type);
  const bool plain = !access.is_volatile && access.ordering == llvm::AtomicOrdering::NotAtomic;
  if (count > 1 && plain) {
    auto* load = load_one(e, llvm::FixedVectorType::get(bits, static_cast<unsigned>(count)), address,
                          bytes * count, access);
    if (non_coherent)
      mark_invariant(load);
    for (std::size_t i = 0; i < count; i++)
      e.write(*destinations[i], e.b.CreateExtractElement(load, i), type);
    return;
  }
  std::vector<llvm::LoadInst*> loads;
  for (std::size_t i = 0; i < count; i++)
    loads.push_back(load_one(e, bits, element_address(e, address, i, type), bytes, access));
  if (non_coherent && plain)
    mark_invariant(loads[0]);
  for (std::size_t i = 0; i < count; i++)
    e.write(*destinations[i], loads[i], type);
}

void st(Emitter& e) {
  e.expect_operands(2);
  const Access access = take_access(e, false);
  const Space space = take_space(e);
  take_cache_words(e, false);
  const std::size_t count = take_vector(e);
  const Type type = take_memory_type(e);
  if (space == Space::constant)
    e.fail_unknown();
  Value* address = e.address(e.operand(0), space);
  const auto sources = vector_operands(e, 1, count);
  const std::uint64_t bytes = ptx::type_bytes(type);
  const bool plain = !access.is_volatile && access.ordering == llvm::AtomicOrdering::NotAtomic;
  if (count > 1 && plain) {
    Value* vector = llvm::PoisonValue::get(
        llvm::FixedVectorType::get(e.integer_type(type), static_cast<unsigned>(count)));
    for (std::size_t i = 0; i < count; i++)
      vector = e.b.CreateInsertElement(vector, e.read_bits(*sources[i], type), i);
    e.b.CreateAlignedStore(vector, address, llvm::Align(bytes * count));
    return;
  }
  for (std::size_t i = 0; i < count; i++) {
    auto* store = e.b.CreateAlignedStore(e.read_bits(*sources[i], type), element_address(e, address, i, type),
                                         llvm::Align(bytes), access.is_volatile);
    if (access.ordering != llvm::AtomicOrdering::NotAtomic)
      store->setAtomic(access.ordering, access.scope);
  }
}

// A hint only: the address is checked, and nothing is done.
void prefetch(Emitter& e) {
  e.expect_operands(1);
  const Space space = take_space(e);
  if (e.modifiers().take_one({"L1", "L2", "L2::evict_last", "L2::evict_normal"}).empty())
    e.fail_unknown();
  e.address(e.operand(0), space);
}

} // namespace

Space take_space(Emitter& e) {
  struct Row {
    std::string_view name;
    Space space;
  };
  static constexpr Row rows[] = {{"global", Space::global},      {"shared", Space::shared},
                                 {"shared::cta", Space::shared}, {"local", Space::local},
                                 {"const", Space::constant},     {"param", Space::param},
                                 {"param::entry", Space::param}, {"param::func", Space::param}};
  for (const Row& row : rows)
    if (e.modifiers().take(row.name))
      return row.space;
  return Space::generic;
}

llvm::SyncScope::ID scope(Emitter& e, const char* name) {
  return e.b.getContext().getOrInsertSyncScopeID(name);
}

llvm::SyncScope::ID take_scope(Emitter& e, llvm::SyncScope::ID otherwise) {
  const std::string_view word = e.modifiers().take_one({"cta", "gpu", "sys"});
  if (word.empty())
    return otherwise;
  return word == "cta"   ? scope(e, "workgroup")
         : word == "gpu" ? scope(e, "agent")
                         : llvm::SyncScope::ID(llvm::SyncScope::System);
}

void add_memory(LoweringTable& table) {
  table.insert({{"ld", ld}, {"ldu", ld}, {"st", st}, {"prefetch", prefetch}, {"prefetchu", prefetch}});
}

} // namespace shim::jit
