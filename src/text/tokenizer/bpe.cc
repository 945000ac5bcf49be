#include "text/tokenizer/bpe.h"

#include <algorithm>
#include <functional>

#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"

namespace inferneo::text {
namespace {

// Below this many symbols a scan per merge beats the heap.
constexpr std::size_t kScanCountMax = 40;
constexpr std::uint32_t kNone = 0xFFFFFFFFu;
constexpr std::string_view kMeta = "\xE2\x96\x81";  // U+2581

std::string spell(std::uint8_t byte) {
  std::string out;
  utf8::append(out, byte_to_char(byte));
  return out;
}

// The first place after the start where U+2581 follows another character.
std::size_t next_word(std::string_view text) {
  std::size_t at = 0;
  while (text.substr(at).starts_with(kMeta)) at += kMeta.size();
  return std::min(text.find(kMeta, at), text.size());
}

}  // namespace

void Bpe::prepare(bool byte_level) {
  byte_level_ = byte_level;
  for (unsigned byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = vocabulary_.find(spell(static_cast<std::uint8_t>(byte)));
    fallback_ids_[byte] = vocabulary_.find(fallback_name(static_cast<std::uint8_t>(byte)));
  }
  for (unsigned c = 0; c < ascii_ids_.size(); ++c) {
    ascii_ids_[c] = vocabulary_.find(std::string(1, static_cast<char>(c)));
  }
  cut_before_meta_ = !byte_level && is_cut_before_meta();
  if (!ignore_merges_ || !byte_level) return;
  spelled_.reserve(vocabulary_.token_count(), 0);
  for (TokenId id = 0; id < vocabulary_.size(); ++id) {
    if (!vocabulary_.has(id)) continue;
    if (!whole_words_.empty() && !whole_words_[static_cast<std::size_t>(id)]) continue;
    const std::optional<std::string> bytes = byte_level_bytes(vocabulary_.name(id));
    if (bytes) spelled_.add(*bytes, id);
  }
}

bool Bpe::is_cut_before_meta() const {
  const bool plain = subword_prefix_.empty() && word_suffix_.empty() && !ignore_merges_;
  if (!plain || vocabulary_.find(kMeta) < 0) return false;
  const auto spans_words = [this](TokenId id) {
    const std::string_view name = vocabulary_.name(id);
    return next_word(name) < name.size();
  };
  for (std::size_t id = 0; id < score_ranks_.size(); ++id) {
    const bool found_in_text = score_ranks_[id] != kNoRank || (!kept_.empty() && kept_[id]);
    if (found_in_text && spans_words(static_cast<TokenId>(id))) return false;
  }
  return std::none_of(merged_.begin(), merged_.end(), spans_words);
}

std::size_t Bpe::first_part(std::string_view piece) const {
  return cut_before_meta_ ? next_word(piece) : piece.size();
}

void Bpe::compute(std::string_view word, EncodeScratch& scratch) const {
  scratch.ids.clear();
  if (const TokenId id = whole_word(word); id >= 0) {
    scratch.ids.push_back(id);
    return;
  }
  start_symbols(word, scratch.ids);
  if (scratch.ids.size() <= kScanCountMax) {
    merge_by_scan(scratch);
  } else {
    merge_by_heap(scratch);
  }
}

TokenId Bpe::whole_word(std::string_view word) const {
  if (!ignore_merges_) return -1;
  return byte_level_ ? spelled_.find(word) : vocabulary_.find(word);
}

void Bpe::start_symbols(std::string_view word, std::vector<TokenId>& ids) const {
  const bool plain = subword_prefix_.empty() && word_suffix_.empty();
  TokenId pending = -1;
  for (std::size_t at = 0; at < word.size();) {
    if (!whole_.empty()) {
      const ByteTrie::Match kept = whole_.longest_prefix(word.substr(at));
      if (kept.size > 0) {
        if (pending >= 0) ids.push_back(pending);
        pending = -1;
        ids.push_back(kept.value);
        at += kept.size;
        continue;
      }
    }
    const auto byte = static_cast<std::uint8_t>(word[at]);
    const std::size_t size = byte_level_ || byte < 0x80 ? 1 : utf8::decode(word, at).size;
    if (plain && pending < 0 && size == 1) {
      const TokenId id = byte_level_ ? byte_ids_[byte] : byte < 0x80 ? ascii_ids_[byte] : -1;
      if (id >= 0) {
        ids.push_back(id);
        at += 1;
        continue;
      }
    }
    const bool last = at + size == word.size();
    if (byte_level_) {
      start_symbol(spell(byte), at == 0, last, ids, pending);
    } else {
      start_symbol(word.substr(at, size), at == 0, last, ids, pending);
    }
    at += size;
  }
  if (pending >= 0) ids.push_back(pending);
}

// `pending_unknown` is the unknown token that waits for the next known one, so that neighbours can
// be fused. Why not flushed before bytes: the reference does not, and ids must be equal.
void Bpe::start_symbol(std::string_view symbol,
                       bool first,
                       bool last,
                       std::vector<TokenId>& ids,
                       TokenId& pending_unknown) const {
  std::string decorated;
  if ((!first && !subword_prefix_.empty()) || (last && !word_suffix_.empty())) {
    if (!first) decorated += subword_prefix_;
    decorated += symbol;
    if (last) decorated += word_suffix_;
    symbol = decorated;
  }
  if (const TokenId id = vocabulary_.find(symbol); id >= 0) {
    if (pending_unknown >= 0) ids.push_back(pending_unknown);
    pending_unknown = -1;
    ids.push_back(id);
    return;
  }
  if (byte_fallback_) {
    const auto fallback = [this](char byte) {
      return fallback_ids_[static_cast<std::uint8_t>(byte)];
    };
    if (std::all_of(symbol.begin(), symbol.end(), [&](char c) { return fallback(c) >= 0; })) {
      for (const char byte : symbol) ids.push_back(fallback(byte));
      return;
    }
  }
  if (unknown_ < 0) return;
  if (pending_unknown >= 0 && !fuse_unknown_) ids.push_back(pending_unknown);
  pending_unknown = unknown_;
}

std::uint32_t Bpe::rank_by_score(TokenId left, TokenId right) const {
  const auto rank = [this](TokenId id) { return score_ranks_[static_cast<std::size_t>(id)]; };
  if (rank(left) == kNoRank || rank(right) == kNoRank) return kNoRank;
  const TokenId both = vocabulary_.find(vocabulary_.name(left), vocabulary_.name(right));
  return both < 0 ? kNoRank : rank(both);
}

std::uint32_t Bpe::rank_of(TokenId left, TokenId right) const {
  if (!score_ranks_.empty()) return rank_by_score(left, right);
  if (pairs_.empty()) return kNoRank;
  const auto key = static_cast<std::uint64_t>(left) << 21 | static_cast<std::uint64_t>(right);
  const std::size_t mask = pairs_.size() - 1;
  for (std::size_t at = (key * 0x9E3779B97F4A7C15u >> 32) & mask;; at = (at + 1) & mask) {
    const std::uint64_t entry = pairs_[at];
    if (entry >> 22 == key) return static_cast<std::uint32_t>(entry & 0x3FFFFF);
    if (entry == ~std::uint64_t{0}) return kNoRank;
  }
}

void Bpe::merge_by_scan(EncodeScratch& scratch) const {
  std::vector<TokenId>& ids = scratch.ids;
  std::array<std::uint32_t, kScanCountMax> ranks;
  std::size_t count = ids.size();
  if (count < 2) return;
  for (std::size_t i = 0; i + 1 < count; ++i) ranks[i] = rank_of(ids[i], ids[i + 1]);
  while (count > 1) {
    const auto best = std::min_element(ranks.begin(), ranks.begin() + (count - 1));
    if (*best == kNoRank) break;
    const auto at = static_cast<std::size_t>(best - ranks.begin());
    ids[at] = merged(*best, ids[at], ids[at + 1]);
    std::copy(ids.begin() + static_cast<std::ptrdiff_t>(at) + 2,
              ids.begin() + static_cast<std::ptrdiff_t>(count),
              ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    std::copy(best + 1, ranks.begin() + (count - 1), best);
    --count;
    if (at > 0) ranks[at - 1] = rank_of(ids[at - 1], ids[at]);
    if (at + 1 < count) ranks[at] = rank_of(ids[at], ids[at + 1]);
  }
  ids.resize(count);
}

// A heap entry is rank << 32 | position; it is stale when the pair at the position has another rank
// by now. `ranks[i]` is the rank of symbol i with its right neighbour.
void Bpe::merge_by_heap(EncodeScratch& scratch) const {
  std::vector<TokenId>& ids = scratch.ids;
  std::vector<std::uint32_t>& ranks = scratch.ranks;
  std::vector<std::uint32_t>& next = scratch.next;
  std::vector<std::uint32_t>& previous = scratch.previous;
  std::vector<std::uint64_t>& heap = scratch.heap;
  const auto count = static_cast<std::uint32_t>(ids.size());
  ranks.assign(count, kNoRank);
  next.resize(count);
  previous.resize(count);
  heap.clear();
  for (std::uint32_t i = 0; i < count; ++i) {
    next[i] = i + 1 < count ? i + 1 : kNone;
    previous[i] = i > 0 ? i - 1 : kNone;
    if (i + 1 < count) ranks[i] = rank_of(ids[i], ids[i + 1]);
    if (ranks[i] != kNoRank) heap.push_back(static_cast<std::uint64_t>(ranks[i]) << 32 | i);
  }
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  const auto rank_again = [&](std::uint32_t i) {
    ranks[i] = next[i] == kNone ? kNoRank : rank_of(ids[i], ids[next[i]]);
    if (ranks[i] == kNoRank) return;
    heap.push_back(static_cast<std::uint64_t>(ranks[i]) << 32 | i);
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const auto at = static_cast<std::uint32_t>(heap.back());
    const auto rank = static_cast<std::uint32_t>(heap.back() >> 32);
    heap.pop_back();
    if (ranks[at] != rank) continue;
    const std::uint32_t right = next[at];
    ids[at] = merged(rank, ids[at], ids[right]);
    ranks[right] = kNoRank;
    next[at] = next[right];
    if (next[at] != kNone) previous[next[at]] = at;
    if (previous[at] != kNone) rank_again(previous[at]);
    rank_again(at);
  }
  std::uint32_t kept = 0;
  for (std::uint32_t i = 0; i != kNone && count > 0; i = next[i]) ids[kept++] = ids[i];
  ids.resize(kept);
}

}  // namespace inferneo::text
