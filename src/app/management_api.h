// The management API as the command line calls it: of a running server over HTTP, or of a store
// directly when no server holds it. Both answer the same requests with the same bodies.
// Thread: one.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "app/json_lines.h"
#include "base/config.h"
#include "base/result.h"

namespace inferneo::app {

class ManagementApi {
 public:
  virtual ~ManagementApi() = default;
  // `path` below /api/v1/model_serving ("/models"), encoded; an empty `body` sends none.
  // The answer's body when it is a success. Failures: what the server answered, with its message;
  // unavailable when it cannot be reached.
  virtual Result<Json> call(std::string_view method, const std::string& path, const Json& body) = 0;
  // The address of the server, or empty for a store that is used directly.
  [[nodiscard]] virtual std::string address() const = 0;
};

struct ManagementTarget {
  std::string address;  // --address; empty: look for a server
  std::string catalog;  // --catalog; empty: as configured
};

// With an address: that server. With a catalog: the server that holds it, or the store itself.
// With neither: the server at the configured host and port when one answers there, else the
// configured catalog in the same way. Failures: unavailable, those of Catalog::open.
Result<std::unique_ptr<ManagementApi>> connect(const ManagementTarget& target,
                                               const Config& config);

// A name as part of a path; slashes stay.
std::string encode_path(std::string_view name);

}  // namespace inferneo::app
