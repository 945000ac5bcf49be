#include "text/tokenizer.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/detokenizer.h"
#include "text/tokenizer/definition.h"
#include "text/tokenizer/tokenizer_parts.h"

namespace inferneo::text {
namespace {

// Bound: scratches kept for the next calls; more than this many threads at once make their own.
constexpr std::size_t kScratchCountMax = 32;
// Bound: a decoder may make a token longer than its name, but not without limit.
constexpr std::size_t kTokenTextSizeMax = std::size_t{1} << 30;

// utf8::is_valid with a fast path for the runs of ASCII that most text is made of.
bool is_valid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (at + 8 <= text.size()) {
      std::uint64_t word;
      std::memcpy(&word, text.data() + at, 8);
      if ((word & 0x8080808080808080u) == 0) {
        at += 8;
        continue;
      }
    }
    const utf8::Decoded next = utf8::decode(text, at);
    if (!next.valid) return false;
    at += next.size;
  }
  return true;
}

}  // namespace

struct Tokenizer::Impl : TokenizerDefinition {
  AddedTokenMatcher raw_matcher;         // searches the text as given
  AddedTokenMatcher normalized_matcher;  // searches normalized text

  // By id, for vocabulary and added tokens alike.
  struct Token {
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
    std::int32_t added = -1;  // index into `added`
  };
  std::vector<Token> tokens;
  std::string token_text;  // what the tokens stand for, one after the other

  std::mutex scratch_mutex;
  std::vector<std::unique_ptr<Bpe::Scratch>> scratches;

  // Takes the definition over.
  Status finish(TokenizerDefinition definition);
  void place_added_tokens();
  Status fill_token_bytes();
  [[nodiscard]] Status check_post_processor();
  void encode_text(std::string_view text, const EncodeOptions& options, std::vector<TokenId>& out);
  void encode_section(std::string_view text,
                      bool at_start,
                      const EncodeOptions& options,
                      PieceSink& words,
                      std::vector<TokenId>& out) const;
  std::unique_ptr<Bpe::Scratch> take_scratch();
  void give_scratch(std::unique_ptr<Bpe::Scratch> scratch);
  // The name that the decoder turns into text.
  [[nodiscard]] std::string_view decoded_name(TokenId id) const {
    const std::int32_t index = tokens[static_cast<std::size_t>(id)].added;
    if (index >= 0) return added[static_cast<std::size_t>(index)].normal_content;
    return model.vocabulary().name(id);
  }
  [[nodiscard]] const Token* token(TokenId id) const {
    return id >= 0 && static_cast<std::size_t>(id) < tokens.size()
               ? &tokens[static_cast<std::size_t>(id)]
               : nullptr;
  }
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

// Why tokenizer_config.json is not read: beside a tokenizer.json the reference ignores its
// add_bos_token and add_eos_token, and nothing else there changes ids.
Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const std::string& model_dir) {
  const std::string path = model_dir + "/tokenizer.json";
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const std::span<const std::byte> bytes = file.bytes();
  Result<std::unique_ptr<Tokenizer>> tokenizer =
      from_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!tokenizer) return std::move(tokenizer).error().with_context(path);
  return tokenizer;
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_json(std::string_view tokenizer_json) {
  if (tokenizer_json.size() > limits::kTokenizerFileSizeMax) {
    return resource_exhausted(str("tokenizer.json has ",
                                  tokenizer_json.size(),
                                  " bytes, at most ",
                                  limits::kTokenizerFileSizeMax));
  }
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(tokenizer_json.data(), tokenizer_json.size()).get(root)) {
    return corrupt_data(str("tokenizer.json is not valid JSON: ", simdjson::error_message(error)));
  }
  ASSIGN_OR_RETURN(TokenizerDefinition definition, define_from_json(JsonView(root, "")));
  auto impl = std::make_unique<Impl>();
  RETURN_IF_ERROR(impl->finish(std::move(definition)));
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(impl)));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_vocabulary(const TokenVocabulary& vocabulary) {
  ASSIGN_OR_RETURN(TokenizerDefinition definition, define_from_vocabulary(vocabulary));
  auto impl = std::make_unique<Impl>();
  RETURN_IF_ERROR(impl->finish(std::move(definition)));
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(impl)));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const ModelText& text) {
  if (!text.directory.empty()) return load(text.directory);
  if (text.vocabulary) return from_vocabulary(*text.vocabulary);
  return not_found("the model file holds no tokenizer (tokenizer.ggml.model)");
}

