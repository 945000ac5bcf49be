// `inferneo models ...`: what an operator does with models, over the management API.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/config_sources.h"
#include "app/management_api.h"
#include "app/model_spec.h"
#include "app/models_text.h"
#include "app/verb.h"
#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/str.h"

namespace inferneo::app {
namespace {

struct ModelsFlags {
  ManagementTarget target;
  std::string config_file;
  bool json = false;

  std::string model;   // positional
  std::string second;  // positional: PATH, VERSION, ...
  std::string version;
  std::vector<std::string> settings;  // KEY=VALUE
  std::vector<std::string> tags;
  std::vector<std::string> aliases;
  bool pin = false;
  bool preload = false;
  bool no_preload = false;
  std::string path;
  bool no_digests = false;
  bool off = false;
  bool force = false;
  bool wait = false;
  bool dry_run = false;
  bool at_once = false;
  bool fully = false;
  bool no_rollback = false;
  std::string policy_file;
  std::string reason;
  std::int64_t limit = 50;
};

// What a subcommand asks, and how its answer reads on a terminal.
using Ask = std::function<Result<Json>(ManagementApi&, const ModelsFlags&)>;
using Show = std::function<std::string(const Json& answer)>;

Json model_body(const ModelsFlags& flags) {
  Json body;
  body["model_id"] = flags.model;
  if (!flags.version.empty()) body["version"] = flags.version;
  return body;
}

std::string model_path(const ModelsFlags& flags) {
  std::string path = "/models/" + encode_path(flags.model);
  if (!flags.version.empty()) path += "?version=" + encode_path(flags.version);
  return path;
}

Result<Json> settings_object(const std::vector<std::string>& settings) {
  Json object = Json::object();
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return invalid_argument(str("'", printable(setting), "' is not KEY=VALUE"))
          .with_where("--set")
          .with_hint("for example --set context_tokens_max=4096");
    }
    object[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  return object;
}

// The server judges the path, which may not be readable here.
std::string absolute_path(const std::string& path) {
  std::error_code error;
  return std::filesystem::absolute(path, error).string();
}

Result<Json> register_model(ManagementApi& api, const ModelsFlags& flags) {
  Json body;
  const std::size_t equals = flags.model.find('=');
  if (equals != std::string::npos) {
    body["model_id"] = flags.model.substr(0, equals);
    body["path"] = absolute_path(flags.model.substr(equals + 1));
  } else {
    ASSIGN_OR_RETURN(const ModelSpec spec, parse_model_spec(flags.model));
    body["model_id"] = spec.name;
    body["path"] = spec.path;
  }
  if (!flags.version.empty()) body["version"] = flags.version;
  ASSIGN_OR_RETURN(body["config"], settings_object(flags.settings));
  if (!flags.tags.empty()) body["tags"] = flags.tags;
  if (!flags.aliases.empty()) body["aliases"] = flags.aliases;
  body["pinned"] = flags.pin;
  body["preload"] = flags.preload;
  body["digests"] = !flags.no_digests;
  return api.call("POST", "/register", body);
}

Result<Json> list_models(ManagementApi& api, const ModelsFlags&) {
  return api.call("GET", "/models", {});
}

Result<Json> show_model(ManagementApi& api, const ModelsFlags& flags) {
  return api.call("GET", model_path(flags), {});
}

Result<Json> change_model(ManagementApi& api, const ModelsFlags& flags) {
  Json body = Json::object();
  if (!flags.settings.empty()) {
    ASSIGN_OR_RETURN(body["config"], settings_object(flags.settings));
  }
  if (!flags.tags.empty()) body["tags"] = flags.tags;
  if (!flags.path.empty()) body["path"] = absolute_path(flags.path);
  if (flags.preload || flags.no_preload) body["preload"] = flags.preload;
  if (body.empty()) {
    return invalid_argument("nothing to change")
        .with_hint("give --path, --set, --tag or --preload");
  }
  return api.call("PATCH", model_path(flags), body);
}

Status needs_server(const ManagementApi& api) {
  if (!api.address().empty()) return ok_status();
  return unavailable("no server runs that could do that")
      .with_hint("start one with `inferneo serve`, or name it with --address");
}

Result<Json> load_model(ManagementApi& api, const ModelsFlags& flags) {
  RETURN_IF_ERROR(needs_server(api));
  Json body = model_body(flags);
  body["force_reload"] = flags.force;
  return api.call("POST", "/load", body);
}

Result<Json> unload_model(ManagementApi& api, const ModelsFlags& flags) {
  RETURN_IF_ERROR(needs_server(api));
  return api.call("POST", "/unload", model_body(flags));
}

Result<Json> update_model(ManagementApi& api, const ModelsFlags& flags) {
  RETURN_IF_ERROR(needs_server(api));
  Json body;
  body["model_id"] = flags.model;
  body["new_version"] = flags.second;
  body["wait"] = flags.wait;
  body["dry_run"] = flags.dry_run;
  body["strategy"] = flags.at_once ? "at_once" : "rollout";
  if (flags.no_rollback) body["rollback_on_failure"] = false;
  if (!flags.policy_file.empty()) {
    ASSIGN_OR_RETURN(const std::string text,
                     read_file(flags.policy_file, limits::kConfigFileSizeMax));
    Result<Json> policy = parse_json(text);
    if (!policy.has_value()) return std::move(policy).error().with_where(flags.policy_file);
    body["policy"] = *std::move(policy);
  }
  return api.call("POST", "/update", body);
}

Result<Json> remove_model(ManagementApi& api, const ModelsFlags& flags) {
  return api.call("DELETE", model_path(flags), {});
}

Result<Json> pin_model(ManagementApi& api, const ModelsFlags& flags) {
  Json body = model_body(flags);
  body["pinned"] = !flags.off;
  return api.call("POST", "/pin", body);
}

Result<Json> sleep_model(ManagementApi& api, const ModelsFlags& flags) {
  RETURN_IF_ERROR(needs_server(api));
  return api.call("POST", "/sleep", model_body(flags));
}

Result<Json> set_policy(ManagementApi& api, const ModelsFlags& flags) {
  Json body;
  body["model_id"] = flags.model;
  body["policy"] = flags.second;
  return api.call("POST", "/version_policy", body);
}

Result<Json> alias_model(ManagementApi& api, const ModelsFlags& flags) {
  if (flags.model.empty()) return api.call("GET", "/aliases", {});
  if (flags.off) return api.call("DELETE", "/aliases/" + encode_path(flags.model), {});
  if (flags.second.empty()) {
    return invalid_argument("an alias needs the model that it stands for")
        .with_hint("write `inferneo models alias ALIAS MODEL`");
  }
  Json body;
  body["alias"] = flags.model;
  body["model_id"] = flags.second;
  return api.call("POST", "/alias", body);
}

Result<Json> audit(ManagementApi& api, const ModelsFlags& flags) {
  std::string path = str("/audit?limit=", flags.limit);
  if (!flags.model.empty()) path += "&model=" + encode_path(flags.model);
  return api.call("GET", path, {});
}

Result<Json> rollouts(ManagementApi& api, const ModelsFlags& flags) {
  if (flags.model.empty()) return api.call("GET", "/rollouts", {});
  return api.call("GET", "/rollouts/" + encode_path(flags.model), {});
}

// Pause, resume, promote and abort differ in their name only.
Ask rollout_step(const char* step) {
  return [step](ManagementApi& api, const ModelsFlags& flags) -> Result<Json> {
    RETURN_IF_ERROR(needs_server(api));
    Json body;
    body["model_id"] = flags.model;
    if (!flags.reason.empty()) body["reason"] = flags.reason;
    if (flags.fully) body["fully"] = true;
    return api.call("POST", str("/rollouts/", step), body);
  };
}

Result<int> run(const ModelsFlags& flags, const Ask& ask, const Show& show) {
  ConfigSources sources;
  sources.file = flags.config_file;
  sources.environment = process_environment();
  ASSIGN_OR_RETURN(const Config config, read_config(sources));
  ASSIGN_OR_RETURN(const std::unique_ptr<ManagementApi> api, connect(flags.target, config));
  ASSIGN_OR_RETURN(const Json answer, ask(*api, flags));
  const std::string text = flags.json ? answer.dump(2) + "\n" : show(answer);
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

// Adds a subcommand; its flags are added by `declare`.
struct Subcommand {
  const char* name;
  const char* summary;
  const char* footer;
  Ask ask;
  Show show;
  void (*declare)(CLI::App& app, ModelsFlags& flags);
};

void take_model(CLI::App& app, ModelsFlags& flags) {
  app.add_option("MODEL", flags.model, "NAME (its live version), NAME:VERSION or an alias")
      ->required();
  app.add_option("--version", flags.version, "The version, instead of NAME:VERSION")
      ->type_name("TEXT");
}

void take_registration(CLI::App& app, ModelsFlags& flags) {
  app.add_option("MODEL",
                 flags.model,
                 "NAME[:VERSION]=PATH, or PATH alone; PATH is a directory or a GGUF file")
      ->required();
  app.add_option("--version", flags.version, "The version (default: the next number)")
      ->type_name("TEXT");
  app.add_option("--set", flags.settings, "A configuration key for this model alone; repeatable")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--tag", flags.tags, "A word to find it by; repeatable")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  app.add_option("--alias", flags.aliases, "A further name for this version; repeatable")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app.add_flag("--pin", flags.pin, "Never evict it from memory");
  app.add_flag("--preload", flags.preload, "Load it when a server starts");
  app.add_flag("--no-digests", flags.no_digests, "Do not read all files for their SHA-256 now");
}

void take_nothing(CLI::App&, ModelsFlags&) {}

void take_change(CLI::App& app, ModelsFlags& flags) {
  take_model(app, flags);
  app.add_option("--path", flags.path, "Where its files are now, on the server")->type_name("PATH");
  CLI::Option* const preload =
      app.add_flag("--preload", flags.preload, "Load it when a server starts");
  app.add_flag("--no-preload", flags.no_preload, "Load it at its first request")->excludes(preload);
  app.add_option("--set", flags.settings, "A configuration key for this model alone; replaces all")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--tag", flags.tags, "A word to find it by; replaces all")
      ->type_name("TEXT")
      ->allow_extra_args(false);
}

void take_load(CLI::App& app, ModelsFlags& flags) {
  take_model(app, flags);
  app.add_flag("--force", flags.force, "Unload it first when it is loaded");
}

void take_update(CLI::App& app, ModelsFlags& flags) {
  app.add_option("NAME", flags.model, "The model")->required();
  app.add_option("VERSION", flags.second, "The version that is to become the live one")->required();
  app.add_flag("--wait", flags.wait, "Return when it has ended; the exit status says how");
  app.add_flag("--at-once", flags.at_once, "As soon as it is loaded, without stages and gates");
  app.add_flag("--dry-run", flags.dry_run, "Say what would happen, in numbers");
  app.add_option("--policy",
                 flags.policy_file,
                 "JSON file with stages, times and gates that differ from the defaults "
                 "(docs/rollouts.md)")
      ->type_name("FILE");
  app.add_flag("--no-rollback",
               flags.no_rollback,
               "When a gate fails, pause the rollout and leave the decision to you");
}

void take_policy(CLI::App& app, ModelsFlags& flags) {
  app.add_option("NAME", flags.model, "The model")->required();
  app.add_option("POLICY", flags.second, "all, latest, latest:N or specific:V,V")->required();
}

void take_pin(CLI::App& app, ModelsFlags& flags) {
  take_model(app, flags);
  app.add_flag("--off", flags.off, "Let it be evicted again");
}

void take_alias(CLI::App& app, ModelsFlags& flags) {
  app.add_option("ALIAS", flags.model, "The further name; without it all aliases are listed");
  app.add_option("MODEL", flags.second, "NAME (follows its live version) or NAME:VERSION");
  app.add_flag("--remove", flags.off, "Remove the alias");
}

void take_audit(CLI::App& app, ModelsFlags& flags) {
  app.add_option("MODEL", flags.model, "Only changes of this model or version");
  app.add_option("--limit", flags.limit, "How many, newest first (default 50)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000));
}

void take_rollouts(CLI::App& app, ModelsFlags& flags) {
  app.add_option("MODEL", flags.model, "The latest rollout of this model, or one by its number");
}

void take_step(CLI::App& app, ModelsFlags& flags) {
  app.add_option("NAME", flags.model, "The model whose rollout is meant")->required();
  app.add_option("--reason", flags.reason, "Kept with the rollout and in the audit")
      ->type_name("TEXT");
}

void take_promote(CLI::App& app, ModelsFlags& flags) {
  take_step(app, flags);
  app.add_flag("--fully", flags.fully, "To the last stage at once");
}

std::vector<Subcommand> subcommands() {
  return {
      {"register",
       "Record a version of a model in the catalog, without loading it",
       "  inferneo models register llama=/models/llama-8b\n"
       "  inferneo models register llama:2=/models/llama-8b-new --tag tuned --alias candidate\n"
       "  inferneo models register /models/small.gguf --set context_tokens_max=4096 --pin",
       register_model,
       message_text,
       take_registration},
      {"list",
       "List all versions with their states",
       "  inferneo models list\n  inferneo models list --json",
       list_models,
       list_text,
       take_nothing},
      {"show",
       "Show one version: record, memory, health, share of requests",
       "  inferneo models show llama\n  inferneo models show llama:2 --json",
       show_model,
       show_text,
       take_model},
      {"set",
       "Change what the catalog records of a version",
       "  inferneo models set llama --set context_tokens_max=8192 --tag chat\n"
       "  inferneo models set llama:2 --path /models/llama-2 --preload",
       change_model,
       message_text,
       take_change},
      {"load",
       "Load a version into the server's memory and wait for it",
       "  inferneo models load llama\n  inferneo models load llama:2 --force",
       load_model,
       message_text,
       take_load},
      {"unload",
       "Unload a version once its requests have ended",
       "  inferneo models unload llama:1",
       unload_model,
       message_text,
       take_model},
      {"sleep",
       "Give back the memory of a version, but keep its files at hand",
       "  inferneo models sleep llama:1",
       sleep_model,
       message_text,
       take_model},
      {"policy",
       "Which versions of a name requests may ask for: all, latest, latest:N, specific:V,V",
       "  inferneo models policy llama latest:2\n  inferneo models policy llama specific:1,3",
       set_policy,
       message_text,
       take_policy},
      {"update",
       "Make another version the live one, in stages with gates",
       "  inferneo models update llama 2 --dry-run\n"
       "  inferneo models update llama 2 --wait\n"
       "  inferneo models update llama 2 --policy careful.json\n"
       "  inferneo models update llama 2 --at-once",
       update_model,
       message_text,
       take_update},
      {"remove",
       "Remove a version, or a name with all its versions",
       "  inferneo models remove llama:1\n  inferneo models remove llama",
       remove_model,
       message_text,
       take_model},
      {"pin",
       "Keep a version in memory: it is never evicted",
       "  inferneo models pin llama\n  inferneo models pin llama --off",
       pin_model,
       message_text,
       take_pin},
      {"alias",
       "Give a model a further name, or list them",
       "  inferneo models alias\n  inferneo models alias best llama\n"
       "  inferneo models alias best --remove",
       alias_model,
       alias_text,
       take_alias},
      {"audit",
       "Who changed what, newest first",
       "  inferneo models audit\n  inferneo models audit llama --limit 10",
       audit,
       audit_text,
       take_audit},
      {"rollouts",
       "Rollouts under way and ended ones",
       "  inferneo models rollouts\n  inferneo models rollouts llama --json",
       rollouts,
       rollouts_text,
       take_rollouts},
      {"pause",
       "Keep the share of a rollout as it is",
       "  inferneo models pause llama",
       rollout_step("pause"),
       message_text,
       take_step},
      {"resume",
       "Go on with a paused rollout",
       "  inferneo models resume llama",
       rollout_step("resume"),
       message_text,
       take_step},
      {"promote",
       "Go on to the next stage of a rollout now",
       "  inferneo models promote llama",
       rollout_step("promote"),
       message_text,
       take_promote},
      {"abort",
       "Give everything back to the former version at once",
       "  inferneo models abort llama --reason 'wrong weights'",
       rollout_step("abort"),
       message_text,
       take_step},
  };
}

VerbBody declare(CLI::App& command) {
  auto chosen = std::make_shared<std::function<Result<int>()>>();
  command.require_subcommand(1);
  for (const Subcommand& subcommand : subcommands()) {
    auto flags = std::make_shared<ModelsFlags>();
    CLI::App* app = command.add_subcommand(subcommand.name, subcommand.summary);
    app->footer(str("Examples:\n", subcommand.footer));
    subcommand.declare(*app, *flags);
    app->add_flag("--json", flags->json, "Print the answer of the management API");
    declare_target(*app, flags->target, flags->config_file);
    app->callback([chosen, flags, ask = subcommand.ask, show = subcommand.show] {
      *chosen = [flags, ask, show] { return run(*flags, ask, show); };
    });
  }
  return [chosen](const Config&) { return (*chosen)(); };
}

}  // namespace

extern const Verb kModelsVerb;
const Verb kModelsVerb = {
    .name = "models",
    .rank = 9,
    .summary = "Register, list, load, update, remove, pin and name models",
    .examples =
        "  inferneo models register llama=/models/llama-8b   # into the catalog\n"
        "  inferneo serve                                     # serves what is registered\n"
        "  inferneo models list\n"
        "  inferneo models register llama:2=/models/llama-8b-new\n"
        "  inferneo models update llama 2 --wait              # in stages, without interruption\n"
        "\n"
        "Talks to the server at --address, or to the one that runs here; when none runs, to the\n"
        "catalog itself. The same calls are there as REST under /api/v1/model_serving.",
    .config = ConfigUse::kNone,
    .declare = declare};

}  // namespace inferneo::app
