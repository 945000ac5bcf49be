// The WordLevel model: a piece is a token as a whole or unknown.
// Spec: Hugging Face tokenizers, models/wordlevel.
#include "base/str.h"
#include "text/tokenizer/token_model.h"

namespace inferneo::text {
namespace {

class WordLevel final : public TokenModel {
 public:
  WordLevel(Vocabulary vocabulary, TokenId unknown)
      : TokenModel(std::move(vocabulary)), unknown_(unknown) {}

  void prepare(bool) override {}

 protected:
  void compute(std::string_view word, EncodeScratch& scratch) const override {
    const TokenId id = vocabulary_.find(word);
    scratch.ids.assign(1, id >= 0 ? id : unknown_);
  }

 private:
  TokenId unknown_;
};

}  // namespace

Result<TokenModelPtr> parse_word_level(const JsonView& model) {
  Vocabulary vocabulary;
  ASSIGN_OR_RETURN(const JsonView vocab, model.member("vocab"));
  RETURN_IF_ERROR(parse_vocabulary(vocab, vocabulary));
  ASSIGN_OR_RETURN(const std::string_view name, model.string_member("unk_token"));
  const TokenId unknown = vocabulary.find(name);
  if (unknown < 0) {
    return model.corrupt(
        str("has the unk_token '", printable(name), "', which the vocabulary lacks"));
  }
  return TokenModelPtr(std::make_unique<WordLevel>(std::move(vocabulary), unknown));
}

}  // namespace inferneo::text
