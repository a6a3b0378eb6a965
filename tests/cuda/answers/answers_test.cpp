// Asks the driver some hundred questions, most of them about wrong arguments, and holds the answers against
// those of NVIDIA's driver, which tests/cuda/answers/answers.txt keeps.
//
//   answers_test ANSWERS    compares; a line in ANSWERS has three columns: their answer, ours ("=" where it
//   is
//                           the same, else a comment above says why it is not), the question
//   answers_test --print    prints the answers of the driver in that form
//
// A question may kill the process that asks it: a child asks, and another one goes on after the question that
// killed it. An answer is a CUresult or a number that the question tells; or "crash", "hang".
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <poll.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "world.hpp"

namespace {

using answers::Question;

constexpr int seconds_for_a_question = 20;

std::vector<Question> all_questions() {
  std::vector<Question> all;
  for (auto part : {answers::context_questions(), answers::memory_questions(), answers::stream_questions(),
                    answers::module_questions(), answers::external_questions()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

// The child: one line for each answer, until one cannot be trusted any more.
[[noreturn]] void ask(const std::vector<Question>& questions, std::size_t next, int out) {
  answers::World world;
  CUcontext current;
  for (; next < questions.size(); ++next) {
    int answer = questions[next].ask(world);
    CUresult after = cuCtxSynchronize();
    dprintf(out, "%d %d\n", answer, static_cast<int>(after));
    if (after != CUDA_SUCCESS || cuCtxGetCurrent(&current) != CUDA_SUCCESS || current != world.context)
      break;
  }
  _exit(0);
}

class Child {
public:
  Child(const std::vector<Question>& questions, std::size_t next) {
    int ends[2];
    if (pipe(ends) != 0)
      std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      if (!std::getenv("ANSWERS_VERBOSE"))
        std::freopen("/dev/null", "w", stderr);
      ask(questions, next, ends[1]);
    }
    close(ends[1]);
    from_ = ends[0];
  }
  ~Child() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(from_);
  }
  // The next answer; empty where the child has ended of itself.
  std::string next() {
    for (;;) {
      if (std::size_t end = buffer_.find('\n'); end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      pollfd descriptor = {from_, POLLIN, 0};
      if (poll(&descriptor, 1, seconds_for_a_question * 1000) == 0)
        return "hang";
      char bytes[256];
      ssize_t count = read(from_, bytes, sizeof bytes);
      if (count > 0) {
        buffer_.append(bytes, static_cast<std::size_t>(count));
        continue;
      }
      int status = 0;
      waitpid(pid_, &status, 0);
      return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "" : WIFEXITED(status) ? "no world" : "crash";
    }
  }

private:
  pid_t pid_ = 0;
  int from_ = -1;
  std::string buffer_;
};

// "1 0" becomes "1"; an error that came later stays: "0 then 700".
std::string in_words(const std::string& line) {
  std::size_t space = line.find(' ');
  if (space == std::string::npos || line.substr(space) == " 0")
    return line.substr(0, space);
  return line.substr(0, space) + " then" + line.substr(space);
}

std::vector<std::string> answer_all(const std::vector<Question>& questions) {
  std::vector<std::string> result;
  while (result.size() < questions.size()) {
    Child child(questions, result.size());
    std::size_t before = result.size();
    while (result.size() < questions.size()) {
      std::string line = child.next();
      if (line == "no world" || (line.empty() && result.size() == before)) {
        std::fprintf(stderr, "the questions cannot be asked here\n");
        std::exit(1);
      }
      if (line.empty())
        break;
      bool died = line == "crash" || line == "hang";
      result.push_back(died ? line : in_words(line));
      if (died)
        break;
    }
  }
  return result;
}

// The formatter may break a question anew.
std::string without_spaces(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

struct Expected {
  std::string theirs, ours;
};

std::map<std::string, Expected> read_expected(const char* path) {
  std::map<std::string, Expected> expected;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#')
      continue;
    std::size_t tab = line.find('\t'), second = line.find('\t', tab + 1);
    Expected entry{line.substr(0, tab), line.substr(tab + 1, second - tab - 1)};
    if (entry.ours == "=")
      entry.ours = entry.theirs;
    expected[without_spaces(line.substr(second + 1))] = entry;
  }
  return expected;
}

int compare(const std::vector<Question>& questions, const char* path) {
  std::map<std::string, Expected> expected = read_expected(path);
  std::vector<std::string> given = answer_all(questions);
  int wrong = 0;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    auto found = expected.find(without_spaces(questions[i].text));
    if (found == expected.end()) {
      std::printf("not in %s: %s\n", path, questions[i].text);
      ++wrong;
    } else if (found->second.ours != given[i]) {
      std::printf("%s, not %s: %s\n", given[i].c_str(), found->second.ours.c_str(), questions[i].text);
      ++wrong;
    }
  }
  std::printf("%zu questions, %d wrong answers\n", questions.size(), wrong);
  return wrong != 0;
}

} // namespace

int main(int argc, char** argv) {
  std::vector<Question> questions = all_questions();
  if (argc == 2 && std::strcmp(argv[1], "--print") != 0)
    return compare(questions, argv[1]);
  std::vector<std::string> given = answer_all(questions);
  for (std::size_t i = 0; i < questions.size(); ++i)
    std::printf("%s\t=\t%s\n", given[i].c_str(), questions[i].text);
}
