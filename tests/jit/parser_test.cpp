// What load_module() says about a module, and what it says when the text is no PTX.
#include <cstring>
#include <sys/resource.h>

#include <gtest/gtest.h>
#include <jit/compiler.hpp>

namespace {

using namespace shim::jit;

const std::string header = ".version 6.4\n.target sm_61\n.address_size 64\n"; // three lines

std::shared_ptr<const Module> load(const std::string& text) {
  Log log;
  auto module = load_module(text, &log);
  EXPECT_TRUE(module.ok()) << log.errors;
  return module.ok() ? *module : nullptr;
}

// The error log of a text that must be refused.
std::string refusal(const std::string& text) {
  Log log;
  const auto module = load_module(text, &log);
  EXPECT_FALSE(module.ok());
  EXPECT_EQ(module.code(), CUDA_ERROR_INVALID_PTX);
  return log.errors;
}

std::string body(const std::string& statements) {
  return header + ".visible .entry k(.param .u64 p)\n{\n" + statements +
         "\nret;\n}\n"; // statements begin on line 6
}

template <class T>
T value_at(const Variable& variable, std::size_t offset) {
  T value = {};
  EXPECT_LE(offset + sizeof value, variable.size);
  for (const InitialBytes& piece : variable.initial)
    if (piece.offset <= offset && offset + sizeof value <= piece.offset + piece.bytes.size())
      std::memcpy(&value, piece.bytes.data() + (offset - piece.offset), sizeof value);
  return value;
}

TEST(Parser, reports_version_target_and_entries) {
  const auto module = load(header + ".entry hidden() { ret; }\n.visible .entry shown() { exit; }\n");
  ASSERT_TRUE(module);
  EXPECT_EQ(module->info().ptx_version, 64u);
  EXPECT_EQ(module->info().target, 61u);
  EXPECT_EQ(module->info().address_bits, 64u);
  ASSERT_EQ(module->info().entries.size(), 2u);
  EXPECT_EQ(module->info().entries[0].name, "hidden");
  EXPECT_FALSE(module->info().entries[0].visible);
  EXPECT_TRUE(module->info().entries[1].visible);
}

TEST(Parser, lays_out_parameters_by_their_alignment) {
  const auto module = load(header + R"(
.visible .entry k(
  .param .u8 a,
  .param .u32 b,
  .param .align 16 .b8 c[24],
  .param .u64 .ptr .global .align 8 d,
  .param .f64 e,
  .param .v4 .f32 f,
  .param .u16 g
)
.maxntid 128, 2
.minnctapersm 3
{ ret; })");
  ASSERT_TRUE(module);
  const Entry& entry = module->info().entries.at(0);
  const std::uint32_t expected[][3] = {{0, 1, 1},  {4, 4, 4},    {16, 24, 16}, {40, 8, 8},
                                       {48, 8, 8}, {64, 16, 16}, {80, 2, 2}};
  ASSERT_EQ(entry.parameters.size(), std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); i++) {
    EXPECT_EQ(entry.parameters[i].offset, expected[i][0]) << i;
    EXPECT_EQ(entry.parameters[i].size, expected[i][1]) << i;
    EXPECT_EQ(entry.parameters[i].alignment, expected[i][2]) << i;
  }
  EXPECT_EQ(entry.parameter_bytes, 82u);
  EXPECT_EQ(entry.max_threads, (std::array<std::uint32_t, 3>{128, 2, 1}));
  EXPECT_EQ(entry.min_blocks, 3u);
}

