// Restart in place as `serve` does it (app/handover.h is how the processes talk).
// Thread: main.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "app/handover.h"
#include "app/signal_watch.h"
#include "base/config.h"
#include "base/result.h"
#include "gateway/http/server.h"

namespace inferneo::app {

// The process that serves the address now, when `takeover` asks to replace it; empty when there is
// none. Failures: invalid_argument without a port, those of Predecessor::find.
Result<std::optional<Predecessor>> find_predecessor(bool takeover, const Config& config);

// Stands ready for a successor while serving `address`. When one has taken over, the server accepts
// no more, `succeeded` is set and main is woken. `release` is called, on another thread, when one
// begins: it lets go of what only one process may hold. `take_back` is called there when that one
// has gone without taking over. Null, with a warning, when there cannot be one. The others must
// outlive the result.
std::unique_ptr<Successors> await_successors(const std::string& address,
                                             gateway::http::Server& server,
                                             SignalWatch& signals,
                                             std::atomic<bool>& succeeded,
                                             std::function<void()> release,
                                             std::function<Status()> take_back);

// After that: waits for connections to end with their next answer, up to `limit` or a signal.
void finish_connections(gateway::http::Server& server,
                        SignalWatch& signals,
                        std::chrono::seconds limit);

}  // namespace inferneo::app
