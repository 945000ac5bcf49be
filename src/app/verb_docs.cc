#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "app/reference.h"
#include "app/verb.h"

namespace inferneo::app {
namespace {

Result<int> docs(const std::string& topic) {
  std::string text;
  if (topic == "architectures") {
    text = architecture_reference();
  } else if (topic == "config") {
    text = configuration_reference();
  } else if (topic == "endpoints") {
    text = endpoint_reference();
  } else {
    text = metric_reference();
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kExitOk;
}

VerbBody declare(CLI::App& command) {
  auto topic = std::make_shared<std::string>();
  command.add_option("TOPIC", *topic, "architectures, config, endpoints or metrics")
      ->required()
      ->check(CLI::IsMember({"architectures", "config", "endpoints", "metrics"}));
  return [topic](const Config&) { return docs(*topic); };
}

}  // namespace

extern const Verb kDocsVerb;
const Verb kDocsVerb = {.name = "docs",
                        .rank = 0,
                        .summary = "Print a reference of docs/ as Markdown",
                        .examples = "  inferneo docs config > docs/configuration.md",
                        .config = ConfigUse::kNone,
                        .declare = declare};

}  // namespace inferneo::app
