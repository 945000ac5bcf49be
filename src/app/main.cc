#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "app/program.h"

int main(int argc, char** argv) {
  try {
    return inferneo::app::run_program(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "inferneo: internal error: %s\n", error.what());
    return 1;
  }
}