TEST(Parser, evaluates_constant_expressions_and_nested_lists) {
  const auto module = load(header + R"(
.visible .global .align 16 .u32 a[4] = {1, 0x10, -1, 2+3*4};
.global .f32 b[] = {1.5, 0f40000000, -2};
.const .f64 c = 0d3FF8000000000000;
.global .u16 d[2][3] = {{1, 2}, {4, 5, 6}};
.global .v2 .u32 e[2] = {{1, 2}, {3, 4}};
.global .u8 f[8] = {1 ? 7 : 8, (1 << 4) | 1, ~0 & 0xff, 0b101, 017, !5};
.global .b8 g[1024];
)");
  ASSERT_TRUE(module);
  const auto& variables = module->info().variables;
  ASSERT_EQ(variables.size(), 7u);
  EXPECT_TRUE(variables[0].visible);
  EXPECT_EQ(variables[0].alignment, 16u);
  EXPECT_EQ(value_at<std::int32_t>(variables[0], 8), -1);
  EXPECT_EQ(value_at<std::uint32_t>(variables[0], 12), 14u);
  EXPECT_EQ(variables[1].size, 12u);
  EXPECT_EQ(value_at<float>(variables[1], 4), 2.0f);
  EXPECT_EQ(value_at<float>(variables[1], 8), -2.0f);
  EXPECT_EQ(variables[2].space, VariableSpace::constant);
  EXPECT_EQ(value_at<double>(variables[2], 0), 1.5);
  EXPECT_EQ(value_at<std::uint16_t>(variables[3], 4), 0u);
  EXPECT_EQ(value_at<std::uint16_t>(variables[3], 6), 4u);
  EXPECT_EQ(variables[4].size, 16u);
  EXPECT_EQ(value_at<std::uint32_t>(variables[4], 12), 4u);
  const std::uint8_t expected[] = {7, 17, 255, 5, 15, 0, 0, 0};
  for (std::size_t i = 0; i < std::size(expected); i++)
    EXPECT_EQ(value_at<std::uint8_t>(variables[5], i), expected[i]) << i;
  EXPECT_EQ(variables[6].size, 1024u);
  EXPECT_TRUE(variables[6].initial.empty());
}

TEST(Parser, keeps_addresses_in_initial_values_as_relocations) {
  const auto module = load(header + R"(
.shared .u32 not_counted;
.global .u32 table[4];
.global .u64 pointers[3] = {table, table+8, generic(table)+4};
.extern .global .u32 elsewhere;
.global .u64 far = elsewhere;
)");
  ASSERT_TRUE(module);
  const auto& variables = module->info().variables;
  ASSERT_EQ(variables.size(), 4u);
  ASSERT_EQ(variables[1].relocations.size(), 3u);
  for (const std::size_t i : {0u, 1u, 2u}) {
    EXPECT_EQ(variables[1].relocations[i].offset, 8 * i);
    EXPECT_EQ(variables[1].relocations[i].variable, 0u);
    EXPECT_EQ(variables[1].relocations[i].width, 8u);
  }
  EXPECT_EQ(variables[1].relocations[1].addend, 8);
  EXPECT_EQ(variables[1].relocations[2].addend, 4);
  EXPECT_TRUE(variables[2].external);
  EXPECT_EQ(variables[3].relocations.at(0).variable, 2u);
}

