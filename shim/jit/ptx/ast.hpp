// The syntax tree of a PTX module, with every name resolved.
//
// Text is kept as views into Module::source. Scopes are gone: each register, label and variable has a number
// that is unique in its function (registers, labels, local variables) or in the module (variables,
// functions).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "types.hpp"

namespace shim::jit::ptx {

inline constexpr std::uint32_t no_index = ~0u;

// What is wrong with the program, and where. Thrown inside the library only.
struct Error {
  unsigned line;
  std::string message;
};

struct Operand {
  enum class Kind : std::uint8_t {
    sink,       // _
    reg,        // index: register of the function
    integer,    // integer
    real,       // single and real, the same number as .f32 and .f64
    special,    // text: "%tid.x"
    variable,   // index: variable of the module; integer: bytes to add
    local,      // index: .local or .param variable of the function; integer: bytes to add
    function,   // index: function of the module
    label,      // index: label of the function
    targets,    // index: a .branchtargets list of the function
    prototype,  // index: a .callprototype or .calltargets of the function
    vector,     // elements: {a, b}
    pair,       // elements: p|q
    list,       // elements: (a, b), as in call
    address,    // [base + integer]; elements: what else is between the brackets ([tex, {x, y}])
    unresolved, // only while parsing
  };

  Kind kind = Kind::sink;
  Kind base = Kind::sink; // of an address: reg, variable, local, or integer for an absolute one
  bool negated = false;   // !p
  bool minus = false;     // -a, of a video instruction's operand
  std::uint32_t index = no_index;
  std::int64_t integer = 0;
  std::uint32_t single = 0; // bits: signalling NaNs stay
  std::uint64_t real = 0;
  std::string_view text;     // as written, without selector
  std::string_view selector; // "b0" or "h1", of a video instruction's operand
  std::vector<Operand> elements;
};

struct Instruction {
  unsigned line = 0;
  std::uint32_t guard = no_index; // predicate register
  bool guard_negated = false;
  std::uint32_t label = no_index;          // not no_index: this is no instruction but the place of a label
  std::string_view opcode;                 // "ld"
  std::vector<std::string_view> modifiers; // "global", "v4", "f32"
  std::vector<Operand> operands;
};

struct Register {
  std::string_view name;
  Type type = Type::none;
};

// A function's address, plus whatever was added, stands at `offset` in the initial contents.
struct InitialFunction {
  std::uint64_t offset = 0;
  std::uint32_t function = no_index;
};

// The address of `variable` plus `addend` goes to `offset` in the initial contents.
struct InitialAddress {
  std::uint64_t offset = 0;
  std::uint32_t variable = no_index;
  std::int64_t addend = 0;
  unsigned width = 8;
};

struct InitialBytes {
  std::uint64_t offset = 0;
  std::vector<std::byte> bytes;
};

struct Variable {
  std::string name;
  std::string_view range; // what `name` begins with where the module declares `range<n>`, else empty
  unsigned line = 0;
  Space space = Space::generic;
  Type type = Type::none;
  unsigned vector = 1;
  std::uint64_t size = 0; // bytes, all elements; 0 for an array without a size
  std::uint32_t alignment = 1;
  bool unsized = false; // name[]
  bool visible = false;
  bool external = false;
  bool weak = false;
  std::uint32_t reg = no_index;      // a function's parameter in .reg space: its register
  std::vector<InitialBytes> initial; // in order, zeros between them
  std::vector<InitialAddress> addresses;
  std::vector<InitialFunction> functions;
};

// A .callprototype (signature) or .calltargets (candidates).
struct CallInfo {
  std::vector<Variable> returns;
  std::vector<Variable> parameters;
  std::vector<std::uint32_t> targets; // functions; empty: any that fits
  bool has_signature = false;
};

struct Function {
  std::string name;
  unsigned line = 0;
  bool entry = false;
  bool visible = false;
  bool external = false;
  bool weak = false;
  bool has_body = false;
  bool address_taken = false;     // an indirect call may reach it
  std::uint32_t alias = no_index; // what this is another name of: then nothing refers to it
  std::array<std::uint32_t, 3> max_threads = {0, 0, 0};
  std::array<std::uint32_t, 3> required_threads = {0, 0, 0};
  std::uint32_t min_blocks = 0;

  std::vector<Variable> returns;
  std::vector<Variable> parameters;
  std::vector<Register> registers;
  // .local and .param variables. Those of the signature come first: returns, then parameters.
  std::vector<Variable> locals;
  std::uint32_t labels = 0;
  std::vector<std::vector<std::uint32_t>> branch_targets; // labels
  std::vector<CallInfo> call_infos;
  std::vector<Instruction> body;
};

struct Module {
  std::string source;
  unsigned version = 0; // 10 * major + minor
  unsigned target = 0;  // 75 for sm_75
  unsigned address_bits = 32;
  std::vector<Variable> variables;     // .global, .const and .shared
  std::deque<std::string> range_names; // those that the source does not spell
  std::vector<Function> functions;     // entries too

  // A function's address in PTX, as code and initial contents see it: never 0, the same in every entry.
  static std::uint64_t function_address(std::uint32_t index) { return 16ull * (index + 1); }
};

} // namespace shim::jit::ptx
