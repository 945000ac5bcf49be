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
#include "app/program.h"
#include "app/serving_host.h"
#include "app/settings_check.h"
#include "app/signal_watch.h"
#include "app/startup_gate.h"
#include "app/succession.h"
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
  bool takeover = false;
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

bool names_model(const std::vector<std::string>& names, const std::string& model) {
  return std::find(names.begin(), names.end(), model) != names.end();
}

// Loads on a thread of its own, so that main keeps listening to signals. Returns when all models
// that are not to be loaded lazily are loaded, or one has failed; ends the process when it is to
// stop.
Status load_models(ServingHost& serving,
                   std::vector<ModelSpec>& specs,
                   const Config& config,
                   SignalWatch& signals) {
  RETURN_IF_ERROR(serving.record(specs));
  ModelHost& host = serving.host();
  Status status;
  std::atomic<bool> done{false};
  std::jthread loader([&] {
    set_thread_name("load-0");
    for (const ModelSpec& spec : specs) {
      const bool at_start = !config.lazy_load || names_model(config.preload_models, spec.name);
      status = at_start ? host.add(spec) : host.register_model(spec);
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
  RETURN_IF_ERROR(status);
  return serving.begin();
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

// Until a signal asks to stop, or a successor has taken over (kWake).
Signal wait_for_end(SignalWatch& signals, const std::atomic<bool>& succeeded) {
  while (!succeeded.load(std::memory_order_acquire)) {
    const Signal signal = signals.wait(std::chrono::hours(1));
    if (asks_to_stop(signal)) return signal;
    if (signal == Signal::kReload) note_reload();
  }
  return Signal::kWake;
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

endpoints::ManagementUse management_use(const Config& config) {
  switch (management_policy(config)) {
    case ManagementPolicy::kOn:
      return endpoints::ManagementUse::kOn;
    case ManagementPolicy::kReadOnly:
      return endpoints::ManagementUse::kReadOnly;
    case ManagementPolicy::kOff:
      break;
  }
  return endpoints::ManagementUse::kOff;
}

// Models and their record. A store that was found by itself and holds nothing is left alone: then
// the models are those that the line names.
Result<std::unique_ptr<ServingHost>> open_models(const ServeFlags& flags,
                                                 const Config& config,
                                                 const std::string& catalog,
                                                 observe::ServerMetrics& metrics,
                                                 std::vector<ModelSpec>& specs) {
  ASSIGN_OR_RETURN(std::unique_ptr<ServingHost> serving,
                   ServingHost::create(config, catalog, &metrics));
  const bool is_empty = specs.empty() && serving->catalog().snapshot()->models().empty();
  if (!is_empty || config.catalog != "auto") return serving;
  serving.reset();
  ASSIGN_OR_RETURN(specs, check_settings(config, flags.default_model, {}));
  return ServingHost::create(config, {}, &metrics);
}

// Accepts connections; those of the predecessor, once it has been told to leave.
Result<std::unique_ptr<http::Server>> take_over(Predecessor& predecessor,
                                                http::ServerOptions options,
                                                http::Dispatcher& dispatcher,
                                                observe::ServerMetrics& metrics) {
  options.listener_fd = predecessor.take_listener();
  ASSIGN_OR_RETURN(std::unique_ptr<http::Server> server,
                   http::Server::start(options, dispatcher, metrics));
  if (const Status left = predecessor.finish(); !left.ok()) log::warning("serve", left.message());
  return server;
}

// Until a signal asks for the end or a successor has taken over; then in the order of the path.
void serve_until_stopped(ServingHost& serving,
                         BatchStorage& storage,
                         http::Server& server,
                         http::Dispatcher& dispatcher,
                         SignalWatch& signals,
                         const Config& config) {
  std::atomic<bool> succeeded{false};
  const std::unique_ptr<Successors> successors = await_successors(
      str(config.host, ":", server.port()),
      server,
      signals,
      succeeded,
      [&] {
        storage.stop();
        serving.hand_over();
      },
      [&] {
        storage.start(dispatcher);
        return serving.take_back();
      });
  const Signal signal = wait_for_end(signals, succeeded);
  // Nobody balances load over a server that is stopped by hand.
  const std::chrono::milliseconds notice(signal == Signal::kInterrupt ? 0
                                                                      : config.shutdown_notice_ms);
  std::chrono::seconds limit(config.drain_timeout_s);
  if (!succeeded && !give_notice(serving.manager(), signals, notice)) {
    limit = std::min(limit, kImpatientDrainTimeout);
  }
  serving.events().publish({.kind = std::string(manager::kServerStopping)});
  if (succeeded) finish_connections(server, signals, limit);
  storage.finish();
  drain(serving.manager(), server, signals, limit);
  if (!serving.manager().is_loading()) return;
  log::info("serve", "a model is still being loaded; not waiting for it");
  log::flush();
  // Why: a load cannot be interrupted, no request is left, and nothing needs saving.
  std::_Exit(kExitOk);
}

// Why a function of its own: whoever keeps the list keeps its models in memory.
void greet(ServingHost& serving, const std::string& url, Duration start_time) {
  const auto models = serving.manager().list();
  const std::size_t registered = serving.manager().versions().size();
  const std::size_t waiting = registered - std::min(registered, models.size());
  const int threads = serving.host().device().thread_count();
  std::fputs(banner(url, models, waiting, threads, start_time).c_str(), stdout);
  std::fflush(stdout);
}

Result<int> serve(const ServeFlags& flags, const Config& config) {
  const TimePoint started = std::chrono::steady_clock::now();
  const std::string catalog = choose_catalog(config, !config.models.empty(), false);
  Result<std::vector<ModelSpec>> specs = check_settings(config, flags.default_model, catalog);
  if (!specs.has_value()) {
    print_failure(specs.error());
    return kExitUsage;
  }
  SignalWatch signals;
  if (flags.check_config) {
    const Result<std::unique_ptr<ModelHost>> host = ModelHost::create(config);
    if (!host.has_value()) {
      print_failure(host.error());
      return kExitUsage;
    }
    std::fputs(settings_text(config).c_str(), stdout);
    return kExitOk;
  }
  // First, since it lets go of the catalog.
  ASSIGN_OR_RETURN(std::optional<Predecessor> predecessor,
                   find_predecessor(flags.takeover, config));
  observe::ServerMetrics metrics;
  Result<std::unique_ptr<ServingHost>> opened =
      open_models(flags, config, catalog, metrics, *specs);
  if (!opened.has_value() && opened.error().code() == StatusCode::kInvalidArgument) {
    print_failure(opened.error());
    return kExitUsage;
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<ServingHost> serving, std::move(opened));
  ModelHost& host = serving->host();
  BatchStorage storage(config);
  endpoints::Services services = {
      .manager = &host.manager(),
      .server_metrics = &metrics,
      .clock = &host.clock(),
      .reply_formats = {.tools = config.tool_format, .reasoning = config.reasoning_format}};
  services.admin = &serving->admin();
  services.management = management_use(config);
  storage.offer(services);
  StartupGate gate(endpoints::make_dispatcher(services));
  http::ServerOptions options = server_options(config);
  std::unique_ptr<http::Server> server;
  // A successor accepts when it can serve; until then the other process does.
  if (!predecessor) {
    ASSIGN_OR_RETURN(server, http::Server::start(options, gate, metrics));
    options.port = server->port();
  }
  RETURN_IF_ERROR(
      serving->catalog().set_owner_url(base_url(connectable(config.host), options.port)));
  RETURN_IF_ERROR(load_models(*serving, *specs, config, signals));
  gate.open();
  if (predecessor) {
    ASSIGN_OR_RETURN(server, take_over(*predecessor, options, gate, metrics));
  }
  storage.start(gate);
  const std::string url = base_url(config.host, server->port());
  greet(*serving, url, std::chrono::steady_clock::now() - started);
  log::info("serve", str("ready on ", url));
  serve_until_stopped(*serving, storage, *server, gate, signals, config);
  return kExitOk;
}

VerbBody declare(CLI::App& command) {
  auto flags = std::make_shared<ServeFlags>();
  command.add_flag("--check-config",
                   flags->check_config,
                   "Check flags, environment and file, print the settings, and exit (0 or 2)");
  command.add_flag("--takeover",
                   flags->takeover,
                   "Replace the server that runs on this port without refusing a request");
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
        "  inferneo serve                              # what `inferneo models register` recorded\n"
        "  inferneo serve --config inferneo.yaml --check-config\n"
        "  curl http://127.0.0.1:8000/v1/models\n"
        "\n"
        "SIGTERM drains: readiness goes off, requests are still accepted for shutdown_notice_ms\n"
        "(not after Ctrl-C), running ones finish (up to drain_timeout_s), then the program exits\n"
        "0; a second signal shortens that to 2 s.\n"
        "\n"
        "serve --takeover restarts in place: the new process loads its models while the running "
        "one\n"
        "serves, then takes over its socket; the old one finishes its requests and exits 0. Both\n"
        "hold their models in memory meanwhile.",
    .config = ConfigUse::kAll,
    .declare = declare};

}  // namespace inferneo::app
