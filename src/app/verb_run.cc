#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>

#include "app/interrupt.h"
#include "app/local_model.h"
#include "app/sampling_flags.h"
#include "app/terminal.h"
#include "app/verb.h"
#include "base/str.h"

namespace inferneo::app {
namespace {

struct RunFlags {
  std::string model;
  std::optional<std::string> prompt;
  std::string system;
  bool raw = false;
  bool verbose = false;
  SamplingFlags sampling;
};

// The prompt as the model reads it: rendered as a chat, or as it is.
Result<std::vector<TokenId>> prompt_tokens(const manager::ServedModel& served,
                                           const RunFlags& flags,
                                           const std::string& prompt) {
  if (flags.raw || served.chat_template == nullptr) return served.tokenizer->encode(prompt);
  text::ChatInput input;
  text::Value::List messages;
  if (!flags.system.empty()) messages.push_back(chat_message("system", flags.system));
  messages.push_back(chat_message("user", prompt));
  input.messages = std::move(messages);
  return chat_tokens(served, input);
}

Result<int> run(const RunFlags& flags, const Config& config) {
  std::string prompt;
  if (flags.prompt.has_value()) {
    prompt = *flags.prompt;
  } else {
    prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  quiet_log(config, flags.verbose);
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const std::unique_ptr<LocalModel> model, LocalModel::load(flags.model, config));
  const manager::ServedModel& served = model->served();
  RETURN_IF_ERROR(require_tokenizer(served));
  request::GenerateRequest request;
  ASSIGN_OR_RETURN(request.prompt, prompt_tokens(served, flags, prompt));
  if (request.prompt.empty()) return invalid_argument("the prompt is empty");
  ASSIGN_OR_RETURN(request.sampling,
                   sampling_params(flags.sampling,
                                   served.model->info().generation,
                                   request.prompt.size(),
                                   served.context_tokens_max));
  ASSIGN_OR_RETURN(const Answer answer,
                   model->generate(std::move(request), write_piece, interrupt.requested()));
  std::fputc('\n', stdout);
  if (flags.verbose) std::fprintf(stderr, "%s\n", speed_line(answer).c_str());
  return interrupt.requested() ? kExitFailure : kExitOk;
}

VerbBody declare(CLI::App& command) {
  auto flags = std::make_shared<RunFlags>();
  command.add_option("MODEL", flags->model, "GGUF file or model directory")->required();
  command.add_option("PROMPT", flags->prompt, "What to say (default: all of stdin)");
  command.add_option("--system", flags->system, "System message before the prompt");
  command.add_flag("--raw", flags->raw, "Continue the prompt as it is, without the chat template");
  command.add_flag("-v,--verbose", flags->verbose, "Print tokens and tokens/s on stderr");
  add_sampling_flags(command, flags->sampling);
  return [flags](const Config& config) { return run(*flags, config); };
}

}  // namespace

extern const Verb kRunVerb;
const Verb kRunVerb = {
    .name = "run",
    .rank = 2,
    .summary = "Answer one prompt on stdout",
    .examples =
        "  inferneo run models/starter 'What is an API?'\n"
        "  inferneo run models/starter --raw 'Once upon a time' --max-tokens 40 -v\n"
        "  inferneo run models/starter --temperature 0 < question.txt",
    .config = ConfigUse::kEngine,
    .declare = declare};

}  // namespace inferneo::app
