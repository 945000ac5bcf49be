#include "text/tokenizer/word_piece.h"

#include <algorithm>

#include "base/str.h"

namespace inferneo::text {
namespace {

using Entries = std::vector<std::pair<std::string_view, std::int32_t>>;

Entries entries_of(const Vocabulary& vocabulary, const WordPiece::Spell& spell, bool starts_word) {
  Entries entries;
  std::vector<WordPiece::Spelling> spellings;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    if (!vocabulary.has(id)) continue;
    spellings.clear();
    spell(vocabulary.name(id), spellings);
    for (const WordPiece::Spelling& spelling : spellings) {
      if (spelling.starts_word == starts_word) entries.emplace_back(spelling.text, id);
    }
  }
  return entries;
}

std::size_t character_count(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<std::uint8_t>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, const Spell& spell, const Options& options)
    : TokenModel(std::move(vocabulary)),
      first_(entries_of(vocabulary_, spell, true)),
      rest_(entries_of(vocabulary_, spell, false)),
      options_(options) {}

void WordPiece::prepare(bool) {}

void WordPiece::compute(std::string_view word, EncodeScratch& scratch) const {
  std::vector<TokenId>& ids = scratch.ids;
  ids.clear();
  bool known = character_count(word) <= options_.word_length_max;
  for (std::size_t at = 0; known && at < word.size();) {
    const ByteTrie::Match match = (at == 0 ? first_ : rest_).longest_prefix(word.substr(at));
    known = match.size > 0;
    ids.push_back(match.value);
    at += match.size;
  }
  if (known) return;
  ids.clear();
  if (options_.unknown >= 0) ids.push_back(options_.unknown);
}

Result<WordPiece> WordPiece::parse(const JsonView& model) {
  Vocabulary vocabulary;
  ASSIGN_OR_RETURN(const JsonView vocab, model.member("vocab"));
  RETURN_IF_ERROR(parse_vocabulary(vocab, vocabulary));
  Options options;
  ASSIGN_OR_RETURN(const std::string_view unknown, model.string_member("unk_token"));
  options.unknown = vocabulary.find(unknown);
  if (options.unknown < 0) {
    return model.corrupt(
        str("has the unk_token '", printable(unknown), "', which the vocabulary lacks"));
  }
  std::string prefix = "##";
  ASSIGN_OR_RETURN(const std::optional<JsonView> given,
                   model.optional_member("continuing_subword_prefix"));
  if (given) {
    ASSIGN_OR_RETURN(prefix, given->string());
  }
  ASSIGN_OR_RETURN(const std::optional<JsonView> length,
                   model.optional_member("max_input_chars_per_word"));
  if (length) {
    ASSIGN_OR_RETURN(const std::int64_t count, length->integer());
    if (count < 0) return length->corrupt(str("is ", count));
    options.word_length_max = static_cast<std::size_t>(count);
  }
  const Spell spell = [&prefix](std::string_view name, std::vector<Spelling>& out) {
    out.push_back({name, true});
    if (name.starts_with(prefix)) out.push_back({name.substr(prefix.size()), false});
  };
  return WordPiece(std::move(vocabulary), spell, options);
}

Result<TokenModelPtr> parse_word_piece(const JsonView& model) {
  ASSIGN_OR_RETURN(WordPiece word_piece, WordPiece::parse(model));
  return TokenModelPtr(std::make_unique<WordPiece>(std::move(word_piece)));
}

}  // namespace inferneo::text
