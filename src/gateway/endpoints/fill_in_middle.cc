#include "gateway/endpoints/fill_in_middle.h"

#include <array>
#include <optional>

#include "base/str.h"
#include "gateway/endpoints/prompts.h"

namespace inferneo::gateway::endpoints {
namespace {

// Names of the tokens before the prefix, before the suffix and before the middle.
struct Marks {
  std::string_view prefix;
  std::string_view suffix;
  std::string_view middle;
};

constexpr std::array<Marks, 7> kMarks{
    Marks{"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},  // Qwen 2.5 Coder, CodeGemma
    Marks{"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},        // StarCoder, Granite Code
    Marks{"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},        // SantaCoder
    Marks{"<PRE>", "<SUF>", "<MID>"},
    Marks{"\xe2\x96\x81<PRE>", "\xe2\x96\x81<SUF>", "\xe2\x96\x81<MID>"},  // Code Llama
    Marks{"<\xef\xbd\x9c"
          "fim\xe2\x96\x81"
          "begin\xef\xbd\x9c>",
          "<\xef\xbd\x9c"
          "fim\xe2\x96\x81hole\xef\xbd\x9c>",
          "<\xef\xbd\x9c"
          "fim\xe2\x96\x81"
          "end\xef\xbd\x9c>"},                                       // DeepSeek Coder
    Marks{"<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"},  // GLM
};

void append(std::vector<TokenId>& ids, const std::vector<TokenId>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

}  // namespace

Result<std::vector<TokenId>> fill_in_middle_prompt(const manager::ServedModel& model,
                                                   std::string_view prefix,
                                                   std::string_view suffix,
                                                   bool add_special_tokens) {
  // Why the prefix first: it also finds that there is no tokenizer, and brings the start token.
  ASSIGN_OR_RETURN(const std::vector<TokenId> start, encode(model, "", add_special_tokens));
  ASSIGN_OR_RETURN(const std::vector<TokenId> before, encode(model, prefix, false));
  ASSIGN_OR_RETURN(const std::vector<TokenId> behind, encode(model, suffix, false));
  for (const Marks& marks : kMarks) {
    const std::optional<TokenId> prefix_mark = model.tokenizer->find_token(marks.prefix);
    const std::optional<TokenId> suffix_mark = model.tokenizer->find_token(marks.suffix);
    const std::optional<TokenId> middle_mark = model.tokenizer->find_token(marks.middle);
    if (!prefix_mark || !suffix_mark || !middle_mark) continue;
    std::vector<TokenId> ids = start;
    ids.push_back(*prefix_mark);
    append(ids, before);
    ids.push_back(*suffix_mark);
    append(ids, behind);
    ids.push_back(*middle_mark);
    return ids;
  }
  return unsupported(str("'suffix' is not supported: the vocabulary of model '",
                         model.name,
                         "' has no tokens for filling a gap"))
      .with_where("suffix");
}

}  // namespace inferneo::gateway::endpoints
