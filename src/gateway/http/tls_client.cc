#include "gateway/http/tls_client.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <array>
#include <utility>

#include "base/str.h"
#include "gateway/http/socket_wait.h"

namespace inferneo::gateway::http {
namespace {

struct FreeContext {
  void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
};
struct FreeConnection {
  void operator()(SSL* connection) const { ::SSL_free(connection); }
};

// The first reason that OpenSSL has noted; clears them all.
std::string library_reason() {
  const unsigned long code = ::ERR_get_error();
  ::ERR_clear_error();
  if (code == 0) return "the connection was closed";
  std::array<char, 256> text{};
  ::ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

bool is_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

// Which host the certificate must be for, and which one the server is told that we mean.
bool name_host(SSL* connection, const std::string& host) {
  if (is_address(host)) {
    return ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(connection), host.c_str()) == 1;
  }
  return ::SSL_set1_host(connection, host.c_str()) == 1 &&
         SSL_set_tlsext_host_name(connection, host.c_str()) == 1;
}

}  // namespace

struct TlsClient::Impl {
  // Waits for what the call that returned `result` lacks; its failure when it lacks nothing.
  Status wait(int result, Deadline deadline) const {
    switch (::SSL_get_error(connection.get(), result)) {
      case SSL_ERROR_WANT_READ:
        return wait_for_socket(fd, POLLIN, deadline);
      case SSL_ERROR_WANT_WRITE:
        return wait_for_socket(fd, POLLOUT, deadline);
      default:
        return unavailable(str("TLS: ", library_reason()));
    }
  }
  Status shake_hands(const std::string& host, Deadline deadline);

  int fd = -1;
  std::unique_ptr<SSL_CTX, FreeContext> context;
  std::unique_ptr<SSL, FreeConnection> connection;
};

Status TlsClient::Impl::shake_hands(const std::string& host, Deadline deadline) {
  for (;;) {
    ::ERR_clear_error();
    const int result = ::SSL_connect(connection.get());
    if (result == 1) return ok_status();
    const long verdict = ::SSL_get_verify_result(connection.get());
    Status status = wait(result, deadline);
    if (status.ok()) continue;
    if (verdict == X509_V_OK || status.code() == StatusCode::kDeadlineExceeded) return status;
    return permission_denied(str("the certificate of '",
                                 host,
                                 "' is not to be trusted: ",
                                 ::X509_verify_cert_error_string(verdict)))
        .with_hint("SSL_CERT_FILE may name a file with further authorities to trust");
  }
}

TlsClient::TlsClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsClient::~TlsClient() = default;

Result<std::unique_ptr<TlsClient>> TlsClient::connect(int fd,
                                                      const std::string& host,
                                                      Deadline deadline) {
  auto impl = std::make_unique<Impl>();
  impl->fd = fd;
  impl->context.reset(::SSL_CTX_new(::TLS_client_method()));
  SSL_CTX* const context = impl->context.get();
  if (context == nullptr || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      ::SSL_CTX_set_default_verify_paths(context) != 1) {
    return internal_error(str("TLS: ", library_reason()));
  }
  ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  impl->connection.reset(::SSL_new(context));
  if (impl->connection == nullptr || !name_host(impl->connection.get(), host) ||
      ::SSL_set_fd(impl->connection.get(), fd) != 1) {
    return internal_error(str("TLS: ", library_reason()));
  }
  RETURN_IF_ERROR(impl->shake_hands(host, deadline));
  return std::unique_ptr<TlsClient>(new TlsClient(std::move(impl)));
}

Status TlsClient::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    ::ERR_clear_error();
    std::size_t sent = 0;
    const int result = ::SSL_write_ex(impl_->connection.get(), bytes.data(), bytes.size(), &sent);
    if (result == 1) {
      bytes.remove_prefix(sent);
    } else {
      RETURN_IF_ERROR(impl_->wait(result, deadline));
    }
  }
  return ok_status();
}

Result<std::size_t> TlsClient::receive(std::span<char> bytes, Deadline deadline) {
  for (;;) {
    ::ERR_clear_error();
    std::size_t size = 0;
    const int result = ::SSL_read_ex(impl_->connection.get(), bytes.data(), bytes.size(), &size);
    if (result == 1) return size;
    if (::SSL_get_error(impl_->connection.get(), result) == SSL_ERROR_ZERO_RETURN) return 0;
    RETURN_IF_ERROR(impl_->wait(result, deadline));
  }
}

}  // namespace inferneo::gateway::http
