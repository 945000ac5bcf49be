#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <iostream>
#include <iterator>
#include <memory>

#include "app/json_lines.h"
#include "app/model_spec.h"
#include "app/verb.h"
#include "base/str.h"
#include "runtimes/native/native_runtime.h"
#include "text/tokenizer.h"

namespace inferneo::app {
namespace {

struct TokenizeFlags {
  std::string model;
  std::optional<std::string> text;
  bool jsonl = false;
  bool decode = false;
  bool no_special = false;
  bool no_added = false;
  bool skip_special = false;
};

text::EncodeOptions encode_options(const TokenizeFlags& flags) {
  return {.add_special_tokens = !flags.no_special, .parse_added_tokens = !flags.no_added};
}

// A line is a JSON string or {"text": ...}.
Result<Json> encode_line(const text::Tokenizer& tokenizer,
                         const TokenizeFlags& flags,
                         const std::string& line) {
  ASSIGN_OR_RETURN(const Json json, parse_json(line));
  const bool wrapped = json.is_object() && json.contains("text");
  const Json& text = wrapped ? json["text"] : json;
  if (!text.is_string()) return invalid_argument("expected a JSON string or {\"text\": \"...\"}");
  const auto& bytes = text.get_ref<const std::string&>();
  return Json{{"ids", tokenizer.encode(bytes, encode_options(flags))}};
}

Result<std::vector<TokenId>> token_ids(const text::Tokenizer& tokenizer, const Json& list) {
  std::vector<TokenId> ids;
  ids.reserve(list.size());
  for (const Json& item : list) {
    if (!item.is_number_integer()) return invalid_argument("every id must be an integer");
    const auto id = item.get<std::int64_t>();
    if (id < 0 || id >= tokenizer.vocab_size()) {
      return invalid_argument(str("id ", id, " is outside 0 .. ", tokenizer.vocab_size() - 1));
    }
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

// A line is a list of ids or {"ids": [...]}.
Result<Json> decode_line(const text::Tokenizer& tokenizer,
                         const TokenizeFlags& flags,
                         const std::string& line) {
  ASSIGN_OR_RETURN(const Json json, parse_json(line));
  const bool wrapped = json.is_object() && json.contains("ids");
  const Json& list = wrapped ? json["ids"] : json;
  if (!list.is_array()) return invalid_argument("expected a list of ids or {\"ids\": [...]}");
  ASSIGN_OR_RETURN(const std::vector<TokenId> ids, token_ids(tokenizer, list));
  return Json{{"text", tokenizer.decode(ids, flags.skip_special)}};
}

// Ids in words: "12 7 9", separated by spaces or commas.
Result<Json> parse_id_words(const std::string& words) {
  constexpr std::string_view kSeparators = " ,\n\r\t";
  Json list = Json::array();
  std::size_t at = words.find_first_not_of(kSeparators);
  while (at != std::string::npos) {
    const std::size_t end = std::min(words.find_first_of(kSeparators, at), words.size());
    const std::string word = words.substr(at, end - at);
    std::int64_t id = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), id);
    if (parsed.ec != std::errc() || parsed.ptr != word.data() + word.size()) {
      return invalid_argument(str("'", printable(word), "' is no token id"))
          .with_hint("write ids as numbers, with spaces or commas between them");
    }
    list.push_back(id);
    at = words.find_first_not_of(kSeparators, end);
  }
  return list;
}

Status tokenize_text(const text::Tokenizer& tokenizer,
                     const TokenizeFlags& flags,
                     const std::string& text) {
  std::string out;
  if (flags.decode) {
    ASSIGN_OR_RETURN(const Json list, parse_id_words(text));
    ASSIGN_OR_RETURN(const std::vector<TokenId> ids, token_ids(tokenizer, list));
    out = tokenizer.decode(ids, flags.skip_special);
  } else {
    for (const TokenId id : tokenizer.encode(text, encode_options(flags))) {
      if (!out.empty()) out += ' ';
      append_piece(out, id);
    }
  }
  out += '\n';
  std::fwrite(out.data(), 1, out.size(), stdout);
  return ok_status();
}

Result<int> tokenize(const TokenizeFlags& flags) {
  ASSIGN_OR_RETURN(const ModelSpec spec, parse_model_spec(flags.model));
  ASSIGN_OR_RETURN(const text::ModelText model, runtimes::native::open_model_text(spec.path));
  ASSIGN_OR_RETURN(const std::unique_ptr<text::Tokenizer> tokenizer, text::Tokenizer::load(model));
  if (flags.jsonl) {
    const auto answer = flags.decode ? decode_line : encode_line;
    const bool ok = answer_lines(
        std::cin, [&](const std::string& line) { return answer(*tokenizer, flags, line); });
    return ok ? kExitOk : kExitFailure;
  }
  std::string text;
  if (flags.text.has_value()) {
    text = *flags.text;
  } else {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  RETURN_IF_ERROR(tokenize_text(*tokenizer, flags, text));
  return kExitOk;
}

VerbBody declare(CLI::App& command) {
  auto flags = std::make_shared<TokenizeFlags>();
  command
      .add_option(
          "MODEL", flags->model, "GGUF file, or model directory; tokenizer.json alone is enough")
      ->required();
  CLI::Option* text =
      command.add_option("TEXT", flags->text, "Text to encode (default: all of stdin)");
  command
      .add_flag(
          "--jsonl",
          flags->jsonl,
          "Read stdin line by line: a JSON string or {\"text\": ...} in, {\"ids\": [...]} out")
      ->excludes(text);
  command.add_flag("--decode", flags->decode, "The reverse: ids in, text out");
  command.add_flag("--no-special-tokens",
                   flags->no_special,
                   "Do not add what the post-processor adds (a start token, for example)");
  command.add_flag("--no-added-tokens",
                   flags->no_added,
                   "Read added tokens in the text (<|im_start|>) as plain text");
  command.add_flag(
      "--skip-special-tokens", flags->skip_special, "With --decode: leave out special tokens");
  return [flags](const Config&) { return tokenize(*flags); };
}

}  // namespace

extern const Verb kTokenizeVerb;
const Verb kTokenizeVerb = {
    .name = "tokenize",
    .rank = 4,
    .summary = "Turn text into token ids, or back",
    .examples =
        "  inferneo tokenize models/starter 'Hello there'\n"
        "  inferneo tokenize models/starter --decode '40 17 9'\n"
        "  inferneo tokenize models/starter --jsonl < texts.jsonl > ids.jsonl\n"
        "\n"
        "A line that cannot be read is answered {\"error\": ..., \"line\": N} in its place; the\n"
        "exit status is then 1.",
    .config = ConfigUse::kNone,
    .declare = declare};

}  // namespace inferneo::app
