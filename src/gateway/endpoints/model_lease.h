// How an endpoint gets the model it was asked for: now when it is served, later when it must be
// loaded first.
// Thread: front.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_function.h"
#include "gateway/endpoints/endpoint.h"
#include "manager/manager.h"

namespace inferneo::gateway::endpoints {

using UseLease = UniqueFunction<void(Result<manager::Lease>)>;

// Calls `use` once, on a front thread, with a lease of the model or with the reason why there is
// none. `model` may be empty where one is served. The caller keeps the exchange and answers it.
void with_model(const Services& services,
                const std::shared_ptr<http::Exchange>& exchange,
                const std::string& model,
                UseLease use);

}  // namespace inferneo::gateway::endpoints
