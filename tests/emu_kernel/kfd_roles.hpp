// Parts of a test that run in a process of their own: started anew, with an environment of their own.
//
// An executable lists its roles and calls roles_main(), with gtest's tests beside them.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <initializer_list>
#include <poll.h>
#include <span>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace kfd_test {

struct Role {
  const char* name;
  int (*run)(); // the exit status; failed expectations make it 1
};

struct Outcome {
  int status = -1; // exit status; negative: the signal that ended it
  bool timed_out = false;
  std::string output; // stdout and stderr

  bool said(const char* text) const { return output.find(text) != output.npos; }
};

// Runs `arguments` with "NAME=value" added to the environment; kills it after `limit`.
inline Outcome run_program(std::vector<std::string> arguments, std::initializer_list<std::string> environment,
                           std::chrono::seconds limit = std::chrono::seconds(30)) {
  int pipes[2];
  Outcome outcome;
  if (pipe(pipes) != 0)
    return outcome;
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipes[1], STDOUT_FILENO);
    dup2(pipes[1], STDERR_FILENO);
    close(pipes[0]);
    close(pipes[1]);
    std::vector<char*> pointers;
    for (std::string& argument : arguments)
      pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    for (const std::string& entry : environment) {
      const std::size_t equals = entry.find('=');
      setenv(entry.substr(0, equals).c_str(), entry.c_str() + equals + 1, 1);
    }
    execv(pointers[0], pointers.data());
    _exit(127);
  }
  close(pipes[1]);
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd readable{pipes[0], POLLIN, 0};
    if (left.count() <= 0 || poll(&readable, 1, static_cast<int>(left.count())) == 0) {
      outcome.timed_out = true;
      kill(child, SIGKILL);
      break;
    }
    char buffer[4096];
    const ssize_t got = read(pipes[0], buffer, sizeof buffer);
    if (got <= 0)
      break;
    outcome.output.append(buffer, static_cast<std::size_t>(got));
  }
  close(pipes[0]);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return outcome;
}

inline Outcome run_role(const char* name, std::initializer_list<std::string> environment = {}) {
  return run_program({"/proc/self/exe", "--role", name}, environment);
}

inline int roles_main(int argc, char** argv, std::span<const Role> roles) {
  if (argc == 3 && std::strcmp(argv[1], "--role") == 0) {
    int one = 1;
    testing::InitGoogleTest(&one, argv);
    for (const Role& role : roles)
      if (std::strcmp(argv[2], role.name) == 0) {
        const int status = role.run();
        return testing::UnitTest::GetInstance()->Failed() ? 1 : status;
      }
    return 126;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
inline int roles_main(int argc, char** argv, std::initializer_list<Role> roles) {
  return roles_main(argc, argv, std::span(roles.begin(), roles.size()));
}

} // namespace kfd_test
