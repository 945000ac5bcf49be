// Chat templates: turns messages into the text a model was trained on. Templates come from model
// files and are hostile input: an own subset of Jinja without attributes of built-ins, imports or
// I/O, with budgets for steps, depth and output (base/limits.h).
// Thread: render from any; immutable after compile.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/model_text.h"
#include "text/value.h"

namespace inferneo::text {

struct ChatInput {
  Value messages;   // list of {role, content, ...}
  Value tools;      // list, or null
  Value arguments;  // dict of further template variables (chat_template_kwargs), or null
  bool add_generation_prompt = true;
};

class ChatTemplate {
 public:
  // `bos_token` and `eos_token` become variables of the same names.
  // Failures: invalid_argument with line and column, unsupported naming the construct.
  static Result<std::unique_ptr<ChatTemplate>> compile(std::string_view source,
                                                       std::string bos_token,
                                                       std::string eos_token);
  ~ChatTemplate();
  ChatTemplate(const ChatTemplate&) = delete;
  ChatTemplate& operator=(const ChatTemplate&) = delete;

  // Failures: invalid_argument (raise_exception of the template, wrong types),
  // resource_exhausted (a budget is used up).
  Result<std::string> render(const ChatInput& input) const;

  // As compiled; what shows which formats a model was trained with.
  [[nodiscard]] std::string_view source() const;

  // Evaluates with exactly these variables; what tests and `inferneo render` use.
  Result<std::string> render_variables(const Value& variables) const;

 private:
  struct Impl;
  explicit ChatTemplate(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The template of a model directory: chat_template.jinja, or chat_template of
// tokenizer_config.json (the one named "default" when there are several).
// not_found when the directory has none; bos/eos come from tokenizer_config.json.
Result<std::unique_ptr<ChatTemplate>> load_chat_template(const std::string& model_dir);
// Of an artefact. Where a vocabulary comes without a template, but has the two marks of ChatML,
// that is its template.
Result<std::unique_ptr<ChatTemplate>> load_chat_template(const ModelText& text);

}  // namespace inferneo::text
