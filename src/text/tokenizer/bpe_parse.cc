// Makes the BPE model: from tokenizer.json, or from lists.
#include <algorithm>
#include <bit>

#include "base/limits.h"
#include "base/str.h"
#include "text/tokenizer/bpe.h"

namespace inferneo::text {
namespace {

// Bound: the prefix or suffix is copied for every character; published ones have four bytes.
constexpr std::size_t kAffixSizeMax = 256;
// A rank has 22 bits in the pair table, and all ones there means empty.
constexpr std::size_t kMergeCountMax = (std::size_t{1} << 22) - 1;
static_assert(limits::kVocabSizeMax < (std::size_t{1} << 21));

Result<std::string> optional_string(const JsonView& model, std::string_view key) {
  ASSIGN_OR_RETURN(const std::optional<JsonView> found, model.optional_member(key));
  if (!found) return std::string();
  ASSIGN_OR_RETURN(const std::string_view text, found->string());
  if (text.size() > kAffixSizeMax) {
    return found->corrupt(str("has ", text.size(), " bytes, at most ", kAffixSizeMax));
  }
  return std::string(text);
}

}  // namespace

Result<Bpe> Bpe::parse(const JsonView& model) {
  Bpe bpe;
  RETURN_IF_ERROR(bpe.parse_options(model));
  ASSIGN_OR_RETURN(const JsonView vocab, model.member("vocab"));
  RETURN_IF_ERROR(parse_vocabulary(vocab, bpe.vocabulary_));
  ASSIGN_OR_RETURN(const JsonView merges, model.member("merges"));
  RETURN_IF_ERROR(bpe.parse_merges(merges));
  // A name that the vocabulary lacks leaves unknown characters out of the ids.
  ASSIGN_OR_RETURN(const std::string unknown, optional_string(model, "unk_token"));
  if (!unknown.empty()) bpe.unknown_ = bpe.vocabulary_.find(unknown);
  return bpe;
}

Result<TokenModelPtr> parse_bpe(const JsonView& model) {
  ASSIGN_OR_RETURN(Bpe bpe, Bpe::parse(model));
  return TokenModelPtr(std::make_unique<Bpe>(std::move(bpe)));
}

Status Bpe::parse_options(const JsonView& model) {
  ASSIGN_OR_RETURN(const std::optional<JsonView> dropout, model.optional_member("dropout"));
  if (dropout) {
    double rate = -1;
    const auto error = dropout->element().get(rate);
    if (error != simdjson::SUCCESS) return dropout->corrupt("is not a number");
    if (rate != 0) {
      return unsupported(str(dropout->where(), ": random dropout of merges is not supported"))
          .with_hint("set model.dropout to null")
          .with_where(dropout->where());
    }
  }
  ASSIGN_OR_RETURN(byte_fallback_, model.bool_member("byte_fallback", false));
  ASSIGN_OR_RETURN(fuse_unknown_, model.bool_member("fuse_unk", false));
  ASSIGN_OR_RETURN(ignore_merges_, model.bool_member("ignore_merges", false));
  ASSIGN_OR_RETURN(subword_prefix_, optional_string(model, "continuing_subword_prefix"));
  ASSIGN_OR_RETURN(word_suffix_, optional_string(model, "end_of_word_suffix"));
  return ok_status();
}

Status Bpe::parse_merges(const JsonView& merges) {
  ASSIGN_OR_RETURN(const simdjson::dom::array lines, merges.array());
  // Why counted by walking: size() of a simdjson array saturates at 2^24.
  std::size_t count = 0;
  for ([[maybe_unused]] const auto line : lines) ++count;
  if (count > kMergeCountMax) {
    return merges.corrupt(str("has ", count, " entries, at most ", kMergeCountMax));
  }
  reserve_merges(count);
  std::size_t index = 0;
  for (const simdjson::dom::element line : lines) {
    const auto place = [&] { return merges.item(index, line); };
    std::optional<std::string> problem;
    std::string_view text;
    simdjson::dom::array parts;
    if (line.get(text) == simdjson::SUCCESS) {
      if (!text.starts_with("#version")) {
        const std::size_t space = text.find(' ');
        if (space == text.npos || text.find(' ', space + 1) != text.npos) {
          return place().corrupt("is not two pieces with a space between them");
        }
        problem = add_merge(text.substr(0, space), text.substr(space + 1));
      }
    } else if (line.get(parts) == simdjson::SUCCESS && parts.size() == 2) {
      ASSIGN_OR_RETURN(const std::string_view first, place().item(0, parts.at(0).value()).string());
      ASSIGN_OR_RETURN(const std::string_view second,
                       place().item(1, parts.at(1).value()).string());
      problem = add_merge(first, second);
    } else {
      return place().corrupt("is neither a string nor a list of two strings");
    }
    if (problem) return place().corrupt(*problem);
    ++index;
  }
  return ok_status();
}

void Bpe::reserve_merges(std::size_t count) {
  merged_.reserve(count);
  pairs_.assign(std::bit_ceil(std::max<std::size_t>(16, count * 2)), ~std::uint64_t{0});
}

Result<Bpe> Bpe::from_merges(Vocabulary vocabulary,
                             std::span<const std::string_view> merges,
                             std::vector<bool> whole_words) {
  if (merges.size() > kMergeCountMax) {
    return corrupt_data(str("has ", merges.size(), " entries, at most ", kMergeCountMax));
  }
  Bpe bpe;
  bpe.vocabulary_ = std::move(vocabulary);
  bpe.ignore_merges_ = !whole_words.empty();
  bpe.whole_words_ = std::move(whole_words);
  bpe.reserve_merges(merges.size());
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const std::string_view merge = merges[i];
    // Why from 1: the left piece has at least one byte, which may be a space.
    const std::size_t space = merge.find(' ', 1);
    std::optional<std::string> problem;
    if (space == merge.npos) {
      problem = "is not two pieces with a space between them";
    } else {
      problem = bpe.add_merge(merge.substr(0, space), merge.substr(space + 1));
    }
    if (problem) return corrupt_data(str("[", i, "] ", *problem));
  }
  return bpe;
}

