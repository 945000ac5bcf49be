#include "app/succession.h"

#include <utility>

#include "base/log.h"
#include "base/str.h"

namespace inferneo::app {
namespace {

constexpr std::chrono::milliseconds kPollInterval{20};

}  // namespace

Result<std::optional<Predecessor>> find_predecessor(bool takeover, const Config& config) {
  if (!takeover) return std::optional<Predecessor>();
  if (config.port == 0) {
    return invalid_argument("--takeover needs the port of the server to replace, not 0");
  }
  ASSIGN_OR_RETURN(std::optional<Predecessor> found,
                   Predecessor::find(str(config.host, ":", config.port)));
  log::info("serve",
            found ? str("taking over from process ", found->pid(), ", which serves meanwhile")
                  : str("no server of this user on port ", config.port, "; starting afresh"));
  return found;
}

std::unique_ptr<Successors> await_successors(const std::string& address,
                                             gateway::http::Server& server,
                                             SignalWatch& signals,
                                             std::atomic<bool>& succeeded,
                                             std::function<void()> release,
                                             std::function<Status()> take_back) {
  Successors::Events events;
  events.on_taken = [release = std::move(release)](pid_t pid) {
    log::info("serve", str("process ", pid, " is starting to take over"));
    if (release) release();
  };
  events.on_abandoned = [take_back = std::move(take_back)](pid_t pid) {
    log::warning("serve", str("process ", pid, " went away before it took over; serving on"));
    if (const Status status = take_back(); !status.ok()) {
      log::error("serve", str("models cannot be changed any more: ", status.to_string()));
    }
  };
  events.on_finished = [&](pid_t pid) {
    server.leave();
    log::info("serve", str("process ", pid, " has taken over: new connections are its own"));
    succeeded.store(true, std::memory_order_release);
    signals.wake();
  };
  const Result<int> listener = server.duplicate_listener();
  Result<std::unique_ptr<Successors>> started =
      listener.has_value() ? Successors::start(address, OwnedFd(*listener), std::move(events))
                           : Result<std::unique_ptr<Successors>>(listener.error());
  if (started.has_value()) return *std::move(started);
  log::warning("serve", str("no restart in place: ", started.error().message()));
  return nullptr;
}

void finish_connections(gateway::http::Server& server,
                        SignalWatch& signals,
                        std::chrono::seconds limit) {
  using SteadyTime = std::chrono::steady_clock;
  const auto deadline = SteadyTime::now() + limit;
  while (!server.wait_no_connections(kPollInterval) && SteadyTime::now() < deadline) {
    if (asks_to_stop(signals.wait(Duration::zero()))) return;
  }
}

}  // namespace inferneo::app