TEST(Parser, takes_what_compilers_write_around_the_code) {
  EXPECT_TRUE(load(R"(
// a comment /* in a comment
/* another // one */
.version 8.5
.target sm_90, debug, texmode_unified
.address_size 64
.file 1 "/tmp/a file.cu"
.extern .func (.param .b32 r) vprintf(.param .b64 format, .param .b64 list);
.global .texref tex;
.visible .func  (.param .b32 out) twice(.param .b32 in)
{
  .reg .b32 %r<3>;
  .loc 1 2 3
  ld.param.u32 %r1, [in];
  { // callseq 0
  .reg .b32 temp;
  shl.b32 temp, %r1, 1;
  mov.u32 %r2, temp;
  }
  st.param.b32 [out+0], %r2;
  ret;
}
.visible .entry k() .reqntid 32
{
  .pragma "nounroll";
  .loc 1 9 1, function_name $L__info, inlined_at 1 4 5
  bra.uni $done;
$done:
  ret;
}
.section .debug_info
{
  .b32 12
  .b8 3, 4
}
)"));
}

TEST(Parser, finds_labels_and_registers_by_block) {
  EXPECT_TRUE(load(body(R"(
.reg .b32 %r<2>, %r1x;
{ .reg .b64 %r1; mov.u64 %r1, 5; bra L; L: }
{ mov.u32 %r1, 5; bra L; L: }
.reg .v4 .f32 v;
mov.f32 v.x, 0f3F800000; mov.f32 v.w, v.x;
)")));
}

TEST(Parser, names_line_and_instruction_that_are_unknown) {
  EXPECT_EQ(refusal(body(".reg .u32 %r;\nfoo.bar %r, 1;")), "line 7: unknown instruction `foo.bar`\n");
  EXPECT_EQ(refusal(body(".reg .u32 %r;\n\nadd.wibble.u32 %r, %r, 1;")),
            "line 8: unknown instruction `add.wibble.u32`\n");
  EXPECT_EQ(refusal(body(".reg .u32 %r;\nadd.u8 %r, %r, 1;")), "line 7: unknown instruction `add.u8`\n");
}

TEST(Parser, reports_the_first_fault_of_each_function) {
  const std::string errors =
      refusal(header + ".entry a() { foo; }\n.entry b() { ret; }\n.entry c() {\nbar2.x; }\n");
  EXPECT_EQ(errors, "line 4: unknown instruction `foo`\nline 7: unknown instruction `bar2.x`\n");
}

struct Bad {
  const char* statements;
  const char* error;
};

TEST(Parser, refuses_what_does_not_fit) {
  const Bad cases[] = {
      {"mov.u32 %r, 1;", "line 6: unknown register `%r`"},
      {".reg .u32 a; mov.u32 a, b;", "line 6: unknown name `b`"},
      {"bra nowhere;", "line 6: unknown name `nowhere`"},
      {".reg .u32 a; .reg .u64 a;", "line 6: `a` is declared twice"},
      {".reg .u32 a; .reg .u64 b; add.u64 b, b, a;", "line 6: `a` does not fit .u64"},
      {".reg .u32 a; .reg .u64 b; mov.u64 a, b;", "line 6: `a` is too narrow for .u64"},
      {".reg .u32 a; add.u32 a, a;", "line 6: 2 operands in `add.u32`"},
      {".reg .u32 a; @a bra x; x:", "line 6: `a` is not a predicate register"},
      {".reg .u32 a; mov.u32 a, 08;", "line 6: malformed number `08`"},
      {".reg .f32 a; mov.f32 a, 0f123;", "line 6: malformed number `0f123`"},
      {".reg .u32 a; ld.u32 a, a;", "line 6: expected an address in `ld.u32`"},
      {".reg .u32 a; mov.u32 a, 1", "expected `;`"},
      {".bogus 1;", "line 6: unknown directive `.bogus`"},
      {"vote.sync.all.pred 1;", "line 6: 1 operands"},
      {".reg .u32 %r; tex.2d.v4.u32.f32 %r, %r, %r;", "line 6: unknown instruction `tex.2d.v4.u32.f32`"},
      {"/* open", "comment without end"},
  };
  for (const Bad& bad : cases)
    EXPECT_NE(refusal(body(bad.statements)).find(bad.error), std::string::npos)
        << bad.statements << " gave " << refusal(body(bad.statements));
}

std::string repeated(std::size_t count, const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < count; i++)
    result += text;
  return result;
}

// Sizes, counts and depths that a text can give. Each is refused, with its line, at once.
TEST(Parser, refuses_sizes_out_of_bounds) {
  const Bad modules[] = {
      {".global .b32 x[][2147483649][2147483647] = {{{1}}, {{2}}};", "line 4: `x` is too large"},
      {".global .b8 x[4294967296][4294967296];", "line 4: `x` is too large"},
      {".global .b8 x[0][4294967296][4294967296];", "line 4: `x` is too large"},
      {".global .b64 x[1099511627776];", "line 4: `x` is too large"},
      {".global .v4 .b32 x[274877906944];", "line 4: `x` is too large"},
      {".global .b8 x[][1099511627776] = {{1}, {2}};", "line 4: `x` is too large"},
      {".global .b8 x[18446744073709551615];", "line 4: number -1 out of range"},
      {".global .b8 x[-1];", "line 4: number -1 out of range"},
      {".global .b8 x[1.5];", "line 4: expected an integer constant"},
      {".global .b8 x[2][];", "line 4: expected a constant"},
      {".global .u32 x[0] = {1};", "line 4: too many initial values"},
      {".global .u32 x[2][0] = {{1}};", "line 4: too many initial values"},
      {".global .align 0 .u32 x;", "line 4: alignment 0"},
      {".global .align 3 .u32 x;", "line 4: alignment 3"},
      {".global .align -4 .u32 x;", "line 4: number -4 out of range"},
      {".global .align 131072 .u32 x;", "line 4: number 131072 out of range"},
      {".global .v3 .u32 x;", "line 4: expected a type"},
      {".global .u32 x<2>[3];", "line 4: array bounds or an initial value of the range `x<2>`"},
      {".global .u32 x<2> = 1;", "line 4: array bounds or an initial value of the range `x<2>`"},
      {".global .u32 x<-2>;", "line 4: number out of range"},
      {".global .u32 x<4294967296>;", "line 4: number out of range"},
      {".global .u32 x<4294967295>;", "line 4: more than 65536 variables in ranges"},
      {".global .u32 x<40000>;\n.global .u32 y<40000>;", "line 5: more than 65536 variables in ranges"},
      {".global .u32 x<2>;\n.global .u32 x1;", "line 5: `x1` is declared twice"},
      {".global .u32 x = (.s64)1e30;", "line 4: floating-point constant out of range"},
      {".global .u32 x = (.s64)(1 << 63) / -1;", "line 4: division by zero"},
      {".entry k(.param .b8 q[4294967295]) { ret; }",
       "line 4: the parameters of `k` need more than 4352 bytes"},
      {".entry k(.param .b8 q[4353]) { ret; }", "line 4: the parameters of `k` need more than 4352 bytes"},
      {".entry k(.param .b8 q[4351], .param .u16 r) { ret; }",
       "line 4: the parameters of `k` need more than 4352"},
      {".entry k(.param .u8 q, .param .align 8192 .b8 r[1]) { ret; }",
       "line 4: the parameters of `k` need more"},
      {".entry k() .maxntid 0 { ret; }", "line 4: a block of 0 threads"},
      {".entry k() .reqntid 4, 0 { ret; }", "line 4: a block of 0 threads"},
      {".entry k() .maxntid -1 { ret; }", "line 4: number -1 out of range"},
      {".entry k() .maxntid 1073741824, 1073741824, 1073741824 { ret; }", "line 4: a block of"},
      {".entry k() .reqntid 65536, 65536, 65536 { ret; }", "line 4: a block of"},
      {".func f(.param .b8 x[1099511627777]) { ret; }", "line 4: number 1099511627777 out of range"},
  };
  for (const Bad& bad : modules)
    EXPECT_EQ(refusal(header + bad.statements).find(bad.error), 0u)
        << bad.statements << " gave " << refusal(header + bad.statements);
  const Bad bodies[] = {
      {".local .b8 x[524289]; st.local.u8 [x], 1;", "line 6: more than 524288 bytes of local memory"},
      {".local .b8 x[300000]; .local .b8 y[300000]; st.local.u8 [x], 1;\nst.local.u8 [y], 1;",
       "line 7: more than"},
      {".local .b8 x[1099511627776]; st.local.u8 [x], 1;", "line 6: more than 524288 bytes of local memory"},
      {".param .b8 x[1099511627776]; st.param.b8 [x], 1;", "line 6: more than 524288 bytes of local memory"},
      {".shared .b8 x[1099511627776]; st.shared.u8 [x], 1;",
       "line 6: shared variables need more than 65536 bytes"},
      {".local .b8 x[];", "line 6: `x` has no size"},
      {".reg .u32 r<2>; .reg .u64 r<3>;", "line 6: `r<3>` is declared twice"},
      {".reg .u32 r<-1>;", "line 6: number out of range"},
      {".reg .u32 r<1.5>;", "line 6: number out of range"},
      {".reg .u32 r<4294967296>;", "line 6: number out of range"},
      {".reg .u32 r<2>; mov.u32 r2, 1;", "line 6: unknown name `r2`"},
      {".reg .u32 r<2>; mov.u32 r01, 1;", "line 6: unknown name `r01`"},
      {".reg .u32 r<2>; mov.u32 r4294967297, 1;", "line 6: unknown name `r4294967297`"},
      {".local .u32 x<4294967295>; st.local.u32 [x4294967295], 1;", "line 6: unknown name `x4294967295`"},
      {"bar.sync 16;", "line 6: barrier 16 of 16"},
      {"bar.sync -1;", "line 6: barrier -1 of 16"},
      {"bar.arrive 1, 33;", "line 6: 33 threads, no multiple of 32"},
  };
  for (const Bad& bad : bodies)
    EXPECT_EQ(refusal(body(bad.statements)).find(bad.error), 0u)
        << bad.statements << " gave " << refusal(body(bad.statements));
}

TEST(Parser, refuses_what_is_nested_too_deep) {
  constexpr std::size_t many = 200'000;
  const std::string texts[] = {
      header + ".global .u32 x = " + repeated(many, "(") + "1" + repeated(many, ")") + ";",
      header + ".global .u32 x = " + repeated(many, "- ") + "1;",
      header + ".global .u32 x = " + repeated(many, "!") + "1;",
      header + ".global .u32 x = " + repeated(many, "1 ? 1 : ") + "1;",
      header + ".global .u32 x = " + repeated(many, "(.s64)") + "1;",
      header + ".global .u32 x" + repeated(many, "[1]") + " = " + repeated(many, "{") + "1" +
          repeated(many, "}") + ";",
      header + ".global .u32 x[] = " + repeated(many, "{") + ";",
      body(repeated(many, "{") + repeated(many, "}")),
      body("mov.b64 " + repeated(many, "{") + ";"),
      body("ld.u32 " + repeated(many, "[1, ") + ";"),
      body("call " + repeated(many, "(") + ";"),
  };
  for (const std::string& text : texts)
    EXPECT_EQ(refusal(text).find("line "), 0u) << text.substr(0, 100);
  EXPECT_TRUE(load(body(repeated(500, "{") + repeated(500, "}"))));
  EXPECT_TRUE(load(header + ".global .u32 x = " + repeated(100, "(") + "1" + repeated(100, ")") + ";"));
}

TEST(Parser, allows_parameters_up_to_the_limit_of_the_version) {
  const auto text = [](const char* version, const char* target, unsigned bytes) {
    return std::string(".version ") + version + "\n.target " + target +
           "\n.address_size 64\n.entry k(.param .align 1 .b8 q[" + std::to_string(bytes) + "]) { ret; }";
  };
  EXPECT_TRUE(load(text("6.4", "sm_75", 4352)));
  EXPECT_TRUE(load(text("8.1", "sm_70", 32764)));
  const std::string small = "line 4: the parameters of `k` need more than 4352 bytes\n";
  EXPECT_EQ(refusal(text("8.0", "sm_70", 4353)), small);
  EXPECT_EQ(refusal(text("8.1", "sm_61", 4353)), small);
  EXPECT_EQ(refusal(text("8.1", "sm_70", 32765)),
            "line 4: the parameters of `k` need more than 32764 bytes\n");
}

// The text says little, whatever the numbers in it.
TEST(Parser, needs_no_memory_for_zeros_and_for_names_that_nobody_uses) {
  rusage before = {}, after = {};
  getrusage(RUSAGE_SELF, &before);
  const auto module = load(header + R"(
.visible .global .align 8 .u64 D[1073741824] = {1};
.global .u32 E[2][1073741824] = {{2}, {3}};
.visible .entry k() { .reg .b32 %a<4294967295>, %b<4294967295>; .local .b32 l<4294967295>; mov.u32 %a4294967294, 1; ret; }
)");
  getrusage(RUSAGE_SELF, &after);
  ASSERT_TRUE(module);
  EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 500'000); // KiB; LLVM is among them
  const auto& variables = module->info().variables;
  EXPECT_EQ(variables[0].size, 8ull << 30);
  EXPECT_EQ(value_at<std::uint64_t>(variables[0], 0), 1u);
  EXPECT_EQ(value_at<std::uint32_t>(variables[1], 0), 2u);
  EXPECT_EQ(value_at<std::uint32_t>(variables[1], 4ull << 30), 3u);
}

TEST(Parser, gives_each_name_of_a_range) {
  const auto module = load(header + ".visible .global .align 16 .v2 .u32 g<3>;\n.const .f64 c<2>;");
  ASSERT_TRUE(module);
  const auto& variables = module->info().variables;
  const char* const names[] = {"g0", "g1", "g2", "c0", "c1"};
  ASSERT_EQ(variables.size(), std::size(names));
  for (std::size_t i = 0; i < std::size(names); i++) {
    EXPECT_EQ(variables[i].name, names[i]);
    EXPECT_EQ(variables[i].size, 8u);
    EXPECT_EQ(variables[i].alignment, i < 3 ? 16u : 8u);
    EXPECT_EQ(variables[i].visible, i < 3);
  }
}

TEST(Parser, refuses_an_alias_of_what_it_cannot_be) {
  const Bad cases[] = {
      {".func a() { ret; }\n.func b() { ret; }\n.alias b, a;", "line 6: `b` is defined twice\n"},
      {".func a() { ret; }\n.func b();\n.alias b, a;\n.func b() { ret; }", "line 7: `b` is defined twice\n"},
      {".func b();\n.func c();\n.alias c, b;\n.alias b, c;", "line 6: `c` is an alias of itself\n"},
      {".func b();\n.alias b, b;", "line 5: `b` is an alias of itself\n"},
      {".func b();\n.alias b, a;", "line 5: `a` is not a function\n"},
      {".func a() { ret; }\n.global .u32 b;\n.alias b, a;", "line 6: `b` is defined twice\n"},
  };
  for (const Bad& bad : cases)
    EXPECT_EQ(refusal(header + bad.statements), bad.error) << bad.statements;
}

TEST(Parser, refuses_broken_headers) {
  EXPECT_EQ(refusal(""), "line 1: expected `.version`, found the end of the text\n");
  EXPECT_EQ(refusal("\x7f"
                    "ELF"),
            "line 1: unexpected character `\x7f`\n");
  EXPECT_EQ(refusal(".version 6.4\n.target gpu_61\n"), "line 2: unknown target `gpu_61`\n");
  EXPECT_EQ(refusal(".version 99999999999.1\n.target sm_61\n"),
            "line 1: malformed version `99999999999.1`\n");
  EXPECT_EQ(refusal(".version 6.4\n.target sm_99999999999\n"), "line 2: unknown target `sm_99999999999`\n");
  EXPECT_EQ(refusal(".version 6.4\n.target sm_61\n.address_size 32\n"),
            "line 3: only 64-bit addresses are supported\n");
}

TEST(Parser, stops_at_the_terminating_nul) {
  std::string text = header + ".entry k() { ret; }";
  text += '\0';
  text += "garbage";
  EXPECT_TRUE(load(text));
}

} // namespace