Status Tokenizer::Impl::finish(TokenizerDefinition definition) {
  static_cast<TokenizerDefinition&>(*this) = std::move(definition);
  model.prepare(pre_tokenizer.byte_level());
  place_added_tokens();
  RETURN_IF_ERROR(fill_token_bytes());
  return check_post_processor();
}

// Special tokens come first where several have the same text after normalization, as in the
// reference.
void Tokenizer::Impl::place_added_tokens() {
  for (const bool special : {true, false}) {
    for (AddedToken& token : added) {
      if (token.special != special) continue;
      token.normal_content = token.content;
      if (!token.normalized) {
        raw_matcher.add(token.content, token);
        continue;
      }
      bool at_start = true;
      normalizer.apply(token.normal_content, at_start);
      normalized_matcher.add(token.normal_content, token);
    }
  }
}

Status Tokenizer::Impl::check_post_processor() {
  const Vocabulary& vocabulary = model.vocabulary();
  const auto is_known = [&](TokenId id) {
    const Token* known = token(id);
    return known != nullptr && (known->added >= 0 || vocabulary.has(id));
  };
  for (const std::vector<TokenId>* ids : {&post_processor.prefix, &post_processor.suffix}) {
    for (const TokenId id : *ids) {
      if (is_known(id)) continue;
      return corrupt_data(str("post_processor adds token ", id, ", which the vocabulary lacks"))
          .with_where("post_processor");
    }
  }
  // A pair that cannot be made is none.
  const bool complete = std::ranges::all_of(post_processor.pair, [&](const PairPart& part) {
    return part.kind != PairPart::Kind::kToken || is_known(part.id);
  });
  if (!complete) post_processor.pair.clear();
  return ok_status();
}

Status Tokenizer::Impl::fill_token_bytes() {
  const Vocabulary& vocabulary = model.vocabulary();
  tokens.resize(static_cast<std::size_t>(vocabulary.size()));
  for (std::size_t i = 0; i < added.size(); ++i) {
    const auto id = static_cast<std::size_t>(added[i].id);
    if (id >= tokens.size()) tokens.resize(id + 1);
    tokens[id].added = static_cast<std::int32_t>(i);
  }
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    Token& token = tokens[id];
    const std::string_view name = decoded_name(static_cast<TokenId>(id));
    token.offset = static_cast<std::uint32_t>(token_text.size());
    if (!name.empty()) token_text += decoder.running_text(name);
    token.size = static_cast<std::uint32_t>(token_text.size()) - token.offset;
    if (token_text.size() > kTokenTextSizeMax) {
      return corrupt_data(str("the tokens decode to more than ", kTokenTextSizeMax, " bytes"));
    }
  }
  return ok_status();
}

namespace {

// The end of the pre-tokenizer chain: pieces become ids.
class Words final : public PieceSink {
 public:
  Words(const Bpe& model, Bpe::Scratch& scratch, std::vector<TokenId>& out)
      : model_(&model), scratch_(&scratch), out_(&out) {}
  void piece(std::string_view text, bool) override { model_->encode(text, *scratch_, *out_); }

 private:
  const Bpe* model_;
  Bpe::Scratch* scratch_;
  std::vector<TokenId>* out_;
};

}  // namespace

void Tokenizer::encode(std::string_view text,
                       const EncodeOptions& options,
                       std::vector<TokenId>& out) const {
  const PostProcessor& around = impl_->post_processor;
  if (options.add_special_tokens) {
    out.insert(out.end(), around.prefix.begin(), around.prefix.end());
  }
  if (is_valid_utf8(text)) {
    impl_->encode_text(text, options, out);
  } else {
    impl_->encode_text(utf8::sanitize(text), options, out);
  }
  if (options.add_special_tokens) {
    out.insert(out.end(), around.suffix.begin(), around.suffix.end());
  }
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<TokenId> out;
  out.reserve(text.size() / 3 + 8);
  encode(text, options, out);
  return out;
}

std::optional<TokenPair> Tokenizer::encode_pair(std::string_view first,
                                                std::string_view second) const {
  const std::vector<PairPart>& parts = impl_->post_processor.pair;
  if (parts.empty()) return std::nullopt;
  TokenPair pair;
  std::optional<std::size_t> second_begin;
  for (const PairPart& part : parts) {
    if (part.late && !second_begin) second_begin = pair.ids.size();
    if (part.kind == PairPart::Kind::kToken) {
      pair.ids.push_back(part.id);
    } else {
      encode(part.kind == PairPart::Kind::kFirst ? first : second,
             {.add_special_tokens = false},
             pair.ids);
    }
  }
  pair.second_begin = second_begin.value_or(pair.ids.size());
  return pair;
}

