// The client's side of one TLS connection over a socket that is connected and does not block: for
// webhooks. Certificates are those that the system trusts (OpenSSL's default file and directory;
// SSL_CERT_FILE and SSL_CERT_DIR name others), and must be for the host that was asked for.
// Thread: one. Ownership: borrows the socket, which must outlive it.
// Spec: RFC 8446 and RFC 5246, as OpenSSL implements them; RFC 6125 for names.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace inferneo::gateway::http {

class TlsClient {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  // Shakes hands. Failures: permission_denied (its certificate is not to be trusted, with the
  // reason), unavailable, deadline_exceeded, internal.
  static Result<std::unique_ptr<TlsClient>> connect(int fd,
                                                    const std::string& host,
                                                    Deadline deadline);
  ~TlsClient();
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  // Failures of both: unavailable, deadline_exceeded.
  Status send(std::string_view bytes, Deadline deadline);
  // How many bytes came, at least one; 0 at the end.
  Result<std::size_t> receive(std::span<char> bytes, Deadline deadline);

 private:
  struct Impl;
  explicit TlsClient(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace inferneo::gateway::http
