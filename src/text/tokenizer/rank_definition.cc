// The tokenizer of a list of ranks, as tiktoken has them: byte strings, of which the pair that is
// the lowest-ranked string together merges first; a piece that is in the list needs no merges.
// Spec: tiktoken, src/lib.rs and load.py.
#include <algorithm>
#include <charconv>

#include "base/base64.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/tokenizer/bpe.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/known_pre.h"
#include "text/tokenizer/token_files.h"

namespace inferneo::text {
namespace {

// Names of files and of model types (config.json) with what splits their text (known_pre.h).
struct KnownFile {
  std::string_view part;
  std::string_view pre;
};
constexpr KnownFile kKnownFiles[] = {
    {"cl100k", "dbrx"},
    {"gpt2", "gpt-2"},
    {"o200k", "gpt-4o"},
    {"p50k", "gpt-2"},
    {"qwen", "qwen2"},
    {"r50k", "gpt-2"},
};
constexpr KnownFile kKnownTypes[] = {
    {"dbrx", "dbrx"},
    {"gpt_oss", "gpt-4o"},
    {"llama", "llama-bpe"},
    {"llama4", "llama4"},
    {"mllama", "llama-bpe"},
    {"phi3", "dbrx"},
    {"qwen", "qwen2"},
};

std::string spell(std::string_view bytes) {
  std::string name;
  for (const char byte : bytes) utf8::append(name, byte_to_char(static_cast<std::uint8_t>(byte)));
  return name;
}

Status corrupt_line(std::size_t line, std::string_view what) {
  return corrupt_data(str("line ", line, " of the list of ranks ", what));
}

Status read_line(std::string_view text, std::size_t line, Vocabulary& vocabulary) {
  const std::size_t space = text.find(' ');
  if (space == text.npos) return corrupt_line(line, "is not a token and its rank");
  const auto bytes = decode_base64(text.substr(0, space));
  if (!bytes || bytes->empty()) return corrupt_line(line, "has a token that is not base64");
  const std::string_view digits = text.substr(space + 1);
  std::int64_t rank = -1;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || rank < 0 ||
      static_cast<std::uint64_t>(rank) >= limits::kVocabSizeMax) {
    return corrupt_line(line, str("has no rank from 0 to ", limits::kVocabSizeMax - 1));
  }
  switch (vocabulary.add(spell(*bytes), static_cast<TokenId>(rank))) {
    case Vocabulary::AddOutcome::kAdded:
      return ok_status();
    case Vocabulary::AddOutcome::kDuplicateName:
      return corrupt_line(line, "repeats a token");
    case Vocabulary::AddOutcome::kDuplicateId:
      return corrupt_line(line, str("repeats rank ", rank));
  }
  return ok_status();
}

Result<Vocabulary> read_ranks(std::string_view file) {
  Vocabulary vocabulary;
  std::size_t line = 0;
  while (!file.empty()) {
    const std::size_t end = std::min(file.find('\n'), file.size());
    std::string_view text = file.substr(0, end);
    file.remove_prefix(std::min(end + 1, file.size()));
    ++line;
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.empty()) continue;
    RETURN_IF_ERROR(read_line(text, line, vocabulary));
  }
  if (vocabulary.token_count() == 0) return corrupt_data("the list of ranks is empty");
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    if (vocabulary.find(spell({&c, 1})) >= 0) continue;
    return corrupt_data(str("the list of ranks lacks the byte ", byte));
  }
  return vocabulary;
}

// Adds the steps that cut text, by the file's name, the configuration or the kind of model.
Status add_split(std::string_view name, const TokenFileSettings& settings, PreTokenizerChain& out) {
  if (settings.pattern) return out.add_pattern(*settings.pattern);
  std::string_view pre;
  for (const KnownFile& known : kKnownFiles) {
    if (name.find(known.part) != name.npos) pre = known.pre;
  }
  for (const KnownFile& known : kKnownTypes) {
    if (pre.empty() && settings.model_type == known.part) pre = known.pre;
  }
  const KnownPre* known = pre.empty() ? nullptr : find_known_pre(pre);
  if (known == nullptr) {
    return unsupported(str("the file '",
                           printable(name),
                           "' does not say how text is split, and neither does the model type '",
                           printable(settings.model_type),
                           "'"))
        .with_hint(
            "put the pattern into tokenizer_config.json as pat_str, or convert to "
            "tokenizer.json; known are files named cl100k, gpt2, o200k, p50k, qwen, r50k and "
            "the model types dbrx, gpt_oss, llama, llama4, mllama, phi3, qwen");
  }
  for (const std::string_view pattern : known->patterns) {
    if (pattern.empty()) break;
    RETURN_IF_ERROR(out.add_pattern(pattern));
  }
  return ok_status();
}

Result<TokenId> find_added(const TokenizerDefinition& out, const std::optional<std::string>& name) {
  for (const AddedToken& token : out.added) {
    if (name && token.content == *name) return token.id;
  }
  return corrupt_data(
             str("the token '", printable(name.value_or("")), "' is not among the added tokens"))
      .with_where("tokenizer_config.json");
}

}  // namespace

bool looks_like_ranks(std::string_view file) {
  const std::string_view line = file.substr(0, std::min(file.find('\n'), file.size()));
  const std::size_t space = line.find(' ');
  return space != line.npos && space > 0 && decode_base64(line.substr(0, space)).has_value();
}

Result<TokenizerDefinition> define_from_ranks(std::string_view file,
                                              std::string_view name,
                                              const TokenFileSettings& settings) {
  TokenizerDefinition out;
  ASSIGN_OR_RETURN(Vocabulary vocabulary, read_ranks(file));
  out.model = std::make_unique<Bpe>(Bpe::from_ranks(std::move(vocabulary)));
  RETURN_IF_ERROR(add_split(name, settings, out.pre_tokenizer));
  out.pre_tokenizer.end_in_bytes();
  out.decoder.add_byte_level();
  out.added = settings.added;
  if (settings.add_bos.value_or(false)) {
    ASSIGN_OR_RETURN(const TokenId id, find_added(out, settings.bos));
    out.post_processor.prefix.push_back(id);
  }
  if (settings.add_eos.value_or(false)) {
    ASSIGN_OR_RETURN(const TokenId id, find_added(out, settings.eos));
    out.post_processor.suffix.push_back(id);
  }
  return out;
}

}  // namespace inferneo::text
