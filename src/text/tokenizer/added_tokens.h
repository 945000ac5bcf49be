// Added tokens: texts that are recognised in the input before (or after) normalization and become
// one id each. The leftmost match wins, the longest of equal starts.
// Thread: any; immutable after load. Ownership: owns the contents.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/json_view.h"
#include "text/tokenizer/vocabulary.h"

namespace inferneo::text {

struct AddedToken {
  std::string content;
  std::string normal_content;  // what the token decodes to: normalized if it is matched so
  TokenId id = -1;
  bool special = false;
  bool normalized = false;
  bool lstrip = false;
  bool rstrip = false;
  bool single_word = false;
};

// A stretch of text: an added token, or text between them (id < 0).
struct Section {
  std::string_view text;
  TokenId id = -1;
};

// Finds a set of added tokens in a text. Bound: a token has at most 1,024 bytes, so that a search
// is linear in the text.
class AddedTokenMatcher {
 public:
  // `pattern` is the content as it appears in the searched text.
  void add(std::string_view pattern, const AddedToken& token);
  [[nodiscard]] bool empty() const { return tokens_.empty(); }

  // Appends the sections of `text`, in order. An empty text has none.
  void split(std::string_view text, std::vector<Section>& out) const;

 private:
  struct Match {
    std::size_t size = 0;
    const AddedToken* token = nullptr;
  };

  [[nodiscard]] Match longest_at(std::string_view text, std::size_t at) const;
  [[nodiscard]] std::size_t next_start(std::string_view text, std::size_t at) const;

  // A trie: the node after (node << 8 | byte), and the token that ends at a node.
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
  std::vector<std::int32_t> token_at_node_ = {-1};
  std::vector<AddedToken> tokens_;
  bool starts_[256] = {};
  int only_start_ = -1;  // the first byte of all tokens, if they share it ('<' of most models)
};

// Reads one entry, without its id. Failures: corrupt_data and unsupported with the place.
Result<AddedToken> parse_added_token(const JsonView& entry, TokenId id);

// Reads `added_tokens` of tokenizer.json. A token that `vocabulary` holds takes its id from there;
// the others are numbered on from the vocabulary, whatever id the document gives, as in the
// reference.
Result<std::vector<AddedToken>> parse_added_tokens(const JsonView& document,
                                                   const Vocabulary& vocabulary);

}  // namespace inferneo::text
