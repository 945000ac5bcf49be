#include "text/tokenizer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <utility>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/detokenizer.h"
#include "text/tokenizer/definition.h"
#include "text/tokenizer/token_files.h"
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
  std::vector<std::unique_ptr<EncodeScratch>> scratches;

  // Takes the definition over.
  Status finish(TokenizerDefinition definition);
  void place_added_tokens();
  Status fill_token_bytes();
  [[nodiscard]] Status check_post_processor() const;
  void encode_text(std::string_view text, const EncodeOptions& options, std::vector<TokenId>& out);
  void encode_section(std::string_view text,
                      bool at_start,
                      const EncodeOptions& options,
                      PieceSink& words,
                      std::vector<TokenId>& out) const;
  std::unique_ptr<EncodeScratch> take_scratch();
  void give_scratch(std::unique_ptr<EncodeScratch> scratch);
  // The name that the decoder turns into text.
  [[nodiscard]] std::string_view decoded_name(TokenId id) const {
    const std::int32_t index = tokens[static_cast<std::size_t>(id)].added;
    if (index >= 0) return added[static_cast<std::size_t>(index)].normal_content;
    return model->vocabulary().name(id);
  }
  [[nodiscard]] const Token* token(TokenId id) const {
    return id >= 0 && static_cast<std::size_t>(id) < tokens.size()
               ? &tokens[static_cast<std::size_t>(id)]
               : nullptr;
  }
};

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::~Tokenizer() = default;

namespace {

// The files in which a model directory may hold its tokenizer, the best first.
constexpr std::array<std::string_view, 4> kModelFiles = {
    "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model"};

std::string_view text_of(const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Status check_size(std::string_view name, std::size_t size) {
  if (size <= limits::kTokenizerFileSizeMax) return ok_status();
  return resource_exhausted(
      str(name, " has ", size, " bytes, at most ", limits::kTokenizerFileSizeMax));
}

// The name of a list of ranks in the directory, or empty.
std::string find_ranks(const std::string& model_dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(model_dir, error)) {
    if (entry.path().extension() == ".tiktoken" || entry.path().filename() == "tiktoken.model") {
      names.push_back(entry.path().filename().string());
    }
  }
  return names.empty() ? std::string() : *std::min_element(names.begin(), names.end());
}

// The whole file, or nothing when there is none.
Result<std::string> read_if_present(const std::string& path) {
  if (!std::filesystem::exists(path)) return std::string();
  return read_file(path, limits::kConfigFileSizeMax);
}

Result<TokenizerDefinition> define_from_file(std::string_view text,
                                             std::string_view name,
                                             std::string_view tokenizer_config,
                                             std::string_view config) {
  RETURN_IF_ERROR(check_size(name, text.size()));
  ASSIGN_OR_RETURN(const TokenFileSettings settings,
                   TokenFileSettings::parse(tokenizer_config, config));
  return looks_like_ranks(text) ? define_from_ranks(text, name, settings)
                                : define_from_sentencepiece(text, settings);
}

Result<TokenizerDefinition> define_from_file(const std::string& model_dir,
                                             const std::string& name,
                                             const MappedFile& file) {
  ASSIGN_OR_RETURN(const std::string tokenizer_config,
                   read_if_present(model_dir + "/tokenizer_config.json"));
  ASSIGN_OR_RETURN(const std::string config, read_if_present(model_dir + "/config.json"));
  return define_from_file(text_of(file), name, tokenizer_config, config);
}

}  // namespace

