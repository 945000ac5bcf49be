// Reads a GGUF header from front to back: no read passes the end of the file, and a count is
// believed only when that many elements can still lie in it.
// Thread: one. Ownership: borrows the file; so do the strings that it gives.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/str.h"

namespace inferneo::formats {

static_assert(std::endian::native == std::endian::little, "numbers are read as they lie");

class GgufCursor {
 public:
  explicit GgufCursor(std::span<const std::byte> file) : file_(file) {}

  [[nodiscard]] std::size_t position() const { return position_; }
  [[nodiscard]] std::size_t remaining() const { return file_.size() - position_; }
  [[nodiscard]] std::size_t file_size() const { return file_.size(); }

  // False, and nothing moves, when the file ends before.
  template <typename T>
  [[nodiscard]] bool read(T& number) {
    if (remaining() < sizeof(T)) return false;
    std::memcpy(&number, file_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return true;
  }
  // Eight bytes of length and as many bytes as that.
  [[nodiscard]] bool read_text(std::string_view& text) {
    std::uint64_t size = 0;
    if (!read(size)) return false;
    if (size > remaining()) {
      position_ -= sizeof(size);
      return false;
    }
    text = {reinterpret_cast<const char*>(file_.data()) + position_,
            static_cast<std::size_t>(size)};
    position_ += text.size();
    return true;
  }

  // `what` cannot be read here: "WHAT at byte N reaches past the end of the file of M bytes".
  [[nodiscard]] Status past_end(std::string_view what) const {
    return corrupt_data(str(what,
                            " at byte ",
                            position_,
                            " reaches past the end of the file of ",
                            file_.size(),
                            " bytes"));
  }
  // The same for a string, with the length that it claims.
  [[nodiscard]] Status text_past_end(std::string_view what) const {
    GgufCursor at = *this;
    std::uint64_t size = 0;
    return at.read(size) ? past_end(str(what, " of ", size, " bytes")) : past_end(what);
  }

 private:
  std::span<const std::byte> file_;
  std::size_t position_ = 0;
};

}  // namespace inferneo::formats
