#include "text/tokenizer/unigram.h"

#include <algorithm>
#include <cmath>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"

namespace inferneo::text {
namespace {

// Spec: kUnkPenalty of both references.
constexpr double kUnknownPenalty = 10.0;
constexpr std::uint32_t kNowhere = 0xFFFFFFFFu;

std::size_t character_size(std::string_view text, std::size_t at) {
  return static_cast<std::uint8_t>(text[at]) < 0x80 ? 1 : utf8::decode(text, at).size;
}

ByteTrie make_trie(const Vocabulary& vocabulary, const std::vector<bool>& in_text) {
  std::vector<std::pair<std::string_view, std::int32_t>> entries;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    if (in_text[static_cast<std::size_t>(id)]) entries.emplace_back(vocabulary.name(id), id);
  }
  return ByteTrie(std::move(entries));
}

}  // namespace

Unigram::Unigram(Vocabulary vocabulary,
                 std::vector<double> scores,
                 const std::vector<bool>& in_text,
                 const Options& options)
    : TokenModel(std::move(vocabulary)),
      scores_(std::move(scores)),
      trie_(make_trie(vocabulary_, in_text)),
      options_(options) {}

// Why byte_level is of no concern: a Unigram model spells characters, whatever comes before it.
void Unigram::prepare(bool) {
  falls_back_ = options_.byte_fallback;
  for (unsigned byte = 0; byte < 256; ++byte) {
    fallback_ids_[byte] = vocabulary_.find(fallback_name(static_cast<std::uint8_t>(byte)));
  }
}

// scratch.scores[i] is the best sum of a cut of the first i bytes, scratch.previous[i] where its
// last token begins and scratch.next[i] which token that is.
void Unigram::find_best_ends(std::string_view text, EncodeScratch& scratch) const {
  std::vector<double>& best = scratch.scores;
  std::vector<std::uint32_t>& start_of = scratch.previous;
  std::vector<std::uint32_t>& token_of = scratch.next;
  best.assign(text.size() + 1, 0);
  start_of.assign(text.size() + 1, kNowhere);
  token_of.resize(text.size() + 1);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size_here = character_size(text, at);
    const auto consider = [&](std::size_t size, TokenId id, double score) {
      // Why also before it is compared: which of two ways has the larger sum may hang on it.
      const double sum =
          options_.single_precision
              ? static_cast<double>(static_cast<float>(score) + static_cast<float>(best[at]))
              : score + best[at];
      const std::size_t end = at + size;
      if (start_of[end] != kNowhere && sum <= best[end]) return;
      best[end] = sum;
      start_of[end] = static_cast<std::uint32_t>(at);
      token_of[end] = static_cast<std::uint32_t>(id);
    };
    bool covered = false;
    trie_.for_each_prefix(text.substr(at), [&](std::size_t size, std::int32_t id) {
      consider(size, id, scores_[static_cast<std::size_t>(id)]);
      if (size == size_here) covered = true;
    });
    if (!covered) consider(size_here, options_.unknown, options_.unknown_score);
    at += size_here;
  }
}

void Unigram::compute(std::string_view word, EncodeScratch& scratch) const {
  std::vector<TokenId>& ids = scratch.ids;
  ids.clear();
  find_best_ends(word, scratch);
  // The ends of the tokens, from the back; a run of unknown ones counts as one.
  std::vector<std::uint32_t>& ends = scratch.ranks;
  ends.clear();
  bool last_unknown = false;
  for (auto end = static_cast<std::uint32_t>(word.size()); end > 0; end = scratch.previous[end]) {
    const bool unknown = static_cast<TokenId>(scratch.next[end]) == options_.unknown;
    if (!(unknown && last_unknown)) ends.push_back(end);
    last_unknown = unknown;
  }
  std::uint32_t start = 0;
  for (std::size_t i = ends.size(); i-- > 0; start = ends[i]) {
    put(word.substr(start, ends[i] - start), static_cast<TokenId>(scratch.next[ends[i]]), ids);
  }
}