Bpe Bpe::from_scores(Vocabulary vocabulary,
                     std::span<const float> scores,
                     const std::vector<bool>& mergeable,
                     TokenId unknown) {
  Bpe bpe;
  bpe.vocabulary_ = std::move(vocabulary);
  bpe.byte_fallback_ = true;
  bpe.fuse_unknown_ = true;
  bpe.unknown_ = unknown;
  std::vector<std::uint32_t> order;
  for (std::uint32_t id = 0; id < scores.size(); ++id) {
    if (mergeable[id]) order.push_back(id);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return scores[a] > scores[b];
  });
  bpe.score_ranks_.assign(scores.size(), kNoRank);
  std::uint32_t rank = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i > 0 && scores[order[i]] != scores[order[i - 1]]) ++rank;
    bpe.score_ranks_[order[i]] = rank;
  }
  return bpe;
}

// Every way to cut a token in two tokens is a merge of its rank.
Bpe Bpe::from_ranks(Vocabulary vocabulary) {
  Bpe bpe;
  bpe.vocabulary_ = std::move(vocabulary);
  bpe.ignore_merges_ = true;
  const Vocabulary& names = bpe.vocabulary_;
  const auto for_each_cut = [&](TokenId id, auto&& use) {
    const std::string_view name = names.name(id);
    for (std::size_t cut = 1; cut < name.size(); ++cut) {
      if ((static_cast<std::uint8_t>(name[cut]) & 0xC0) == 0x80) continue;
      const TokenId left = names.find(name.substr(0, cut));
      if (left < 0) continue;
      const TokenId right = names.find(name.substr(cut));
      if (right >= 0) use(left, right);
    }
  };
  std::size_t count = 0;
  for (TokenId id = 0; id < names.size(); ++id)
    for_each_cut(id, [&](TokenId, TokenId) { ++count; });
  bpe.reserve_merges(count);
  bpe.merged_.resize(static_cast<std::size_t>(names.size()));
  for (TokenId id = 0; id < names.size(); ++id) {
    bpe.merged_[static_cast<std::size_t>(id)] = id;
    for_each_cut(id, [&](TokenId left, TokenId right) {
      bpe.set_rank(left, right, static_cast<std::uint32_t>(id));
    });
  }
  return bpe;
}

void Bpe::keep_whole(const std::vector<bool>& tokens) {
  std::vector<std::pair<std::string_view, std::int32_t>> entries;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id]) continue;
    const auto token = static_cast<TokenId>(id);
    entries.emplace_back(vocabulary_.name(token), token);
    score_ranks_[id] = kNoRank;
  }
  whole_ = ByteTrie(std::move(entries));
  kept_ = tokens;
}

std::optional<std::string> Bpe::add_merge(std::string_view first, std::string_view second) {
  const auto unknown = [](std::string_view piece) {
    return str("needs '", printable(piece), "', which the vocabulary lacks");
  };
  const TokenId left = vocabulary_.find(first);
  if (left < 0) return unknown(first);
  const TokenId right = vocabulary_.find(second);
  if (right < 0) return unknown(second);
  if (second.size() < subword_prefix_.size()) {
    return "has a second piece shorter than continuing_subword_prefix";
  }
  const std::string_view tail = second.substr(subword_prefix_.size());
  const TokenId merged = vocabulary_.find(first, tail);
  if (merged < 0) return unknown(str(first, tail));
  set_rank(left, right, static_cast<std::uint32_t>(merged_.size()));
  merged_.push_back(merged);
  return std::nullopt;
}

// A pair given twice has the rank of its last place, as in the reference.
void Bpe::set_rank(TokenId left, TokenId right, std::uint32_t rank) {
  const auto key = static_cast<std::uint64_t>(left) << 21 | static_cast<std::uint64_t>(right);
  const std::size_t mask = pairs_.size() - 1;
  std::size_t at = (key * 0x9E3779B97F4A7C15u >> 32) & mask;
  while (pairs_[at] != ~std::uint64_t{0} && pairs_[at] >> 22 != key) at = (at + 1) & mask;
  pairs_[at] = key << 22 | rank;
}

}  // namespace inferneo::text
