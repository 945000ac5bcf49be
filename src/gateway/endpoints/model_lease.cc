#include "gateway/endpoints/model_lease.h"

#include <utility>

namespace inferneo::gateway::endpoints {

void with_model(const Services& services,
                const std::shared_ptr<http::Exchange>&,
                const std::string& model,
                UseLease use) {
  use(services.manager->acquire(model));
}

}  // namespace inferneo::gateway::endpoints
