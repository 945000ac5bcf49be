#include "runtimes/native/gguf_text.h"

#include <utility>

#include "base/str.h"

namespace inferneo::runtimes::native {
namespace {

using formats::GgufMetadata;
using formats::GgufNumbers;
using text::TokenKind;
using text::TokenVocabulary;

Status read_texts(const GgufMetadata& metadata,
                  std::string_view key,
                  std::vector<std::string_view>& target) {
  ASSIGN_OR_RETURN(const std::vector<std::string_view>* list, metadata.texts(key));
  if (list != nullptr) target = *list;
  return ok_status();
}

// Numbers that are no kind count as normal, as in llama.cpp.
TokenKind token_kind(std::int64_t number) {
  const bool known = number >= static_cast<std::int64_t>(TokenKind::kNormal) &&
                     number <= static_cast<std::int64_t>(TokenKind::kByte);
  return known ? static_cast<TokenKind>(number) : TokenKind::kNormal;
}

Status read_kinds(const GgufMetadata& metadata, std::vector<TokenKind>& kinds) {
  constexpr std::string_view kKey = "tokenizer.ggml.token_type";
  ASSIGN_OR_RETURN(const GgufNumbers* numbers, metadata.numbers(kKey));
  if (numbers == nullptr) return ok_status();
  const auto* list = std::get_if<std::vector<std::int64_t>>(numbers);
  if (list == nullptr) {
    return corrupt_data(str(kKey, " holds fractions, but must hold integers"))
        .with_where(std::string(kKey));
  }
  kinds.reserve(list->size());
  for (const std::int64_t number : *list) kinds.push_back(token_kind(number));
  return ok_status();
}

Status read_scores(const GgufMetadata& metadata, std::vector<float>& scores) {
  ASSIGN_OR_RETURN(const GgufNumbers* numbers, metadata.numbers("tokenizer.ggml.scores"));
  if (numbers == nullptr) return ok_status();
  std::visit(
      [&](const auto& list) {
        scores.reserve(list.size());
        for (const auto score : list) scores.push_back(static_cast<float>(score));
      },
      *numbers);
  return ok_status();
}

Status read_ids(const GgufMetadata& metadata, TokenVocabulary& out) {
  ASSIGN_OR_RETURN(out.bos, metadata.integer("tokenizer.ggml.bos_token_id"));
  ASSIGN_OR_RETURN(out.eos, metadata.integer("tokenizer.ggml.eos_token_id"));
  ASSIGN_OR_RETURN(out.unknown, metadata.integer("tokenizer.ggml.unknown_token_id"));
  ASSIGN_OR_RETURN(out.separator, metadata.integer("tokenizer.ggml.seperator_token_id"));
  ASSIGN_OR_RETURN(out.classifier, metadata.integer("tokenizer.ggml.cls_token_id"));
  // Converters write a missing id as the largest number of 32 bits.
  constexpr std::int64_t kNoId = 0xFFFFFFFF;
  for (std::optional<std::int64_t>* id :
       {&out.bos, &out.eos, &out.unknown, &out.separator, &out.classifier}) {
    if (*id == kNoId || *id == -1) id->reset();
  }
  ASSIGN_OR_RETURN(out.add_bos, metadata.boolean("tokenizer.ggml.add_bos_token"));
  ASSIGN_OR_RETURN(out.add_eos, metadata.boolean("tokenizer.ggml.add_eos_token"));
  ASSIGN_OR_RETURN(out.add_space_prefix, metadata.boolean("tokenizer.ggml.add_space_prefix"));
  ASSIGN_OR_RETURN(out.compose, metadata.boolean("tokenizer.ggml.normalizer.nfc"));
  ASSIGN_OR_RETURN(out.lowercase, metadata.boolean("tokenizer.ggml.normalizer.lowercase"));
  ASSIGN_OR_RETURN(out.add_separator, metadata.boolean("tokenizer.ggml.add_sep_token"));
  ASSIGN_OR_RETURN(out.remove_extra_spaces,
                   metadata.boolean("tokenizer.ggml.remove_extra_whitespaces"));
  return ok_status();
}

// A list of numbers, one a byte.
Status read_charsmap(const GgufMetadata& metadata, std::string& charsmap) {
  constexpr std::string_view kKey = "tokenizer.ggml.precompiled_charsmap";
  ASSIGN_OR_RETURN(const GgufNumbers* numbers, metadata.numbers(kKey));
  if (numbers == nullptr) return ok_status();
  const auto* list = std::get_if<std::vector<std::int64_t>>(numbers);
  if (list == nullptr) {
    return corrupt_data(str(kKey, " holds fractions, but must hold bytes"))
        .with_where(std::string(kKey));
  }
  charsmap.reserve(list->size());
  for (const std::int64_t byte : *list) charsmap += static_cast<char>(byte);
  return ok_status();
}

// Spec: llama.cpp gives these ids to models that leave them out.
void default_ids(TokenVocabulary& out) {
  const auto set = [&](std::optional<std::int64_t>& id, std::int64_t value) {
    if (!id && static_cast<std::size_t>(value) < out.tokens.size()) id = value;
  };
  if (out.model == "llama") {
    set(out.unknown, 0);
    set(out.bos, 1);
    set(out.eos, 2);
  } else if (out.model == "t5") {
    set(out.eos, 1);
    set(out.unknown, 2);
  } else if (out.model == "bert") {
    set(out.unknown, 100);
    set(out.classifier, 101);
    set(out.separator, 102);
  }
}

Result<std::optional<TokenVocabulary>> read_vocabulary(const GgufMetadata& metadata) {
  ASSIGN_OR_RETURN(const std::optional<std::string_view> model,
                   metadata.text("tokenizer.ggml.model"));
  if (!model || *model == "none" || *model == "no_vocab") return std::optional<TokenVocabulary>();
  TokenVocabulary out;
  out.model = *model;
  ASSIGN_OR_RETURN(const std::optional<std::string_view> pre, metadata.text("tokenizer.ggml.pre"));
  out.pre = pre.value_or("");
  RETURN_IF_ERROR(read_texts(metadata, "tokenizer.ggml.tokens", out.tokens));
  RETURN_IF_ERROR(read_texts(metadata, "tokenizer.ggml.merges", out.merges));
  RETURN_IF_ERROR(read_kinds(metadata, out.kinds));
  RETURN_IF_ERROR(read_scores(metadata, out.scores));
  RETURN_IF_ERROR(read_ids(metadata, out));
  RETURN_IF_ERROR(read_charsmap(metadata, out.charsmap));
  default_ids(out);
  return std::optional<TokenVocabulary>(std::move(out));
}

}  // namespace

Result<text::ModelText> read_gguf_text(const GgufMetadata& metadata) {
  text::ModelText out;
  ASSIGN_OR_RETURN(out.vocabulary, read_vocabulary(metadata));
  ASSIGN_OR_RETURN(out.chat_template, metadata.text("tokenizer.chat_template"));
  return out;
}

}  // namespace inferneo::runtimes::native