// Why the name is looked up for unknown text: a run of characters may be a token together although
// none of them is one, and the references find it.
void Unigram::put(std::string_view text, TokenId id, std::vector<TokenId>& ids) const {
  if (id != options_.unknown) {
    ids.push_back(id);
    return;
  }
  if (const TokenId whole = options_.single_precision ? -1 : vocabulary_.find(text); whole >= 0) {
    ids.push_back(whole);
    return;
  }
  const bool known_bytes = falls_back_ && std::all_of(text.begin(), text.end(), [&](char c) {
                             return fallback_ids_[static_cast<std::uint8_t>(c)] >= 0;
                           });
  if (known_bytes) {
    for (const char c : text) ids.push_back(fallback_ids_[static_cast<std::uint8_t>(c)]);
  } else if (id >= 0) {
    ids.push_back(id);
  }
}

Result<TokenModelPtr> parse_unigram(const JsonView& model) {
  ASSIGN_OR_RETURN(Unigram unigram, Unigram::parse(model));
  return TokenModelPtr(std::make_unique<Unigram>(std::move(unigram)));
}

namespace {

// ["▁the", -3.5]
Result<std::pair<std::string_view, double>> parse_entry(const JsonView& entry) {
  ASSIGN_OR_RETURN(const simdjson::dom::array parts, entry.array());
  simdjson::dom::element name;
  simdjson::dom::element score;
  if (parts.size() != 2 || parts.at(0).get(name) != simdjson::SUCCESS ||
      parts.at(1).get(score) != simdjson::SUCCESS) {
    return entry.corrupt("is not a token and its score");
  }
  ASSIGN_OR_RETURN(const std::string_view text, entry.item(0, name).string());
  double value = 0;
  if (score.get(value) != simdjson::SUCCESS) return entry.item(1, score).corrupt("is not a number");
  return std::pair(text, value);
}

}  // namespace

Result<Unigram> Unigram::parse(const JsonView& model) {
  ASSIGN_OR_RETURN(const JsonView vocab, model.member("vocab"));
  ASSIGN_OR_RETURN(const simdjson::dom::array entries, vocab.array());
  Vocabulary vocabulary;
  std::vector<double> scores;
  Options options;
  for (const simdjson::dom::element element : entries) {
    const JsonView entry = vocab.item(scores.size(), element);
    if (scores.size() >= limits::kVocabSizeMax) {
      return vocab.corrupt(str("has more than ", limits::kVocabSizeMax, " tokens"));
    }
    ASSIGN_OR_RETURN(const auto token, parse_entry(entry));
    const auto outcome = vocabulary.add(token.first, static_cast<TokenId>(scores.size()));
    if (outcome != Vocabulary::AddOutcome::kAdded) {
      return entry.corrupt(str("repeats the token '", printable(token.first), "'"));
    }
    scores.push_back(token.second);
  }
  if (scores.empty()) return vocab.corrupt("is empty");
  ASSIGN_OR_RETURN(const std::optional<JsonView> unknown, model.optional_member("unk_id"));
  if (unknown) {
    ASSIGN_OR_RETURN(const std::int64_t id, unknown->integer());
    if (id < 0 || static_cast<std::uint64_t>(id) >= scores.size()) {
      return unknown->corrupt(str("is ", id, ", expected 0 to ", scores.size() - 1));
    }
    options.unknown = static_cast<TokenId>(id);
  }
  ASSIGN_OR_RETURN(options.byte_fallback, model.bool_member("byte_fallback", false));
  options.unknown_score = *std::min_element(scores.begin(), scores.end()) - kUnknownPenalty;
  const std::vector<bool> in_text(scores.size(), true);
  return Unigram(std::move(vocabulary), std::move(scores), in_text, options);
}

}  // namespace inferneo::text
