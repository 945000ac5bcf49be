// Reads what tokenizer_config.json and config.json say about a tokenizer in files of its own.
#include <charconv>

#include "base/limits.h"
#include "base/str.h"
#include "text/tokenizer/token_files.h"

namespace inferneo::text {
namespace {

// "<s>", or the same as an object with "content".
Result<std::optional<std::string>> token_name(const JsonView& config, std::string_view key) {
  ASSIGN_OR_RETURN(const std::optional<JsonView> place, config.optional_member(key));
  if (!place) return std::optional<std::string>();
  if (place->is_string()) {
    ASSIGN_OR_RETURN(const std::string_view name, place->string());
    return std::optional<std::string>(name);
  }
  ASSIGN_OR_RETURN(const std::string_view name, place->string_member("content"));
  return std::optional<std::string>(name);
}

Result<std::optional<bool>> optional_bool(const JsonView& config, std::string_view key) {
  ASSIGN_OR_RETURN(const std::optional<JsonView> place, config.optional_member(key));
  if (!place) return std::optional<bool>();
  ASSIGN_OR_RETURN(const bool value, place->boolean());
  return std::optional<bool>(value);
}

Status read_text(const JsonView& config, std::string_view key, std::string& out) {
  ASSIGN_OR_RETURN(const std::optional<JsonView> place, config.optional_member(key));
  if (!place) return ok_status();
  ASSIGN_OR_RETURN(out, place->string());
  return ok_status();
}

// "added_tokens_decoder": {"32000": {"content": "<|end|>", "special": true, ..}, ..}
Status read_added(const JsonView& config, std::vector<AddedToken>& out) {
  ASSIGN_OR_RETURN(const std::optional<JsonView> place,
                   config.optional_member("added_tokens_decoder"));
  if (!place) return ok_status();
  ASSIGN_OR_RETURN(const simdjson::dom::object entries, place->object());
  for (const auto entry : entries) {
    const JsonView view(entry.value, str(place->where(), ".", printable(entry.key)));
    std::int64_t id = -1;
    const char* end = entry.key.data() + entry.key.size();
    const auto parsed = std::from_chars(entry.key.data(), end, id);
    if (parsed.ec != std::errc() || parsed.ptr != end || id < 0 ||
        static_cast<std::uint64_t>(id) >= limits::kVocabSizeMax) {
      return view.corrupt(str("is no token id, expected 0 to ", limits::kVocabSizeMax - 1));
    }
    ASSIGN_OR_RETURN(AddedToken token, parse_added_token(view, static_cast<TokenId>(id)));
    if (token.content.empty()) continue;
    if (out.size() >= limits::kVocabSizeMax) return place->corrupt("has too many tokens");
    out.push_back(std::move(token));
  }
  return ok_status();
}

Status read_tokenizer_config(const JsonView& config, TokenFileSettings& out) {
  RETURN_IF_ERROR(read_text(config, "tokenizer_class", out.tokenizer_class));
  ASSIGN_OR_RETURN(out.add_bos, optional_bool(config, "add_bos_token"));
  ASSIGN_OR_RETURN(out.add_eos, optional_bool(config, "add_eos_token"));
  ASSIGN_OR_RETURN(out.bos, token_name(config, "bos_token"));
  ASSIGN_OR_RETURN(out.eos, token_name(config, "eos_token"));
  ASSIGN_OR_RETURN(out.prefix_each_section, config.bool_member("legacy", true));
  ASSIGN_OR_RETURN(const std::optional<JsonView> pattern, config.optional_member("pat_str"));
  if (pattern) {
    ASSIGN_OR_RETURN(const std::string_view text, pattern->string());
    out.pattern = text;
  }
  return read_added(config, out.added);
}

// Parses a document and hands it to `use`. `name` is for messages.
template <typename Use>
Status with_document(std::string_view text, std::string_view name, Use&& use) {
  if (text.empty()) return ok_status();
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text.data(), text.size()).get(root)) {
    return corrupt_data(str(name, " is not valid JSON: ", simdjson::error_message(error)));
  }
  const Status status = use(JsonView(root, ""));
  return status.ok() ? ok_status() : Status(status).with_context(name);
}

}  // namespace

Result<TokenFileSettings> TokenFileSettings::parse(std::string_view tokenizer_config,
                                                   std::string_view config) {
  TokenFileSettings out;
  RETURN_IF_ERROR(
      with_document(tokenizer_config, "tokenizer_config.json", [&](const JsonView& view) {
        return read_tokenizer_config(view, out);
      }));
  RETURN_IF_ERROR(with_document(config, "config.json", [&](const JsonView& view) {
    return read_text(view, "model_type", out.model_type);
  }));
  return out;
}

}  // namespace inferneo::text
