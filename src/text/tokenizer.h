// Tokenizer: text to token ids and back, equal to Hugging Face `tokenizers` on tokenizer.json and
// on the same vocabulary in a GGUF file, to SentencePiece on its models and to tiktoken on its
// lists of ranks. Thread: any; immutable after load.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "request/token.h"
#include "text/model_text.h"

namespace inferneo::text {

struct EncodeOptions {
  // Add what the post-processor adds (a start token, for example).
  bool add_special_tokens = true;
  // Recognise added tokens in the text. Off, "<|im_start|>" typed by a user stays plain text.
  bool parse_added_tokens = true;
};

struct TokenizerDefinition;

// A pair of texts as models read it that compare two (rerankers). Shape: types [ids.size()].
struct EncodedPair {
  std::vector<TokenId> ids;
  std::vector<std::uint8_t> types;  // token types ("segments"): what is of which text
};

class Tokenizer {
 public:
  // Reads the tokenizer of a model directory: tokenizer.json, else a SentencePiece model
  // (tokenizer.model, spiece.model), else a list of ranks (*.tiktoken), these two with what
  // tokenizer_config.json says. Failures: not_found, corrupt_data with the place, unsupported
  // naming the part.
  static Result<std::unique_ptr<Tokenizer>> load(const std::string& model_dir);
  // Of an artefact; nothing of `text` is kept. Failures: those above and of from_vocabulary.
  static Result<std::unique_ptr<Tokenizer>> load(const ModelText& text);
  // Failures: unsupported naming model or pre-tokenizer with the supported ones, corrupt_data
  // naming the key and the index.
  static Result<std::unique_ptr<Tokenizer>> from_vocabulary(const TokenVocabulary& vocabulary);
  // From the document itself.
  static Result<std::unique_ptr<Tokenizer>> from_json(std::string_view tokenizer_json);
  // From a SentencePiece model, or a list of ranks of the given name, and the text of the
  // tokenizer_config.json beside it, which may be empty.
  static Result<std::unique_ptr<Tokenizer>> from_file(std::string_view file,
                                                      std::string_view name,
                                                      std::string_view tokenizer_config);

  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // `text` need not be valid UTF-8; invalid sequences are encoded as U+FFFD. Linear time.
  void encode(std::string_view text, const EncodeOptions& options, std::vector<TokenId>& out) const;
  [[nodiscard]] std::vector<TokenId> encode(std::string_view text,
                                            const EncodeOptions& options = {}) const;

  // Both texts in the form that the model was trained on ("[CLS] a [SEP] b [SEP]"): that of the
  // post-processor, else the second behind the first. Equal to tokenizer(first, second) of
  // Hugging Face. Without add_special_tokens only the ids of the texts, types 0 and 1.
  [[nodiscard]] EncodedPair encode_pair(std::string_view first,
                                        std::string_view second,
                                        const EncodeOptions& options = {}) const;

  // Whole sequence at once; invalid UTF-8 becomes U+FFFD. Ids out of range are left out.
  [[nodiscard]] std::string decode(const std::vector<TokenId>& ids, bool skip_special_tokens) const;

  // One past the largest id.
  [[nodiscard]] std::int32_t vocab_size() const;
  // True for ids that the vocabulary holds.
  [[nodiscard]] bool has_token(TokenId id) const;
  // Bytes that the token stands for in running text. Borrowed from this object.
  [[nodiscard]] std::string_view token_bytes(TokenId id) const;
  // The token as written in the vocabulary ("Ġthe").
  [[nodiscard]] std::string_view token_name(TokenId id) const;
  [[nodiscard]] bool is_special(TokenId id) const;
  [[nodiscard]] std::optional<TokenId> find_token(std::string_view name) const;

  // True when decoding drops one leading space of the whole text (SentencePiece style).
  [[nodiscard]] bool strips_leading_space() const;

 private:
  friend struct TokenizerParts;
  struct Impl;
  static Result<std::unique_ptr<Tokenizer>> from_definition(TokenizerDefinition definition);
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace inferneo::text
