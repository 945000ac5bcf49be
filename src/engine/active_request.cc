#include "engine/active_request.h"

#include <tuple>

#include "engine/output_writer.h"

namespace inferneo::engine {

ActiveRequest::ActiveRequest() = default;
ActiveRequest::~ActiveRequest() = default;

bool runs_before(const Sequence& a, const Sequence& b) {
  return std::tuple(-std::int64_t{a.request->request.priority}, a.request->arrival, a.choice) <
         std::tuple(-std::int64_t{b.request->request.priority}, b.request->arrival, b.choice);
}

}  // namespace inferneo::engine
