#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "app/banner.h"
#include "app/batch_storage.h"
#include "app/config_sources.h"
#include "app/exposure.h"
#include "app/model_host.h"
#include "app/program.h"
#include "app/signal_watch.h"
#include "app/startup_gate.h"
#include "app/verb.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/http/server.h"

namespace inferneo::app {
namespace {

namespace endpoints = gateway::endpoints;
namespace http = gateway::http;

// A second signal means that whoever waits has little patience left.
constexpr std::chrono::seconds kImpatientDrainTimeout{2};
// How long cancelled streams get to write their last frame.
constexpr std::chrono::seconds kFlushTimeout{2};
constexpr std::chrono::milliseconds kPollInterval{20};

struct ServeFlags {
  bool check_config = false;
  std::string default_model;
};

http::ServerOptions server_options(const Config& config) {
  http::ServerOptions options;
  options.host = config.host;
  options.port = static_cast<std::uint16_t>(config.port);
  options.io_thread_count = static_cast<int>(config.io_threads);
  options.front_thread_count = static_cast<int>(config.front_threads);
  options.front_queue_size = static_cast<std::size_t>(config.front_queue_size);
  options.connection_count_max = static_cast<std::size_t>(config.connection_count_max);
  options.connection_per_address_count_max =
      static_cast<std::size_t>(config.connection_per_address_count_max);
  options.header_read_timeout = std::chrono::seconds(config.header_read_timeout_s);
  options.body_idle_timeout = std::chrono::seconds(config.body_idle_timeout_s);
  options.keep_alive_timeout = std::chrono::seconds(config.keep_alive_timeout_s);
  options.write_stall_timeout = std::chrono::seconds(config.write_stall_timeout_s);
  options.response_buffer_size_max = static_cast<std::size_t>(config.response_buffer_kib_max) << 10;
  options.allowed_hosts = config.allowed_hosts;
  options.allowed_origins = config.allowed_origins;
  return options;
}

// Everything that can be found wrong without loading a model.
Result<std::vector<ModelSpec>> check_settings(const ServeFlags& flags, const Config& config) {
  RETURN_IF_ERROR(check_exposure(config));
  RETURN_IF_ERROR(endpoints::check_reply_formats(
      {.tools = config.tool_format, .reasoning = config.reasoning_format}));
  std::vector<std::string> texts = config.models;
  if (texts.empty() && !flags.default_model.empty()) texts.push_back(flags.default_model);
  if (texts.empty()) {
    return invalid_argument("no model to serve")
        .with_hint("name one: `inferneo serve /models/llama`, or `models:` in the configuration");
  }
  return parse_model_specs(texts);
}

std::string settings_text(const Config& config) {
  std::string text;
  for (const ConfigKey& key : config_keys()) {
    const std::string value = config_value_text(config, key);
    if (key.kind == ConfigKind::kList) {
      text += str(key.name, ": [", value, "]\n");
    } else {
      text += str(key.name, ": ", value.empty() ? "\"\"" : value, "\n");
    }
  }
  return text;
}

// Loads on a thread of its own, so that main keeps listening to signals. Returns when all models
// are loaded or one has failed; ends the process when it is to stop.
Status load_models(ModelHost& host, const std::vector<ModelSpec>& specs, SignalWatch& signals) {
  Status status;
  std::atomic<bool> done{false};
  std::jthread loader([&] {
    set_thread_name("load-0");
    for (const ModelSpec& spec : specs) {
      status = host.add(spec);
      if (!status.ok()) break;
    }
    done.store(true, std::memory_order_release);
    signals.wake();
  });
  while (!done.load(std::memory_order_acquire)) {
    if (!asks_to_stop(signals.wait(std::chrono::seconds(1)))) continue;
    log::info("serve", "stopped while loading");
    log::flush();
    // Why: a load cannot be interrupted, nothing has been served, and nothing needs saving.
    std::_Exit(kExitOk);
  }
  loader.join();
  return status;
}

void note_reload() {
  log::warning("serve", "SIGHUP: settings are read at start only; restart to change them");
}

// Until a signal asks to stop (returned) or `limit` has passed (kNone).
Signal wait_for_stop(SignalWatch& signals, Duration limit) {
  using SteadyTime = std::chrono::steady_clock;
  const TimePoint deadline = SteadyTime::now() + limit;
  for (;;) {
    const Duration left = deadline - SteadyTime::now();
    if (left <= Duration::zero()) return Signal::kNone;
    const Signal signal = signals.wait(left);
    if (asks_to_stop(signal)) return signal;
    if (signal == Signal::kReload) note_reload();
  }
}

Signal wait_for_stop(SignalWatch& signals) {
  for (;;) {
    const Signal signal = wait_for_stop(signals, std::chrono::hours(1));
    if (signal != Signal::kNone) return signal;
  }
}

// Readiness goes off while requests are still served, so that balancers stop sending before the
// listener closes. False when a second signal cut it short.
bool give_notice(manager::ModelManager& manager,
                 SignalWatch& signals,
                 std::chrono::milliseconds notice) {
  manager.announce_shutdown();
  if (notice.count() == 0) return true;
  log::info("serve",
            str("stopping: not ready any more; requests are accepted for ", notice.count(), " ms"));
  return wait_for_stop(signals, notice) == Signal::kNone;
}

// No new connections, running requests to their end or the limit.
void drain(manager::ModelManager& manager,
           http::Server& server,
           SignalWatch& signals,
           std::chrono::seconds limit) {
  using SteadyTime = std::chrono::steady_clock;
  log::info(
      "serve",
      str("stopping: refusing new requests, finishing running ones within ", limit.count(), " s"));
  manager.begin_drain();
  server.stop_accepting();
  auto deadline = SteadyTime::now() + limit;
  while (!server.wait_idle(kPollInterval) && SteadyTime::now() < deadline) {
    if (asks_to_stop(signals.wait(Duration::zero()))) {
      deadline = std::min(deadline, SteadyTime::now() + kImpatientDrainTimeout);
    }
  }
  const bool complete = manager.drain(Duration::zero());
  const bool flushed = server.wait_idle(kFlushTimeout);
  log::info("serve",
            complete && flushed ? "stopped: every request had ended"
                                : "stopped: the remaining requests were cancelled");
}

Result<int> serve(const ServeFlags& flags, const Config& config) {
  const TimePoint started = std::chrono::steady_clock::now();
  const Result<std::vector<ModelSpec>> specs = check_settings(flags, config);
  if (!specs.has_value()) {
    print_failure(specs.error());
    return kExitUsage;
  }
  SignalWatch signals;
  ASSIGN_OR_RETURN(const std::unique_ptr<ModelHost> host, ModelHost::create(config));
  if (flags.check_config) {
    std::fputs(settings_text(config).c_str(), stdout);
    return kExitOk;
  }
  observe::ServerMetrics metrics;
  BatchStorage storage(config);
  endpoints::Services services = {
      .manager = &host->manager(),
      .server_metrics = &metrics,
      .clock = &host->clock(),
      .reply_formats = {.tools = config.tool_format, .reasoning = config.reasoning_format}};
  storage.offer(services);
  StartupGate gate(endpoints::make_dispatcher(services));
  ASSIGN_OR_RETURN(const std::unique_ptr<http::Server> server,
                   http::Server::start(server_options(config), gate, metrics));

  RETURN_IF_ERROR(load_models(*host, *specs, signals));
  gate.open();
  storage.start(gate);
  const std::string url = base_url(config.host, server->port());
  const auto models = host->manager().list();
  const Duration start_time = std::chrono::steady_clock::now() - started;
  std::fputs(banner(url, models, host->device().thread_count(), start_time).c_str(), stdout);
  std::fflush(stdout);
  log::info("serve", str("ready on ", url));

  const Signal signal = wait_for_stop(signals);
  // Nobody balances load over a server that is stopped by hand.
  const std::chrono::milliseconds notice(signal == Signal::kInterrupt ? 0
                                                                      : config.shutdown_notice_ms);
  std::chrono::seconds limit(config.drain_timeout_s);
  if (!give_notice(host->manager(), signals, notice)) {
    limit = std::min(limit, kImpatientDrainTimeout);
  }
  storage.stop();
  drain(host->manager(), *server, signals, limit);
  return kExitOk;
}

VerbBody declare(CLI::App& command) {
  auto flags = std::make_shared<ServeFlags>();
  command.add_flag("--check-config",
                   flags->check_config,
                   "Check flags, environment and file, print the settings, and exit (0 or 2)");
  command
      .add_option(
          "--default-model", flags->default_model, "Model to serve when nothing else names one")
      ->type_name("DIR");
  return [flags](const Config& config) { return serve(*flags, config); };
}

}  // namespace

extern const Verb kServeVerb;
const Verb kServeVerb = {
    .name = "serve",
    .rank = 1,
    .summary = "Serve models over the OpenAI API",
    .examples =
        "  inferneo serve /models/llama\n"
        "  inferneo serve small=/models/llama-1b big=/models/llama-8b --port 9000\n"
        "  inferneo serve --config inferneo.yaml --check-config\n"
        "  curl http://127.0.0.1:8000/v1/models\n"
        "\n"
        "SIGTERM drains: readiness goes off, requests are still accepted for shutdown_notice_ms\n"
        "(not after Ctrl-C), running ones finish (up to drain_timeout_s), then the program exits\n"
        "0; a second signal shortens that to 2 s.",
    .config = ConfigUse::kAll,
    .declare = declare};

}  // namespace inferneo::app
