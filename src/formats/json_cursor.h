// A strict forward reader of JSON text for large machine-written documents (safetensors headers,
// shard indexes): no tree is built, so memory and time stay proportional to what is kept.
// Errors name the byte. Spec: RFC 8259. Strings must be valid UTF-8.
// Thread: the owner's. Ownership: borrows the text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace inferneo::formats {

class JsonCursor {
 public:
  // `offset` is added to the positions in messages (where the text begins in its file).
  explicit JsonCursor(std::string_view text, std::size_t offset = 0)
      : text_(text), offset_(offset) {}

  // Consumes white space and `expected`. Failures: corrupt_data.
  Status expect(char expected);
  // Consumes white space, and `wanted` if it comes next.
  bool accept(char wanted);
  Result<std::string> string();
  // A non-negative integer without sign, fraction or exponent.
  Result<std::uint64_t> unsigned_integer();
  // Skips any value, nested up to limits::kJsonDepthMax.
  Status skip_value();
  // Only white space may follow.
  Status expect_end();

  [[nodiscard]] std::size_t position() const { return offset_ + at_; }
  [[nodiscard]] Status failure(std::string_view what) const;

 private:
  void skip_space();
  Result<std::uint32_t> hex4();
  Status append_escape(std::string& out);
  Status skip_scalar();

  std::string_view text_;
  std::size_t offset_;
  std::size_t at_ = 0;
};

// Calls on_member(name) -> Status for each member of the object at the cursor; on_member consumes
// the value.
template <typename F>
Status read_object(JsonCursor& cursor, F&& on_member) {
  RETURN_IF_ERROR(cursor.expect('{'));
  if (cursor.accept('}')) return ok_status();
  do {
    ASSIGN_OR_RETURN(std::string name, cursor.string());
    RETURN_IF_ERROR(cursor.expect(':'));
    RETURN_IF_ERROR(on_member(std::move(name)));
  } while (cursor.accept(','));
  return cursor.expect('}');
}

// Calls on_element() -> Status for each element of the array at the cursor.
template <typename F>
Status read_array(JsonCursor& cursor, F&& on_element) {
  RETURN_IF_ERROR(cursor.expect('['));
  if (cursor.accept(']')) return ok_status();
  do {
    RETURN_IF_ERROR(on_element());
  } while (cursor.accept(','));
  return cursor.expect(']');
}

}  // namespace inferneo::formats
