#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "app/config_sources.h"
#include "app/management_api.h"
#include "app/models_text.h"
#include "app/verb.h"

namespace inferneo::app {
namespace {

struct PsFlags {
  ManagementTarget target;
  std::string config_file;
  bool json = false;
};

Result<int> ps(const PsFlags& flags) {
  ConfigSources sources;
  sources.file = flags.config_file;
  sources.environment = process_environment();
  ASSIGN_OR_RETURN(const Config config, read_config(sources));
  ASSIGN_OR_RETURN(const std::unique_ptr<ManagementApi> api, connect(flags.target, config));
  if (api->address().empty()) {
    return unavailable("no server runs, so no model is in memory")
        .with_hint("start one with `inferneo serve`, or name it with --address");
  }
  ASSIGN_OR_RETURN(const Json answer, api->call("GET", "/models", {}));
  const std::string text = flags.json ? answer.dump(2) + "\n" : running_text(answer);
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

VerbBody declare(CLI::App& command) {
  auto flags = std::make_shared<PsFlags>();
  command.add_flag("--json", flags->json, "Print the answer of the management API");
  declare_target(command, flags->target, flags->config_file);
  return [flags](const Config&) { return ps(*flags); };
}

}  // namespace

extern const Verb kPsVerb;
const Verb kPsVerb = {.name = "ps",
                      .rank = 10,
                      .summary = "List the models in a server's memory",
                      .examples =
                          "  inferneo ps\n"
                          "  inferneo ps --address http://127.0.0.1:9000 --json",
                      .config = ConfigUse::kNone,
                      .declare = declare};

}  // namespace inferneo::app
