// The BPE model: one piece of pre-tokenized text to token ids. Merges run in the order of their
// rank, leftmost first, as in Hugging Face tokenizers: by scanning for short pieces, through a heap
// for long ones, so that a piece of n bytes costs O(n log n).
// Thread: any; immutable after load.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/json_view.h"
#include "text/tokenizer/token_model.h"
#include "text/tokenizer/vocabulary.h"

namespace inferneo::text {

class Bpe final : public TokenModel {
 public:
  // Reads `model` of tokenizer.json.
  static Result<Bpe> parse(const JsonView& model);
  // The form of GPT-2: a merge is written "left right", in the order of their rank. By id,
  // `whole_words` says which tokens a piece becomes without merges (ignore_merges of
  // tokenizer.json); it may be empty: none. Failures: corrupt_data with the index of the merge.
  static Result<Bpe> from_merges(Vocabulary vocabulary,
                                 std::span<const std::string_view> merges,
                                 std::vector<bool> whole_words);
  // The form of SentencePiece: neighbours merge when both together are a token, that of the highest
  // score first, the leftmost of equals. Shape: scores and mergeable [vocabulary.size()]; tokens
  // that are not mergeable take no part. Characters without a token become bytes, or `unknown`.
  // Precondition: no score is NaN.
  static Bpe from_scores(Vocabulary vocabulary,
                         std::span<const float> scores,
                         const std::vector<bool>& mergeable,
                         TokenId unknown);

  // The form of tiktoken: ids are ranks, names are spelled in the byte-level alphabet, neighbours
  // merge when both together are a token, that of the lowest rank first; a piece that is a token
  // needs no merges.
  static Bpe from_ranks(Vocabulary vocabulary);

  // Of a model of scores: these tokens are found in the text before anything merges, the longest
  // first, and merge with nothing. Shape: [vocabulary.size()].
  void keep_whole(const std::vector<bool>& tokens);
  void set_byte_fallback(bool on) { byte_fallback_ = on; }

  void prepare(bool byte_level) override;

 protected:
  void compute(std::string_view word, EncodeScratch& scratch) const override;
  [[nodiscard]] std::size_t first_part(std::string_view piece) const override;

 private:
  static constexpr std::uint32_t kNoRank = 0xFFFFFFFFu;

  Status parse_options(const JsonView& model);
  Status parse_merges(const JsonView& merges);
  void reserve_merges(std::size_t count);
  // What is wrong with the merge, if anything.
  std::optional<std::string> add_merge(std::string_view first, std::string_view second);

  // The rank of merging two neighbours, or kNoRank.
  [[nodiscard]] std::uint32_t rank_of(TokenId left, TokenId right) const;
  void set_rank(TokenId left, TokenId right, std::uint32_t rank);
  [[nodiscard]] std::uint32_t rank_by_score(TokenId left, TokenId right) const;
  // What the two become. Precondition: rank is theirs.
  [[nodiscard]] TokenId merged(std::uint32_t rank, TokenId left, TokenId right) const {
    return score_ranks_.empty() ? merged_[rank]
                                : vocabulary_.find(vocabulary_.name(left), vocabulary_.name(right));
  }
  [[nodiscard]] bool is_cut_before_meta() const;

  [[nodiscard]] TokenId whole_word(std::string_view word) const;
  void start_symbols(std::string_view word, std::vector<TokenId>& ids) const;
  void start_symbol(std::string_view symbol,
                    bool first,
                    bool last,
                    std::vector<TokenId>& ids,
                    TokenId& pending_unknown) const;
  void merge_by_scan(EncodeScratch& scratch) const;
  void merge_by_heap(EncodeScratch& scratch) const;

  // Open addressing; an entry packs left id (21 bits), right id (21 bits) and rank (22 bits).
  std::vector<std::uint64_t> pairs_;
  std::vector<TokenId> merged_;  // by rank
  // Of a model of scores, by id: how early a merge into the token comes, or kNoRank. Such a model
  // has no pairs: which neighbours merge follows from their names.
  std::vector<std::uint32_t> score_ranks_;

  ByteTrie whole_;          // of keep_whole()
  std::vector<bool> kept_;  // the same by id

  bool byte_level_ = false;
  bool byte_fallback_ = false;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
  std::vector<bool> whole_words_;  // by id, for ignore_merges; empty: all
  TokenId unknown_ = -1;
  std::string subword_prefix_;
  std::string word_suffix_;
  std::array<TokenId, 256> byte_ids_{};      // of the character for a byte; byte-level only
  std::array<TokenId, 256> fallback_ids_{};  // of "<0x00>" ..
  std::array<TokenId, 128> ascii_ids_{};
  Vocabulary spelled_;  // byte-level spelling of the tokens; only for ignore_merges
  // True when no token spans from another character into U+2581: text may be cut before it.
  bool cut_before_meta_ = false;
};

}  // namespace inferneo::text
