#include "text/tokenizer/sentencepiece_model.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"

namespace inferneo::text {
namespace {

// Reads the fields of one message. Spec: protobuf.dev, "Encoding".
class Message {
 public:
  // `begin` is where the bytes lie in the file, for messages.
  Message(std::string_view bytes, std::size_t begin) : bytes_(bytes), begin_(begin) {}

  struct Field {
    std::uint64_t number = 0;
    int wire = 0;
    std::uint64_t value = 0;  // of numbers
    std::string_view bytes;   // of strings and messages
    std::size_t begin = 0;    // where `bytes` lie in the file
  };

  [[nodiscard]] bool at_end() const { return at_ == bytes_.size(); }

  Result<Field> next() {
    Field field;
    ASSIGN_OR_RETURN(const std::uint64_t key, varint());
    field.number = key >> 3;
    field.wire = static_cast<int>(key & 7);
    switch (field.wire) {
      case 0: {
        ASSIGN_OR_RETURN(field.value, varint());
        return field;
      }
      case 1:
        return fixed(field, 8);
      case 2: {
        ASSIGN_OR_RETURN(const std::uint64_t size, varint());
        if (size > bytes_.size() - at_) return corrupt("a field reaches behind the end");
        field.begin = begin_ + at_;
        field.bytes = bytes_.substr(at_, static_cast<std::size_t>(size));
        at_ += static_cast<std::size_t>(size);
        return field;
      }
      case 5:
        return fixed(field, 4);
      default:
        return corrupt(str("a field has wire type ", field.wire));
    }
  }

  [[nodiscard]] Status corrupt(std::string_view what) const {
    return corrupt_data(
        str("the SentencePiece model is damaged at byte ", begin_ + at_, ": ", what));
  }

 private:
  Result<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) return corrupt("a number is cut off");
      const auto byte = static_cast<std::uint8_t>(bytes_[at_++]);
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    return corrupt("a number is too long");
  }

  Result<Field> fixed(Field field, std::size_t size) {
    if (size > bytes_.size() - at_) return corrupt("a number is cut off");
    for (std::size_t i = size; i-- > 0;) {
      field.value = field.value << 8 | static_cast<std::uint8_t>(bytes_[at_ + i]);
    }
    at_ += size;
    return field;
  }

  std::string_view bytes_;
  std::size_t begin_;
  std::size_t at_ = 0;
};

// Calls use(field) for each field of a message; it answers a Status.
template <typename Use>
Status for_each_field(std::string_view bytes, std::size_t begin, Use&& use) {
  Message message(bytes, begin);
  while (!message.at_end()) {
    ASSIGN_OR_RETURN(const Message::Field field, message.next());
    RETURN_IF_ERROR(use(field));
  }
  return ok_status();
}

// A number where the field must be one; protobuf writes negative ones with 64 bits.
Result<std::int64_t> number(const Message::Field& field) {
  if (field.wire == 0) return static_cast<std::int64_t>(field.value);
  return corrupt_data(str("the SentencePiece model has field ", field.number, " in another type"));
}

Result<std::string_view> bytes_of(const Message::Field& field) {
  if (field.wire == 2) return field.bytes;
  return corrupt_data(str("the SentencePiece model has field ", field.number, " in another type"));
}

Result<TokenKind> piece_kind(std::int64_t value, std::size_t index) {
  if (value >= 1 && value <= 6) return static_cast<TokenKind>(value);
  return corrupt_data(str("piece ", index, " of the SentencePiece model has type ", value));
}

Status read_piece(const Message::Field& entry, SentencePieceModel& out) {
  const std::size_t index = out.pieces.size();
  if (index >= limits::kVocabSizeMax) {
    return resource_exhausted(
        str("the SentencePiece model has more than ", limits::kVocabSizeMax, " pieces"));
  }
  std::string_view piece;
  float score = 0;
  TokenKind kind = TokenKind::kNormal;
  RETURN_IF_ERROR(
      for_each_field(entry.bytes, entry.begin, [&](const Message::Field& field) -> Status {
        if (field.number == 1) {
          ASSIGN_OR_RETURN(piece, bytes_of(field));
        } else if (field.number == 2) {
          if (field.wire != 5)
            return corrupt_data(str("the score of piece ", index, " is no number"));
          score = std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
        } else if (field.number == 3) {
          ASSIGN_OR_RETURN(const std::int64_t value, number(field));
          ASSIGN_OR_RETURN(kind, piece_kind(value, index));
        }
        return ok_status();
      }));
  if (piece.empty() || !utf8::is_valid(piece)) {
    return corrupt_data(str(
        "piece ", index, " of the SentencePiece model is ", piece.empty() ? "empty" : "not UTF-8"));
  }
  if (!std::isfinite(score))
    return corrupt_data(str("the score of piece ", index, " is no number"));
  out.pieces.push_back(piece);
  out.scores.push_back(score);
  out.kinds.push_back(kind);
  return ok_status();
}

Status read_trainer(const Message::Field& entry, SentencePieceModel& out) {
  return for_each_field(entry.bytes, entry.begin, [&](const Message::Field& field) -> Status {
    std::int64_t value = 0;
    const bool wanted = field.number == 3 || field.number == 24 || field.number == 35 ||
                        (field.number >= 40 && field.number <= 42);
    if (!wanted) return ok_status();
    ASSIGN_OR_RETURN(value, number(field));
    switch (field.number) {
      case 3:
        if (value < 1 || value > 4) {
          return corrupt_data(str("the SentencePiece model has model_type ", value));
        }
        out.kind = static_cast<SentencePieceModel::Kind>(value);
        break;
      case 24:
        out.space_as_suffix = value != 0;
        break;
      case 35:
        out.byte_fallback = value != 0;
        break;
      case 40:
        out.unknown = value;
        break;
      case 41:
        out.bos = value;
        break;
      default:
        out.eos = value;
    }
    return ok_status();
  });
}

Status read_normalizer(const Message::Field& entry, SentencePieceModel& out) {
  return for_each_field(entry.bytes, entry.begin, [&](const Message::Field& field) -> Status {
    if (field.number == 2) {
      ASSIGN_OR_RETURN(out.charsmap, bytes_of(field));
    } else if (field.number >= 3 && field.number <= 5) {
      ASSIGN_OR_RETURN(const std::int64_t value, number(field));
      (field.number == 3   ? out.add_dummy_prefix
       : field.number == 4 ? out.remove_extra_spaces
                           : out.escape_spaces) = value != 0;
    }
    return ok_status();
  });
}

}  // namespace

Result<SentencePieceModel> SentencePieceModel::parse(std::string_view file) {
  SentencePieceModel out;
  RETURN_IF_ERROR(for_each_field(file, 0, [&](const Message::Field& field) -> Status {
    if (field.number < 1 || field.number > 3) return ok_status();
    ASSIGN_OR_RETURN([[maybe_unused]] const std::string_view bytes, bytes_of(field));
    if (field.number == 1) return read_piece(field, out);
    return field.number == 2 ? read_trainer(field, out) : read_normalizer(field, out);
  }));
  if (out.pieces.empty()) return corrupt_data("the SentencePiece model has no pieces");
  return out;
}

}  // namespace inferneo::text
