#include "app/first_token.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <vector>

#include "base/error_text.h"
#include "base/str.h"

extern char** environ;

namespace inferneo::app {
namespace {

Result<pid_t> spawn_self(std::vector<std::string> arguments, int output) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return internal_error(str("cannot start the program: ", error_text(error)));
  return pid;
}

}  // namespace

Result<double> start_to_first_token(const std::string& model) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return internal_error("cannot make a pipe");
  const auto begin = std::chrono::steady_clock::now();
  const Result<pid_t> pid = spawn_self(
      {"inferneo", "run", model, "What is an API?", "--temperature", "0", "--max-tokens", "2"},
      ends[1]);
  ::close(ends[1]);
  double seconds = -1;
  char byte = 0;
  if (pid.has_value()) {
    if (::read(ends[0], &byte, 1) == 1) {
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
    while (::read(ends[0], &byte, 1) == 1) {
    }
    int status = 0;
    ::waitpid(*pid, &status, 0);
    if (status != 0) seconds = -1;
  }
  ::close(ends[0]);
  if (!pid.has_value()) return pid.error();
  if (seconds < 0) return internal_error(str("`inferneo run ", model, "` gave no answer"));
  return seconds;
}

}  // namespace inferneo::app