void Tokenizer::Impl::encode_text(std::string_view text,
                                  const EncodeOptions& options,
                                  std::vector<TokenId>& out) {
  std::unique_ptr<Bpe::Scratch> scratch = take_scratch();
  Words words(model, *scratch, out);
  if (!options.parse_added_tokens || raw_matcher.empty()) {
    encode_section(text, true, options, words, out);
  } else {
    std::vector<Section> sections;
    raw_matcher.split(text, sections);
    for (const Section& section : sections) {
      if (section.id >= 0) {
        out.push_back(section.id);
      } else {
        encode_section(section.text, section.text.data() == text.data(), options, words, out);
      }
    }
  }
  give_scratch(std::move(scratch));
}

void Tokenizer::Impl::encode_section(std::string_view text,
                                     bool at_start,
                                     const EncodeOptions& options,
                                     PieceSink& words,
                                     std::vector<TokenId>& out) const {
  std::string normalized;
  if (!normalizer.empty()) {
    normalized = text;
    normalizer.apply(normalized, at_start);
    text = normalized;
  }
  if (!options.parse_added_tokens || normalized_matcher.empty()) {
    pre_tokenizer.split(text, at_start, words);
    return;
  }
  std::vector<Section> sections;
  normalized_matcher.split(text, sections);
  for (const Section& section : sections) {
    if (section.id >= 0) {
      out.push_back(section.id);
    } else {
      pre_tokenizer.split(section.text, at_start && section.text.data() == text.data(), words);
    }
  }
}

std::unique_ptr<Bpe::Scratch> Tokenizer::Impl::take_scratch() {
  const std::lock_guard lock(scratch_mutex);
  if (scratches.empty()) return std::make_unique<Bpe::Scratch>();
  std::unique_ptr<Bpe::Scratch> scratch = std::move(scratches.back());
  scratches.pop_back();
  return scratch;
}

void Tokenizer::Impl::give_scratch(std::unique_ptr<Bpe::Scratch> scratch) {
  scratch->shrink();
  const std::lock_guard lock(scratch_mutex);
  if (scratches.size() < kScratchCountMax) scratches.push_back(std::move(scratch));
}

std::string Tokenizer::decode(const std::vector<TokenId>& ids, bool skip_special_tokens) const {
  std::string out;
  Detokenizer detokenizer(*this, skip_special_tokens);
  for (const TokenId id : ids) detokenizer.push(id, out);
  detokenizer.finish(out);
  return out;
}

std::int32_t Tokenizer::vocab_size() const {
  return static_cast<std::int32_t>(impl_->tokens.size());
}

bool Tokenizer::has_token(TokenId id) const {
  const Impl::Token* token = impl_->token(id);
  return token != nullptr && (token->added >= 0 || impl_->model.vocabulary().has(id));
}

std::string_view Tokenizer::token_bytes(TokenId id) const {
  const Impl::Token* token = impl_->token(id);
  if (token == nullptr) return {};
  return std::string_view(impl_->token_text).substr(token->offset, token->size);
}

std::string_view Tokenizer::token_name(TokenId id) const {
  const Impl::Token* token = impl_->token(id);
  if (token == nullptr) return {};
  if (token->added >= 0) return impl_->added[static_cast<std::size_t>(token->added)].content;
  return impl_->model.vocabulary().name(id);
}

bool Tokenizer::is_special(TokenId id) const {
  const Impl::Token* token = impl_->token(id);
  return token != nullptr && token->added >= 0 &&
         impl_->added[static_cast<std::size_t>(token->added)].special;
}

std::optional<TokenId> Tokenizer::find_token(std::string_view name) const {
  const TokenId id = impl_->model.vocabulary().find(name);
  if (id >= 0) return id;
  for (const AddedToken& token : impl_->added) {
    if (token.content == name) return token.id;
  }
  return std::nullopt;
}

bool Tokenizer::strips_leading_space() const { return impl_->decoder.strips_leading_space(); }

const DecoderChain& TokenizerParts::decoder(const Tokenizer& tokenizer) {
  return tokenizer.impl_->decoder;
}

std::string_view TokenizerParts::decoded_name(const Tokenizer& tokenizer, TokenId id) {
  return tokenizer.impl_->decoded_name(id);
}

}  // namespace inferneo::text