// Why tokenizer_config.json is not read beside a tokenizer.json: the reference ignores its
// add_bos_token and add_eos_token there, and nothing else in it changes ids.
Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const std::string& model_dir) {
  const std::string path = model_dir + "/tokenizer.json";
  Result<MappedFile> document = MappedFile::open(path);
  if (document) {
    Result<std::unique_ptr<Tokenizer>> tokenizer = from_json(text_of(*document));
    if (!tokenizer) return std::move(tokenizer).error().with_context(path);
    return tokenizer;
  }
  if (document.status().code() != StatusCode::kNotFound) return document.status();
  std::vector<std::string> names(kModelFiles.begin(), kModelFiles.end());
  if (std::string ranks = find_ranks(model_dir); !ranks.empty()) names.push_back(std::move(ranks));
  for (const std::string& name : names) {
    const Result<MappedFile> file = MappedFile::open(model_dir + "/" + name);
    if (!file && file.status().code() == StatusCode::kNotFound) continue;
    if (!file) return file.status();
    Result<TokenizerDefinition> definition = define_from_file(model_dir, name, *file);
    if (!definition) return std::move(definition).error().with_context(model_dir + "/" + name);
    return from_definition(std::move(definition).value());
  }
  return Status(document.status())
      .with_hint(
          "a tokenizer may also be in tokenizer.model, spiece.model, "
          "sentencepiece.bpe.model or a .tiktoken file");
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_file(std::string_view file,
                                                        std::string_view name,
                                                        std::string_view tokenizer_config) {
  ASSIGN_OR_RETURN(TokenizerDefinition definition,
                   define_from_file(file, name, tokenizer_config, ""));
  return from_definition(std::move(definition));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_definition(TokenizerDefinition definition) {
  auto impl = std::make_unique<Impl>();
  RETURN_IF_ERROR(impl->finish(std::move(definition)));
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(impl)));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_json(std::string_view tokenizer_json) {
  RETURN_IF_ERROR(check_size("tokenizer.json", tokenizer_json.size()));
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(tokenizer_json.data(), tokenizer_json.size()).get(root)) {
    return corrupt_data(str("tokenizer.json is not valid JSON: ", simdjson::error_message(error)));
  }
  ASSIGN_OR_RETURN(TokenizerDefinition definition, define_from_json(JsonView(root, "")));
  return from_definition(std::move(definition));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::from_vocabulary(const TokenVocabulary& vocabulary) {
  ASSIGN_OR_RETURN(TokenizerDefinition definition, define_from_vocabulary(vocabulary));
  return from_definition(std::move(definition));
}

Result<std::unique_ptr<Tokenizer>> Tokenizer::load(const ModelText& text) {
  if (!text.directory.empty()) return load(text.directory);
  if (text.vocabulary) return from_vocabulary(*text.vocabulary);
  return not_found("the model file holds no tokenizer (tokenizer.ggml.model)");
}

Status Tokenizer::Impl::finish(TokenizerDefinition definition) {
  static_cast<TokenizerDefinition&>(*this) = std::move(definition);
  model->prepare(pre_tokenizer.byte_level());
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

Status Tokenizer::Impl::check_post_processor() const {
  const Vocabulary& vocabulary = model->vocabulary();
  std::vector<TokenId> ids = post_processor.prefix;
  ids.insert(ids.end(), post_processor.suffix.begin(), post_processor.suffix.end());
  for (const PairPart& part : post_processor.pair) {
    if (part.kind == PairPart::Kind::kToken) ids.push_back(part.id);
  }
  for (const TokenId id : ids) {
    const Token* known = token(id);
    if (known != nullptr && (known->added >= 0 || vocabulary.has(id))) continue;
    return corrupt_data(str("post_processor adds token ", id, ", which the vocabulary lacks"))
        .with_where("post_processor");
  }
  return ok_status();
}

Status Tokenizer::Impl::fill_token_bytes() {
  const Vocabulary& vocabulary = model->vocabulary();
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
  Words(const TokenModel& model, EncodeScratch& scratch, std::vector<TokenId>& out)
      : model_(&model), scratch_(&scratch), out_(&out) {}
  void piece(std::string_view text, bool) override { model_->encode(text, *scratch_, *out_); }

 private:
  const TokenModel* model_;
  EncodeScratch* scratch_;
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

EncodedPair Tokenizer::encode_pair(std::string_view first,
                                   std::string_view second,
                                   const EncodeOptions& options) const {
  static const PostProcessor kBare;
  const EncodeOptions bare = {.add_special_tokens = false,
                              .parse_added_tokens = options.parse_added_tokens};
  const PostProcessor& around = options.add_special_tokens ? impl_->post_processor : kBare;
  EncodedPair out;
  for (const PairPart& part : around.pair) {
    if (part.kind == PairPart::Kind::kToken) {
      out.ids.push_back(part.id);
    } else {
      encode(part.kind == PairPart::Kind::kFirst ? first : second, bare, out.ids);
    }
    out.types.resize(out.ids.size(), part.type);
  }
  return out;
}

void Tokenizer::Impl::encode_text(std::string_view text,
                                  const EncodeOptions& options,
                                  std::vector<TokenId>& out) {
  std::unique_ptr<EncodeScratch> scratch = take_scratch();
  Words words(*model, *scratch, out);
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

std::unique_ptr<EncodeScratch> Tokenizer::Impl::take_scratch() {
  const std::lock_guard lock(scratch_mutex);
  if (scratches.empty()) return std::make_unique<EncodeScratch>();
  std::unique_ptr<EncodeScratch> scratch = std::move(scratches.back());
  scratches.pop_back();
  return scratch;
}

void Tokenizer::Impl::give_scratch(std::unique_ptr<EncodeScratch> scratch) {
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
  return token != nullptr && (token->added >= 0 || impl_->model->vocabulary().has(id));
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
  return impl_->model->vocabulary().name(id);
}

bool Tokenizer::is_special(TokenId id) const {
  const Impl::Token* token = impl_->token(id);
  return token != nullptr && token->added >= 0 &&
         impl_->added[static_cast<std::size_t>(token->added)].special;
}

std::optional<TokenId> Tokenizer::find_token(std::string_view name) const {
  const TokenId id = impl_->model->vocabulary().find(name);
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
