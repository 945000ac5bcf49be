#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "app/json_lines.h"
#include "app/model_spec.h"
#include "app/verb.h"
#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/str.h"
#include "runtimes/native/native_runtime.h"
#include "text/chat_template.h"

namespace inferneo::app {
namespace {

struct RenderFlags {
  std::string model;
  std::string messages_file;
  bool no_generation_prompt = false;
};

// A line is an object of template variables, or just the list of messages.
Result<Json> variables_of(const Json& json, const RenderFlags& flags) {
  Json variables = json.is_array() ? Json{{"messages", json}} : json;
  if (!variables.is_object() || !variables.contains("messages")) {
    return invalid_argument("expected {\"messages\": [...], ...} or a list of messages");
  }
  if (!variables.contains("add_generation_prompt")) {
    variables["add_generation_prompt"] = !flags.no_generation_prompt;
  }
  return variables;
}

Result<std::string> render_one(const text::ChatTemplate& chat_template,
                               const RenderFlags& flags,
                               std::string_view document) {
  ASSIGN_OR_RETURN(const Json json, parse_json(document));
  ASSIGN_OR_RETURN(const Json variables, variables_of(json, flags));
  return chat_template.render_variables(to_value(variables));
}

Result<int> render(const RenderFlags& flags) {
  ASSIGN_OR_RETURN(const ModelSpec spec, parse_model_spec(flags.model));
  ASSIGN_OR_RETURN(const text::ModelText model, runtimes::native::open_model_text(spec.path));
  ASSIGN_OR_RETURN(const std::unique_ptr<text::ChatTemplate> chat_template,
                   text::load_chat_template(model));
  if (!flags.messages_file.empty()) {
    ASSIGN_OR_RETURN(const std::string document,
                     read_file(flags.messages_file, limits::kHttpBodySizeMax));
    Result<std::string> text = render_one(*chat_template, flags, document);
    if (!text.has_value()) return std::move(text).error().with_context(flags.messages_file);
    std::fwrite(text->data(), 1, text->size(), stdout);
    return kExitOk;
  }
  const bool ok = answer_lines(std::cin, [&](const std::string& line) -> Result<Json> {
    ASSIGN_OR_RETURN(std::string text, render_one(*chat_template, flags, line));
    return Json{{"text", std::move(text)}};
  });
  return ok ? kExitOk : kExitFailure;
}

VerbBody declare(CLI::App& command) {
  auto flags = std::make_shared<RenderFlags>();
  command
      .add_option(
          "MODEL", flags->model, "GGUF file, or model directory; a chat template alone is enough")
      ->required();
  command
      .add_option("--messages",
                  flags->messages_file,
                  "JSON file with one conversation; prints its text as it is")
      ->type_name("FILE");
  command.add_flag("--no-generation-prompt",
                   flags->no_generation_prompt,
                   "Do not open the assistant's turn (unless the line says add_generation_prompt)");
  return [flags](const Config&) { return render(*flags); };
}

}  // namespace

extern const Verb kRenderVerb;
const Verb kRenderVerb = {
    .name = "render",
    .rank = 5,
    .summary = "Turn chat messages into the text that the model reads",
    .examples =
        "  echo '[{\"role\": \"user\", \"content\": \"Hi\"}]' | inferneo render models/starter\n"
        "  inferneo render models/starter --messages conversation.json\n"
        "\n"
        "stdin is read line by line: {\"messages\": [...], \"tools\": ..., "
        "\"add_generation_prompt\":\n"
        "..., any further template variable} or a list of messages in, {\"text\": ...} out. A "
        "line\n"
        "that fails is answered {\"error\": ..., \"line\": N} in its place; the exit status is "
        "then 1.",
    .config = ConfigUse::kNone,
    .declare = declare};

}  // namespace inferneo::app
