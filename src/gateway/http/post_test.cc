#include "gateway/http/post.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "base/str.h"
#include "gateway/http/listen_anywhere.h"

namespace inferneo::gateway::http {
namespace {

using std::chrono::milliseconds;

// Listens on a free port, takes one connection, reads a request and answers with given bytes.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : answer_(std::move(answer)) {
    listener_ = listen_anywhere(port_);
    thread_ = std::thread([this] { serve(); });
  }
  ~OneAnswer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  [[nodiscard]] std::string url() const { return str("http://127.0.0.1:", port_, "/hook?a=b"); }
  // After the end of post_json().
  std::string request;

 private:
  void serve() {
    const int peer = ::accept(listener_, nullptr, nullptr);
    if (peer < 0) return;
    char bytes[4096];
    while (request.find("\r\n\r\n{") == std::string::npos) {
      const ssize_t size = ::recv(peer, bytes, sizeof(bytes), 0);
      if (size <= 0) break;
      request.append(bytes, static_cast<std::size_t>(size));
    }
    if (!answer_.empty()) {
      ::send(peer, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      ::close(peer);
      return;
    }
    ::recv(peer, bytes, sizeof(bytes), 0);  // until the client gives up
    ::close(peer);
  }

  std::string answer_;
  int listener_ = -1;
  int port_ = 0;
  std::thread thread_;
};

TEST(Post, the_body_arrives_and_the_status_comes_back) {
  for (const auto& [line, status] : {std::pair{"HTTP/1.1 204 No Content", 204},
                                     std::pair{"HTTP/1.0 500 Oh", 500},
                                     std::pair{"HTTP/1.1 302 Found", 302}}) {
    OneAnswer server(str(line, "\r\nContent-Length: 0\r\n\r\n"));
    const Result<int> answered = post_json(server.url(), "{\"a\":1}", milliseconds(10'000));
    ASSERT_TRUE(answered.has_value()) << answered.status().to_string();
    EXPECT_EQ(*answered, status);
    EXPECT_TRUE(server.request.starts_with("POST /hook?a=b HTTP/1.1\r\nHost: 127.0.0.1:"));
    EXPECT_NE(server.request.find("Content-Length: 7\r\n"), std::string::npos);
    EXPECT_TRUE(server.request.ends_with("\r\n\r\n{\"a\":1}"));
  }
}

TEST(Post, what_is_no_answer_is_a_failure_with_its_reason) {
  {
    OneAnswer server("SSH-2.0-OpenSSH_9\r\n");
    EXPECT_EQ(post_json(server.url(), "{}", milliseconds(10'000)).error().code(),
              StatusCode::kCorruptData);
  }
  {
    OneAnswer silent("");
    EXPECT_EQ(post_json(silent.url(), "{}", milliseconds(50)).error().code(),
              StatusCode::kDeadlineExceeded);
  }
  std::string url;
  {
    OneAnswer gone("x");
    url = gone.url();
  }
  EXPECT_EQ(post_json(url, "{}", milliseconds(10'000)).error().code(), StatusCode::kUnavailable);
}

struct Free {
  void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { ::X509_free(certificate); }
  void operator()(SSL_CTX* context) const { ::SSL_CTX_free(context); }
  void operator()(SSL* connection) const { ::SSL_free(connection); }
};

// A server with a certificate for 127.0.0.1 that it has signed itself: takes one connection, and
// when hands are shaken reads a request and answers 204.
class SecureAnswer {
 public:
  explicit SecureAnswer(const std::string& certificate_file) {
    key_.reset(::EVP_EC_gen("P-256"));
    certificate_.reset(::X509_new());
    X509* const certificate = certificate_.get();
    ::X509_set_version(certificate, 2);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(certificate), 1);
    ::X509_gmtime_adj(::X509_getm_notBefore(certificate), -3600);
    ::X509_gmtime_adj(::X509_getm_notAfter(certificate), 3600);
    ::X509_set_pubkey(certificate, key_.get());
    X509_NAME* const name = ::X509_get_subject_name(certificate);
    ::X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("hook"), -1, -1, 0);
    ::X509_set_issuer_name(certificate, name);
    X509_EXTENSION* const extension =
        ::X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    ::X509_add_ext(certificate, extension, -1);
    ::X509_EXTENSION_free(extension);
    EXPECT_GT(::X509_sign(certificate, key_.get(), ::EVP_sha256()), 0);
    std::FILE* const file = std::fopen(certificate_file.c_str(), "w");
    ::PEM_write_X509(file, certificate);
    std::fclose(file);
    listener_ = listen_anywhere(port);
    thread_ = std::thread([this] { serve(); });
  }
  ~SecureAnswer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  int port = 0;
  std::string request;  // after the end of post_json()

 private:
  void serve() {
    const std::unique_ptr<SSL_CTX, Free> context(::SSL_CTX_new(::TLS_server_method()));
    ::SSL_CTX_use_certificate(context.get(), certificate_.get());
    ::SSL_CTX_use_PrivateKey(context.get(), key_.get());
    const int peer = ::accept(listener_, nullptr, nullptr);
    if (peer < 0) return;
    {
      const std::unique_ptr<SSL, Free> connection(::SSL_new(context.get()));
      ::SSL_set_fd(connection.get(), peer);
      char bytes[4096];
      if (::SSL_accept(connection.get()) == 1) {
        while (request.find("\r\n\r\n{") == std::string::npos) {
          const int size = ::SSL_read(connection.get(), bytes, sizeof(bytes));
          if (size <= 0) break;
          request.append(bytes, static_cast<std::size_t>(size));
        }
        constexpr std::string_view kAnswer = "HTTP/1.1 204 No Content\r\n\r\n";
        ::SSL_write(connection.get(), kAnswer.data(), static_cast<int>(kAnswer.size()));
      }
    }
    ::close(peer);
  }

  std::unique_ptr<EVP_PKEY, Free> key_;
  std::unique_ptr<X509, Free> certificate_;
  int listener_ = -1;
  std::thread thread_;
};

TEST(Post, over_tls_only_a_trusted_certificate_of_that_host_will_do) {
  const std::string file = str(::testing::TempDir(), "/post_test_certificate.pem");
  const auto post = [](const SecureAnswer& server, std::string_view host) {
    return post_json(
        str("https://", host, ":", server.port, "/hook"), "{\"a\":1}", milliseconds(10'000));
  };
  {
    SecureAnswer unknown(file);
    const Result<int> answered = post(unknown, "127.0.0.1");
    ASSERT_FALSE(answered.has_value());
    EXPECT_EQ(answered.error().code(), StatusCode::kPermissionDenied);
    EXPECT_NE(answered.error().message().find("self-signed"), std::string::npos)
        << answered.error().message();
  }
  ::setenv("SSL_CERT_FILE", file.c_str(), 1);
  {
    SecureAnswer trusted(file);
    const Result<int> answered = post(trusted, "127.0.0.1");
    ASSERT_TRUE(answered.has_value()) << answered.status().to_string();
    EXPECT_EQ(*answered, 204);
    EXPECT_TRUE(trusted.request.starts_with("POST /hook HTTP/1.1\r\n")) << trusted.request;
    EXPECT_TRUE(trusted.request.ends_with("{\"a\":1}"));
  }
  {
    SecureAnswer another(file);
    const Result<int> answered = post(another, "127.0.0.2");
    ASSERT_FALSE(answered.has_value());
    EXPECT_EQ(answered.error().code(), StatusCode::kPermissionDenied);
    EXPECT_NE(answered.error().message().find("mismatch"), std::string::npos)
        << answered.error().message();
  }
  ::unsetenv("SSL_CERT_FILE");
  {
    OneAnswer plain("HTTP/1.1 204 No Content\r\n\r\n");
    const std::string url = str("https", plain.url().substr(4));
    EXPECT_EQ(post_json(url, "{}", milliseconds(500)).error().code(), StatusCode::kDeadlineExceeded)
        << "it waits for more of the request";
  }
}

TEST(Post, urls_are_taken_apart) {
  const auto check = [](std::string_view url, std::string_view expected) {
    const Result<HttpUrl> parsed = parse_http_url(url);
    EXPECT_EQ(parsed.has_value() ? str(parsed->host, " ", parsed->port, " ", parsed->target)
                                 : std::string("refused"),
              expected)
        << url;
  };
  check("http://localhost", "localhost 80 /");
  check("http://localhost:9/x/y?q#f", "localhost 9 /x/y?q");
  check("http://[::1]:80/", "::1 80 /");
  check("http://[::1]/a:b", "::1 80 /a:b");
  check("http://h?x=1", "h 80 /?x=1");
  check("https://h/x", "h 443 /x");
  check("https://h:8443", "h 8443 /");
  for (const char* wrong : {"h:80",
                            "http://",
                            "http://:80/",
                            "http://h:/",
                            "http://u@h/",
                            "http://h:99x/",
                            "http://h/\r\nX: y",
                            "http://h:123456/",
                            "ftp://h"}) {
    check(wrong, "refused");
  }
}

}  // namespace
}  // namespace inferneo::gateway::http
