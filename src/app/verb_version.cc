#include <CLI/CLI.hpp>
#include <cstdio>

#include "app/verb.h"
#include "base/str.h"
#include "base/version.h"

namespace inferneo::app {
namespace {

VerbBody declare(CLI::App&) {
  return [](const Config&) -> Result<int> {
    const std::string text =
        str("inferneo ", version(), "\n", compiler(), ", ", build_type(), "\n");
    std::fputs(text.c_str(), stdout);
    return kExitOk;
  };
}

}  // namespace

extern const Verb kVersionVerb;
const Verb kVersionVerb = {.name = "version",
                           .rank = 90,
                           .summary = "Print version, compiler and kind of build",
                           .examples = {},
                           .config = ConfigUse::kNone,
                           .declare = declare};

}  // namespace inferneo::app
