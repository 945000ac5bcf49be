#include "app/terminal.h"

#include <cstdio>

#include "base/log.h"
#include "base/str.h"

namespace inferneo::app {

text::Value chat_message(std::string_view role, std::string_view content) {
  return text::Value::Dict{{"role", role}, {"content", content}};
}

Result<std::vector<TokenId>> chat_tokens(const manager::ServedModel& served,
                                         const text::ChatInput& input) {
  ASSIGN_OR_RETURN(const std::string text, served.chat_template->render(input));
  // The template writes the start token itself.
  return served.tokenizer->encode(text, {.add_special_tokens = false});
}

Status require_tokenizer(const manager::ServedModel& served) {
  if (served.tokenizer != nullptr) return ok_status();
  return failed_precondition(str("model '", served.name, "' has no tokenizer"))
      .with_hint("put the tokenizer.json of the model into its directory");
}

void write_piece(std::string_view piece) {
  std::fwrite(piece.data(), 1, piece.size(), stdout);
  std::fflush(stdout);
}

void quiet_log(const Config& config, bool verbose) {
  if (!verbose && config.log_level == "info") {
    log::configure(log::Level::kWarning, log::Format::kText);
  }
}

}  // namespace inferneo::app
