// The command line of `inferneo`: finds the verb, reads its flags and the configuration, runs it
// and prints what went wrong. Thread: main.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace inferneo::app {

// `arguments` without the program's name. Returns the exit status.
int run_program(const std::vector<std::string>& arguments);

// "inferneo: where: message" and the hint on a line of its own, on stderr.
void print_failure(const Status& status);

}  // namespace inferneo::app
