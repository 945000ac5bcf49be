// How an endpoint gets the model it was asked for: now when it is in memory, later when it must be
// loaded first.
// Thread: front.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "gateway/endpoints/endpoint.h"
#include "manager/manager.h"

namespace inferneo::gateway::endpoints {

using UseLease = UniqueFunction<void(Result<manager::Lease>)>;

struct ModelWait {
  // The answer will be server-sent events: once a load has taken limits::kLoadProgressDelay they
  // begin, and comments (": loading NAME, 42 %") tell about it every second. A load that fails
  // after that is told by an event with the error instead of a status.
  bool events = false;
  // How long the model stays in memory after this request; none: as configured.
  std::optional<Duration> keep_alive = {};
};

// Calls `use` once, on a front thread, with a lease of the model or with the reason why there is
// none; no thread waits meanwhile. When the client leaves before that, `use` is dropped uncalled.
// `model` may be empty where one is served. The caller keeps the exchange and answers it; it must
// not have set on_disconnect().
void with_model(const Services& services,
                const std::shared_ptr<http::Exchange>& exchange,
                const std::string& model,
                UseLease use,
                const ModelWait& wait = {});

}  // namespace inferneo::gateway::endpoints
