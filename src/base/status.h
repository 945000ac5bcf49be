// Status: the outcome of an operation that can fail for reasons outside our control (a file, a
// request, a full disk). Success is one null pointer wide. A failure carries a code, a message that
// says what was wrong with the value and where, and optionally a hint that says what to do.
// Programming errors use CHECK instead (base/check.h).
// Thread: any. Ownership: value type, deep copy.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace inferneo {

enum class StatusCode : std::uint8_t {
  kOk,
  kCancelled,
  kInvalidArgument,
  kNotFound,
  kAlreadyExists,
  kFailedPrecondition,
  kResourceExhausted,
  kDeadlineExceeded,
  kUnauthenticated,
  kPermissionDenied,
  kUnsupported,
  kUnavailable,
  kCorruptData,
  kInternal,
};

// The code's name in snake_case, as it appears in logs and metrics ("invalid_argument").
std::string_view status_code_name(StatusCode code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message, std::string hint = {});
  Status(const Status& other);
  Status& operator=(const Status& other);
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  ~Status() = default;

  [[nodiscard]] bool ok() const { return rep_ == nullptr; }
  [[nodiscard]] StatusCode code() const { return rep_ ? rep_->code : StatusCode::kOk; }
  // Empty for success. Borrowed from this object.
  [[nodiscard]] const std::string& message() const;
  [[nodiscard]] const std::string& hint() const;
  // The request field or file position at fault ("messages[2].content"); empty when not known.
  [[nodiscard]] const std::string& where() const;

  // The same failure with `context` put before the message ("context: message").
  [[nodiscard]] Status with_context(std::string_view context) &&;
  [[nodiscard]] Status with_where(std::string where) &&;
  [[nodiscard]] Status with_hint(std::string hint) &&;

  // "invalid_argument: message (hint)" for logs and the command line.
  [[nodiscard]] std::string to_string() const;

 private:
  struct Rep {
    StatusCode code;
    std::string message;
    std::string hint;
    std::string where;
  };
  std::unique_ptr<Rep> rep_;
};

inline Status ok_status() { return {}; }

// One maker per code, so that call sites read as sentences.
Status cancelled(std::string message);
Status invalid_argument(std::string message);
Status not_found(std::string message);
Status already_exists(std::string message);
Status failed_precondition(std::string message);
Status resource_exhausted(std::string message);
Status deadline_exceeded(std::string message);
Status unauthenticated(std::string message);
Status permission_denied(std::string message);
Status unsupported(std::string message);
Status unavailable(std::string message);
Status corrupt_data(std::string message);
Status internal_error(std::string message);

}  // namespace inferneo
