#include "text/tokenizer/token_model.h"

#include <algorithm>

#include "base/limits.h"
#include "base/str.h"

namespace inferneo::text {
namespace {

// Positions inside a piece are 32-bit; longer pieces are cut here.
constexpr std::size_t kPieceSizeMax = std::size_t{1} << 30;

struct Kind {
  std::string_view name;
  Result<TokenModelPtr> (*parse)(const JsonView& model);
};

constexpr Kind kKinds[] = {
    {"BPE", parse_bpe},
    {"Unigram", parse_unigram},
    {"WordLevel", parse_word_level},
    {"WordPiece", parse_word_piece},
};
constexpr std::string_view kSupported = "BPE, Unigram, WordLevel, WordPiece";

// Documents of old libraries leave the kind out; each has a member that no other has.
std::string_view kind_without_type(const JsonView& model) {
  const auto has = [&](std::string_view key) {
    simdjson::dom::element found;
    return model.element().at_key(key).get(found) == simdjson::SUCCESS;
  };
  if (has("merges")) return "BPE";
  if (has("max_input_chars_per_word")) return "WordPiece";
  simdjson::dom::element vocab;
  const bool is_list =
      model.element().at_key("vocab").get(vocab) == simdjson::SUCCESS && vocab.is_array();
  if (is_list) return "Unigram";
  return has("unk_token") && has("vocab") ? "WordLevel" : "BPE";
}

}  // namespace

Result<TokenModelPtr> TokenModel::parse(const JsonView& model) {
  ASSIGN_OR_RETURN([[maybe_unused]] const simdjson::dom::object members, model.object());
  ASSIGN_OR_RETURN(const std::optional<JsonView> type, model.optional_member("type"));
  std::string_view name = kind_without_type(model);
  if (type) {
    ASSIGN_OR_RETURN(name, type->string());
  }
  for (const Kind& kind : kKinds) {
    if (kind.name == name) return kind.parse(model);
  }
  return type->not_supported("model", name, kSupported);
}

void EncodeScratch::shrink() {
  constexpr std::size_t kKeptCountMax = 64 * 1024;
  const auto drop = [](auto& buffer) {
    if (buffer.capacity() > kKeptCountMax) buffer = {};
  };
  drop(ids);
  drop(ranks);
  drop(next);
  drop(previous);
  drop(heap);
  drop(scores);
}

std::size_t TokenModel::first_part(std::string_view piece) const { return piece.size(); }

void TokenModel::encode_long(std::string_view piece,
                             EncodeScratch& scratch,
                             std::vector<TokenId>& out) const {
  while (!piece.empty()) {
    const std::size_t size = std::min(first_part(piece), kPieceSizeMax);
    const std::string_view part = piece.substr(0, size);
    piece.remove_prefix(size);
    if (size <= WordCache::kWordSizeMax) {
      encode_short(part, scratch, out);
      continue;
    }
    compute(part, scratch);
    out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
  }
}

Status parse_vocabulary(const JsonView& vocab, Vocabulary& out) {
  ASSIGN_OR_RETURN(const simdjson::dom::object entries, vocab.object());
  std::size_t count = 0;
  std::size_t name_size = 0;
  for (const auto entry : entries) {
    ++count;
    name_size += entry.key.size();
  }
  if (count > limits::kVocabSizeMax) {
    return vocab.corrupt(str("has ", count, " tokens, at most ", limits::kVocabSizeMax));
  }
  out.reserve(count, name_size);
  for (const auto entry : entries) {
    const auto where = [&] {
      return JsonView(entry.value, str(vocab.where(), ".", printable(entry.key)));
    };
    std::int64_t id = -1;
    if (entry.value.get(id) != simdjson::SUCCESS) return where().integer().status();
    if (id < 0 || static_cast<std::uint64_t>(id) >= limits::kVocabSizeMax) {
      return where().corrupt(str("is ", id, ", expected 0 to ", limits::kVocabSizeMax - 1));
    }
    switch (out.add(entry.key, static_cast<TokenId>(id))) {
      case Vocabulary::AddOutcome::kAdded:
        break;
      case Vocabulary::AddOutcome::kDuplicateName:
        return where().corrupt("is there twice");
      case Vocabulary::AddOutcome::kDuplicateId:
        return where().corrupt(str("has id ",
                                   id,
                                   ", which '",
                                   printable(out.name(static_cast<TokenId>(id))),
                                   "' has already"));
    }
  }
  return ok_status();
}

}  // namespace inferneo::text
