#include "text/tokenizer/added_tokens.h"

#include <algorithm>

#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/tokenizer/unicode_classes.h"

namespace inferneo::text {
namespace {

constexpr std::size_t kContentSizeMax = 1024;

// The last character of `text`. Precondition: not empty, valid UTF-8.
utf8::Decoded last_character(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<std::uint8_t>(text[at]) & 0xC0) == 0x80) --at;
  return utf8::decode(text, at);
}

bool ends_in_word(std::string_view text) {
  return !text.empty() && UnicodeClasses::get().is(last_character(text).code_point, kWord);
}

bool starts_with_word(std::string_view text) {
  return !text.empty() && UnicodeClasses::get().is(utf8::decode(text, 0).code_point, kWord);
}

std::size_t without_trailing_space(std::string_view text) {
  while (!text.empty()) {
    const utf8::Decoded last = last_character(text);
    if (!UnicodeClasses::get().is(last.code_point, kSpace)) break;
    text.remove_suffix(last.size);
  }
  return text.size();
}

std::size_t leading_space(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const utf8::Decoded next = utf8::decode(text, at);
    if (!UnicodeClasses::get().is(next.code_point, kSpace)) break;
    at += next.size;
  }
  return at;
}

}  // namespace

void AddedTokenMatcher::add(std::string_view pattern, const AddedToken& token) {
  if (pattern.empty()) return;
  std::uint32_t node = 0;
  for (const char c : pattern) {
    const std::uint64_t edge = static_cast<std::uint64_t>(node) << 8 | static_cast<std::uint8_t>(c);
    const auto [found, added] =
        edges_.emplace(edge, static_cast<std::uint32_t>(token_at_node_.size()));
    if (added) token_at_node_.push_back(-1);
    node = found->second;
  }
  const auto start = static_cast<std::uint8_t>(pattern[0]);
  only_start_ = tokens_.empty() || only_start_ == start ? start : -1;
  starts_[start] = true;
  if (token_at_node_[node] >= 0) return;
  token_at_node_[node] = static_cast<std::int32_t>(tokens_.size());
  tokens_.push_back(token);
}

std::size_t AddedTokenMatcher::next_start(std::string_view text, std::size_t at) const {
  if (only_start_ >= 0) return std::min(text.find(static_cast<char>(only_start_), at), text.size());
  while (at < text.size() && !starts_[static_cast<std::uint8_t>(text[at])]) ++at;
  return at;
}

AddedTokenMatcher::Match AddedTokenMatcher::longest_at(std::string_view text,
                                                       std::size_t at) const {
  Match best;
  std::uint32_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const std::uint64_t edge =
        static_cast<std::uint64_t>(node) << 8 | static_cast<std::uint8_t>(text[i]);
    const auto found = edges_.find(edge);
    if (found == edges_.end()) break;
    node = found->second;
    if (const std::int32_t token = token_at_node_[node]; token >= 0) {
      best = {i + 1 - at, &tokens_[static_cast<std::size_t>(token)]};
    }
  }
  return best;
}

void AddedTokenMatcher::split(std::string_view text, std::vector<Section>& out) const {
  if (text.empty()) return;
  std::size_t done = 0;
  // Between the last stop and here is only white space; keeps rstrip linear in runs of it.
  std::size_t space_end = 0;
  for (std::size_t at = next_start(text, 0); at < text.size(); at = next_start(text, at)) {
    const Match match = longest_at(text, at);
    if (match.token == nullptr) {
      ++at;
      continue;
    }
    std::size_t start = at;
    std::size_t stop = at + match.size;
    at = stop;
    const AddedToken& token = *match.token;
    if (token.single_word &&
        (ends_in_word(text.substr(0, start)) || starts_with_word(text.substr(stop)))) {
      continue;
    }
    if (token.lstrip) {
      const std::size_t from = std::min(done, start);
      start = from + without_trailing_space(text.substr(from, start - from));
    }
    if (token.rstrip) {
      if (stop >= space_end) space_end = stop + leading_space(text.substr(stop));
      stop = space_end;
    }
    if (done < start) out.push_back({text.substr(done, start - done), -1});
    out.push_back({text.substr(start, stop - start), token.id});
    done = stop;
  }
  if (done < text.size()) out.push_back({text.substr(done), -1});
}

Result<AddedToken> parse_added_token(const JsonView& entry, TokenId id) {
  AddedToken token;
  token.id = id;
  ASSIGN_OR_RETURN(const std::string_view content, entry.string_member("content"));
  token.content = content;
  if (token.content.size() > kContentSizeMax) {
    return unsupported(str(entry.where(),
                           ".content has ",
                           token.content.size(),
                           " bytes; added tokens of more than ",
                           kContentSizeMax,
                           " are not supported"))
        .with_where(entry.where());
  }
  ASSIGN_OR_RETURN(token.special, entry.bool_member("special", false));
  ASSIGN_OR_RETURN(token.normalized, entry.bool_member("normalized", !token.special));
  ASSIGN_OR_RETURN(token.lstrip, entry.bool_member("lstrip", false));
  ASSIGN_OR_RETURN(token.rstrip, entry.bool_member("rstrip", false));
  ASSIGN_OR_RETURN(token.single_word, entry.bool_member("single_word", false));
  return token;
}

namespace {

Result<TokenId> parse_id(const JsonView& entry) {
  ASSIGN_OR_RETURN(const JsonView id, entry.member("id"));
  ASSIGN_OR_RETURN(const std::int64_t number, id.integer());
  if (number < 0 || static_cast<std::uint64_t>(number) >= limits::kVocabSizeMax) {
    return id.corrupt(str("is ", number, ", expected 0 to ", limits::kVocabSizeMax - 1));
  }
  return static_cast<TokenId>(number);
}

}  // namespace

Result<std::vector<AddedToken>> parse_added_tokens(const JsonView& document,
                                                   const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  ASSIGN_OR_RETURN(const std::optional<JsonView> list, document.optional_member("added_tokens"));
  if (!list) return tokens;
  ASSIGN_OR_RETURN(const simdjson::dom::array entries, list->array());
  std::unordered_map<std::string, std::size_t> known;
  // Why the count and not the largest id: this is where the reference starts, even with holes.
  const auto first_free = static_cast<TokenId>(vocabulary.token_count());
  TokenId largest = -1;
  std::size_t index = 0;
  for (const simdjson::dom::element element : entries) {
    const JsonView entry = list->item(index++, element);
    ASSIGN_OR_RETURN([[maybe_unused]] const simdjson::dom::object members, entry.object());
    ASSIGN_OR_RETURN(AddedToken token, parse_added_token(entry, -1));
    ASSIGN_OR_RETURN([[maybe_unused]] const TokenId given, parse_id(entry));
    if (token.content.empty()) continue;
    if (!known.emplace(token.content, tokens.size()).second) {
      return entry.corrupt(str("repeats the token '", printable(token.content), "'"));
    }
    token.id = vocabulary.find(token.content);
    if (token.id < 0) token.id = std::max(first_free, largest + 1);
    if (static_cast<std::size_t>(token.id) >= limits::kVocabSizeMax) {
      return entry.corrupt(str("would have id ", token.id));
    }
    largest = std::max(largest, token.id);
    tokens.push_back(std::move(token));
    if (tokens.size() > limits::kVocabSizeMax) return list->corrupt("has too many tokens");
  }
  return tokens;
}

}  // namespace inferneo::text
