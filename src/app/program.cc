#include "app/program.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>

#include "app/config_sources.h"
#include "app/help_text.h"
#include "app/verb.h"
#include "base/log.h"
#include "base/str.h"
#include "base/version.h"

namespace inferneo::app {
namespace {

constexpr std::string_view kAbout =
    "Inferneo serves language models over the OpenAI API from one native program.";
constexpr std::string_view kFooter =
    "Examples:\n"
    "  inferneo serve /models/llama            # http://127.0.0.1:8000/v1\n"
    "  inferneo chat /models/llama             # talk to it here\n"
    "  inferneo run /models/llama 'Once upon'  # one answer on stdout\n"
    "  inferneo doctor                         # what this machine offers\n"
    "\n"
    "`inferneo VERB --help` shows the flags of a verb. Every flag that is a configuration key can\n"
    "also be set in a YAML file (--config FILE, `kv_cache_mib: 512`) or in the environment\n"
    "(INFERNEO_KV_CACHE_MIB=512); flags win over the environment, that over the file.";

// What the flags of one verb hold after parsing.
struct Flag {
  const ConfigKey* key = nullptr;
  std::vector<std::string> values;
  std::string switch_value;
  CLI::Option* option = nullptr;
};

struct Command {
  const Verb* verb = nullptr;
  CLI::App* app = nullptr;
  VerbBody body;
  std::string config_file;
  std::vector<std::unique_ptr<Flag>> flags;  // unique_ptr: the parser keeps their addresses
};

std::string described(const ConfigKey& key) {
  std::string text(key.help);
  if (key.kind == ConfigKind::kChoice) text += str(" One of ", config_range(key), ".");
  if (key.kind != ConfigKind::kList && key.kind != ConfigKind::kSwitch) {
    text += str(" (default ", key.initial.empty() ? "empty" : key.initial);
    if (!key.unit.empty()) text += str(" ", key.unit);
    text += ")";
  }
  if (key.kind == ConfigKind::kSwitch) text += str(" (default ", key.initial, ")");
  return text;
}

std::string_view value_name(const ConfigKey& key) {
  switch (key.kind) {
    case ConfigKind::kInteger:
      return "N";
    case ConfigKind::kChoice:
      return "WORD";
    default:
      return "TEXT";
  }
}

void add_config_flag(Command& command, const ConfigKey& key) {
  auto flag = std::make_unique<Flag>();
  flag->key = &key;
  const std::string name = flag_name(key.name);
  if (key.kind == ConfigKind::kSwitch) {
    const std::string negative = "--no-" + name.substr(2);
    flag->option = command.app->add_flag(
        str(name, "{true},", negative, "{false}"), flag->switch_value, described(key));
  } else {
    // The models of `serve` are also its plain arguments.
    const std::string names = key.name == "models" ? "MODEL," + name : name;
    flag->option = command.app->add_option(names, flag->values, described(key));
    flag->option->type_name(std::string(value_name(key)));
    if (key.kind != ConfigKind::kList) flag->option->expected(1);
    // Why not for models: as plain arguments they come one after the other.
    if (key.name != "models") flag->option->allow_extra_args(false);
  }
  flag->option->group(key.scope == ConfigScope::kServer ? "Server" : "Engine");
  command.flags.push_back(std::move(flag));
}

void add_config_flags(Command& command) {
  if (command.verb->config == ConfigUse::kNone) return;
  command.app
      ->add_option(
          "--config", command.config_file, "YAML file of configuration keys (also INFERNEO_CONFIG)")
      ->type_name("FILE");
  for (const ConfigKey& key : config_keys()) {
    if (key.scope == ConfigScope::kServer && command.verb->config != ConfigUse::kAll) continue;
    add_config_flag(command, key);
  }
}

std::vector<std::unique_ptr<Command>> add_verbs(CLI::App& app) {
  std::vector<const Verb*> verbs(verb_table().begin(), verb_table().end());
  std::ranges::sort(verbs, {}, &Verb::rank);
  std::vector<std::unique_ptr<Command>> commands;
  for (const Verb* verb : verbs) {
    auto command = std::make_unique<Command>();
    command->verb = verb;
    command->app = app.add_subcommand(std::string(verb->name), std::string(verb->summary));
    if (verb->rank == 0) command->app->group("");
    if (!verb->examples.empty()) {
      command->app->footer(str("Examples:\n", verb->examples));
    }
    command->body = verb->declare(*command->app);
    add_config_flags(*command);
    commands.push_back(std::move(command));
  }
  return commands;
}

// `--kv_cache_mib` is taken for `--kv-cache-mib`: a key may be written as in the file.
std::string with_dashes(const std::string& argument) {
  if (!argument.starts_with("--")) return argument;
  std::string out = argument;
  const auto name_end = std::ranges::find(out, '=');
  std::replace(out.begin(), name_end, '_', '-');
  return out;
}

std::vector<std::string> flag_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// The command that the line names, of those within each other the innermost.
const CLI::App& innermost(const CLI::App& command) {
  const std::vector<CLI::App*> parsed = command.get_subcommands();
  return parsed.empty() ? command : innermost(*parsed.front());
}

// "models register" for a command within a verb.
std::string words_of(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  const bool is_nested = parent != nullptr && parent->get_parent() != nullptr;
  return str(is_nested ? words_of(*parent) + " " : "", command.get_name());
}

// The first flag on the line that `command` does not know, with the nearest one that it does.
std::optional<Status> unknown_flag(const CLI::App& command,
                                   const std::vector<std::string>& arguments) {
  const std::vector<std::string> known = flag_names(command);
  const bool is_program = command.get_parent() == nullptr;
  for (const std::string& argument : arguments) {
    if (argument == "--") break;
    if (!argument.starts_with("--")) continue;
    const std::string name = argument.substr(0, argument.find('='));
    if (std::ranges::find(known, name) != known.end()) continue;
    const std::vector<std::string_view> candidates(known.begin(), known.end());
    const std::string_view nearest = nearest_name(name, candidates);
    return Status(StatusCode::kInvalidArgument,
                  str("there is no flag '", printable(name), "'"),
                  !nearest.empty() ? str("did you mean '", nearest, "'?")
                  : is_program     ? "see `inferneo --help`"
                                   : str("see `inferneo ", words_of(command), " --help`"));
  }
  return std::nullopt;
}

// `command` needs a verb (of the program, or one within a verb) and got `word`, which is none;
// empty when it got nothing.
Status unknown_verb(const CLI::App& command, const std::string& word) {
  const bool is_nested = command.get_parent() != nullptr;
  const std::string line = is_nested ? str("inferneo ", words_of(command)) : "inferneo";
  const std::string help = str("see `", line, " --help`");
  if (word.empty()) return invalid_argument(str("`", line, "` needs a verb")).with_hint(help);
  std::vector<std::string> names;
  for (const CLI::App* known : command.get_subcommands({})) names.push_back(known->get_name());
  const std::vector<std::string_view> candidates(names.begin(), names.end());
  const std::string_view nearest = nearest_name(word, candidates);
  return {StatusCode::kInvalidArgument,
          str("there is no verb '", printable(word), "'", is_nested ? str(" of `", line, "`") : ""),
          nearest.empty() ? help : str("did you mean '", nearest, "'?")};
}

// The first word on the line behind `name` that is no flag; empty when there is none.
std::string word_behind(const std::vector<std::string>& arguments, const std::string& name) {
  auto at = std::ranges::find(arguments, name);
  if (at != arguments.end()) ++at;
  at = std::find_if(at, arguments.end(), [](const std::string& a) { return !a.starts_with("-"); });
  return at == arguments.end() ? std::string() : *at;
}

// What a parse error means to the person who typed the line.
Status explained(const CLI::App& app,
                 const std::vector<std::unique_ptr<Command>>& commands,
                 const std::vector<std::string>& arguments,
                 const CLI::ParseError& error) {
  const auto used = std::ranges::find_if(
      commands, [](const std::unique_ptr<Command>& command) { return command->app->parsed(); });
  if (used != commands.end()) {
    const CLI::App& command = innermost(*(*used)->app);
    if (std::optional<Status> status = unknown_flag(command, arguments)) return *status;
    if (command.get_require_subcommand_min() > 0 && command.get_subcommands().empty()) {
      return unknown_verb(command, word_behind(arguments, command.get_name()));
    }
    return invalid_argument(error.what())
        .with_hint(str("see `inferneo ", words_of(command), " --help`"));
  }
  if (!arguments.empty() && !arguments[0].starts_with("-")) return unknown_verb(app, arguments[0]);
  if (std::optional<Status> status = unknown_flag(app, arguments)) return *status;
  return invalid_argument(error.what()).with_hint("see `inferneo --help`");
}

// `inferneo help VERB` asks what `inferneo VERB --help` does.
std::vector<std::string> as_flag_for_help(std::vector<std::string> words) {
  if (words.empty() || words.front() != "help") return words;
  words.erase(words.begin());
  words.emplace_back("--help");
  return words;
}

Result<Config> config_of(const Command& command) {
  if (command.verb->config == ConfigUse::kNone) return Config();
  ConfigSources sources;
  sources.file = command.config_file;
  sources.environment = process_environment();
  for (const auto& flag : command.flags) {
    if (flag->option->count() == 0) continue;
    const bool is_switch = flag->key->kind == ConfigKind::kSwitch;
    sources.flags.push_back(
        {flag->key, is_switch ? std::vector<std::string>{flag->switch_value} : flag->values});
  }
  return read_config(sources);
}

void configure_log(const Config& config) {
  static constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error", "off"};
  static constexpr std::string_view kFormats[] = {"auto", "text", "json"};
  const auto level = std::ranges::find(kLevels, config.log_level) - kLevels;
  const auto format = std::ranges::find(kFormats, config.log_format) - kFormats;
  log::configure(static_cast<log::Level>(level), static_cast<log::Format>(format));
}

int run_command(Command& command) {
  const Result<Config> config = config_of(command);
  if (!config.has_value()) {
    print_failure(config.error());
    return kExitUsage;
  }
  configure_log(*config);
  const Result<int> exit_status = command.body(*config);
  log::flush();
  if (exit_status.has_value()) return *exit_status;
  print_failure(exit_status.error());
  return kExitFailure;
}

}  // namespace

void print_failure(const Status& status) {
  std::string text = "inferneo: ";
  if (!status.where().empty()) text += status.where() + ": ";
  text += status.message() + "\n";
  if (!status.hint().empty()) text += "  " + status.hint() + "\n";
  std::fputs(text.c_str(), stderr);
}

int run_program(const std::vector<std::string>& arguments) {
  // A write beyond a limit of the process is then a failure like that of a full disk.
  ::signal(SIGXFSZ, SIG_IGN);
  CLI::App app{std::string(kAbout), "inferneo"};
  app.footer(std::string(kFooter));
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "Print this help");
  app.set_version_flag("-V,--version", str("inferneo ", version()), "Print the version");
  set_help_form(app);
  const auto commands = add_verbs(app);

  if (arguments.empty()) {
    std::cerr << app.help();
    return kExitUsage;
  }
  std::vector<std::string> words;
  std::ranges::transform(arguments, std::back_inserter(words), with_dashes);
  words = as_flag_for_help(std::move(words));
  // The parser takes the line from its end.
  std::vector<std::string> reversed(words.rbegin(), words.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::Success& answer) {  // help or version was asked for
    return app.exit(answer);
  } catch (const CLI::ParseError& error) {
    print_failure(explained(app, commands, words, error));
    return kExitUsage;
  }
  for (const auto& command : commands) {
    if (command->app->parsed()) return run_command(*command);
  }
  return kExitUsage;
}

}  // namespace inferneo::app
