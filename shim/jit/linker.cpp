#include <jit/linker.hpp>

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

#include "ptx/lexer.hpp"
#include "ptx/parser.hpp"

namespace shim::jit {

namespace {

using ptx::Token;

// The device's own functions, which no text defines.
constexpr std::array<std::string_view, 4> system_functions = {"vprintf", "malloc", "free", "__assertfail"};

bool is(const Token& token, Token::Kind kind, std::string_view text) {
  return token.kind == kind && token.text == text;
}

bool opens(const Token& token) {
  return token.kind == Token::Kind::punctuation &&
         (token.text == "{" || token.text == "(" || token.text == "[");
}
bool closes(const Token& token) {
  return token.kind == Token::Kind::punctuation &&
         (token.text == "}" || token.text == ")" || token.text == "]");
}

// One declaration or directive at the level of the module.
struct Statement {
  std::span<const Token> tokens;
  bool header = false; // .version, .target, .address_size, and what only debuggers read
  bool function = false;
};

std::size_t end_of_line(std::span<const Token> tokens, std::size_t at) {
  unsigned line = tokens[at].line;
  while (tokens[at].kind != Token::Kind::end && tokens[at].line == line)
    ++at;
  return at;
}

// Behind the last token of the statement that begins at `at`.
std::size_t end_of_statement(std::span<const Token> tokens, std::size_t at, bool function) {
  int depth = 0;
  for (; tokens[at].kind != Token::Kind::end; ++at) {
    if (opens(tokens[at]))
      ++depth;
    if (closes(tokens[at]) && --depth == 0 && function && tokens[at].text == "}")
      return at + 1;
    if (depth == 0 && is(tokens[at], Token::Kind::punctuation, ";"))
      return at + 1;
  }
  return at;
}

Statement next_statement(std::span<const Token> tokens) {
  Statement statement;
  std::string_view name = tokens[0].kind == Token::Kind::directive ? tokens[0].text : std::string_view();
  std::size_t end;
  if (name == "version" || name == "address_size") {
    statement.header = true;
    end = 2;
  } else if (name == "target") {
    statement.header = true;
    for (end = 2; is(tokens[end], Token::Kind::punctuation, ",");)
      end += 2;
  } else if (name == "file" || name == "loc") {
    statement.header = true;
    end = end_of_line(tokens, 0);
  } else if (name == "section") {
    statement.header = true;
    end = end_of_statement(tokens, 0, true);
  } else {
    for (std::size_t i = 0; tokens[i].kind == Token::Kind::directive && !statement.function; ++i)
      statement.function = tokens[i].text == "func" || tokens[i].text == "entry";
    end = end_of_statement(tokens, 0, statement.function);
  }
  statement.tokens = tokens.first(end);
  return statement;
}

// The first name outside brackets: the function's or the variable's.
std::string_view declared_name(const Statement& statement) {
  int depth = 0;
  for (const Token& token : statement.tokens) {
    depth += opens(token) ? 1 : closes(token) ? -1 : 0;
    if (depth == 0 && token.kind == Token::Kind::identifier)
      return token.text;
  }
  return {};
}

} // namespace

util::Result<void> Linker::add(std::string_view text, Log& log) {
  Input input;
  std::unique_ptr<ptx::Module> tree;
  try {
    tree = ptx::parse(std::string(text.substr(0, text.find('\0'))));
  } catch (const ptx::Error& error) {
    log.errors += fmt::format("line {}: {}\n", error.line, error.message);
    return util::fail(CUDA_ERROR_INVALID_PTX, "link: line {}: {}", error.line, error.message);
  }
  input.source = tree->source;
  input.version = tree->version;
  input.target = tree->target;
  std::map<std::string, bool, std::less<>> defines;
  auto note = [&](const auto& symbol, bool body, bool needs_none) {
    if (symbol.external || !body) {
      if (!needs_none)
        input.needed.insert(symbol.name);
    } else if (symbol.visible) {
      defines[symbol.name] = symbol.weak;
    } else {
      input.statics.insert(symbol.name);
    }
  };
  for (const ptx::Variable& variable : tree->variables) { // without a size: the block's dynamic shared memory
    note(variable, true, variable.space == ptx::Space::shared);
    if (!variable.range.empty() && input.statics.contains(variable.name)) {
      input.ranges.insert(variable.name);
      input.ranges.emplace(variable.range);
    }
  }
  for (const ptx::Function& function : tree->functions)
    note(function, function.has_body || function.alias != ptx::no_index,
         std::find(system_functions.begin(), system_functions.end(), function.name) !=
             system_functions.end());
  for (const auto& [name, weak] : defines) {
    auto earlier = defined_.find(name);
    if (earlier == defined_.end()) {
      input.defined.insert(name);
    } else if (weak) {
      input.weak_again.insert(name);
    } else {
      log.errors += fmt::format("`{}` is defined twice\n", name);
      return util::fail(CUDA_ERROR_INVALID_SOURCE, "link: {} is defined twice", name);
    }
  }
  for (const std::string& name : input.defined)
    defined_[name] = defines[name];
  inputs_.push_back(std::move(input));
  return {};
}

bool Linker::known_elsewhere(const Input& input, std::string_view name) const {
  return std::any_of(inputs_.begin(), inputs_.end(), [&](const Input& other) {
    return &other != &input && (other.statics.contains(name) || other.defined.contains(name) ||
                                other.needed.contains(name) || other.weak_again.contains(name));
  });
}

std::string Linker::piece(const Input& input, std::size_t index) const {
  std::vector<Token> tokens = ptx::tokenize(input.source);
  std::string text;
  for (std::span<const Token> rest = tokens; rest[0].kind != Token::Kind::end;) {
    Statement statement = next_statement(rest);
    rest = rest.subspan(statement.tokens.size());
    if (statement.header || input.weak_again.contains(declared_name(statement)))
      continue;
    const Token& first = statement.tokens.front();
    const char* copied = first.text.data() - (first.kind == Token::Kind::directive ? 1 : 0); // its dot
    for (const Token& token : statement.tokens)
      if (token.kind == Token::Kind::identifier &&
          (input.ranges.contains(token.text) ||
           (input.statics.contains(token.text) && known_elsewhere(input, token.text)))) {
        text.append(copied, token.text.data());
        text += fmt::format("__link{}_{}", index, token.text);
        copied = token.text.data() + token.text.size();
      }
    const Token& last = statement.tokens.back();
    text.append(copied, last.text.data() + last.text.size());
    text += '\n';
  }
  return text;
}

util::Result<std::string> Linker::link(Log& log) const {
  unsigned version = 60, target = 30;
  std::string body;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    for (const std::string& name : inputs_[i].needed)
      if (!defined_.contains(name)) {
        log.errors += fmt::format("`{}` is not defined\n", name);
        return util::fail(CUDA_ERROR_INVALID_SOURCE, "link: {} is not defined", name);
      }
    version = std::max(version, inputs_[i].version);
    target = std::max(target, inputs_[i].target);
    body += piece(inputs_[i], i);
  }
  return fmt::format(".version {}.{}\n.target sm_{}\n.address_size 64\n{}", version / 10, version % 10,
                     target, body);
}

} // namespace shim::jit
