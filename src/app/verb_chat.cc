#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>

#include "app/interrupt.h"
#include "app/local_model.h"
#include "app/program.h"
#include "app/sampling_flags.h"
#include "app/terminal.h"
#include "app/verb.h"
#include "base/str.h"

namespace inferneo::app {
namespace {

constexpr std::string_view kHelp =
    "  /reset   forget the conversation\n"
    "  /help    this list\n"
    "  /exit    leave (also Ctrl-D)\n"
    "  Ctrl-C   stop the answer\n";

struct ChatFlags {
  std::string model;
  std::string system;
  bool verbose = false;
  SamplingFlags sampling;
};

class Conversation {
 public:
  Conversation(const LocalModel& model, const ChatFlags& flags) : model_(model), flags_(flags) {
    reset();
  }

  void reset() {
    messages_.clear();
    if (!flags_.system.empty()) messages_.push_back(chat_message("system", flags_.system));
  }

  // Asks and prints the answer. The question is forgotten when it fails.
  Status ask(const std::string& line, Interrupt& interrupt) {
    messages_.push_back(chat_message("user", line));
    Result<Answer> answer = next_answer(interrupt);
    if (!answer.has_value()) {
      messages_.pop_back();
      return std::move(answer).error();
    }
    const bool stopped = answer->finish == request::FinishReason::kAbort;
    std::fputs(stopped ? " [stopped]\n" : "\n", stdout);
    if (flags_.verbose) std::fprintf(stderr, "%s\n", speed_line(*answer).c_str());
    messages_.push_back(chat_message("assistant", answer->text));
    interrupt.clear();
    return ok_status();
  }

 private:
  Result<Answer> next_answer(const Interrupt& interrupt) {
    const manager::ServedModel& served = model_.served();
    text::ChatInput input;
    input.messages = messages_;
    request::GenerateRequest request;
    ASSIGN_OR_RETURN(request.prompt, chat_tokens(served, input));
    ASSIGN_OR_RETURN(request.sampling,
                     sampling_params(flags_.sampling,
                                     served.model->info().generation,
                                     request.prompt.size(),
                                     served.context_tokens_max));
    return model_.generate(std::move(request), write_piece, interrupt.requested());
  }

  const LocalModel& model_;
  const ChatFlags& flags_;
  text::Value::List messages_;
};

// Reads one line; false at the end of input.
bool read_line(bool prompt, std::string& line, Interrupt& interrupt) {
  for (;;) {
    if (prompt) std::fputs("> ", stdout);
    std::fflush(stdout);
    if (std::getline(std::cin, line)) return true;
    // Ctrl-C at the prompt only clears the line.
    if (!interrupt.requested()) return false;
    interrupt.clear();
    std::cin.clear();
    std::clearerr(stdin);
    std::fputc('\n', stdout);
  }
}

Result<int> talk(const LocalModel& model, const ChatFlags& flags, Interrupt& interrupt) {
  const bool prompt = ::isatty(STDIN_FILENO) == 1;
  if (prompt) std::printf("%s. /help lists commands.\n", model.served().name.c_str());
  Conversation conversation(model, flags);
  bool all_ok = true;
  for (std::string line; read_line(prompt, line, interrupt);) {
    if (line.empty()) continue;
    if (line == "/exit" || line == "/quit") break;
    if (line == "/reset") {
      conversation.reset();
    } else if (line == "/help") {
      std::fwrite(kHelp.data(), 1, kHelp.size(), stdout);
    } else if (line.starts_with('/')) {
      print_failure(invalid_argument(str("there is no command '", printable(line), "'"))
                        .with_hint("/help lists the commands"));
      all_ok = false;
    } else if (const Status status = conversation.ask(line, interrupt); !status.ok()) {
      print_failure(status);
      all_ok = false;
    }
  }
  return all_ok || prompt ? kExitOk : kExitFailure;
}

Result<int> chat(const ChatFlags& flags, const Config& config) {
  quiet_log(config, flags.verbose);
  Interrupt interrupt;
  ASSIGN_OR_RETURN(const std::unique_ptr<LocalModel> model, LocalModel::load(flags.model, config));
  RETURN_IF_ERROR(require_tokenizer(model->served()));
  if (model->served().chat_template == nullptr) {
    return failed_precondition(str("model '", model->served().name, "' has no chat template"))
        .with_hint("use `inferneo run MODEL --raw PROMPT`");
  }
  return talk(*model, flags, interrupt);
}

VerbBody declare(CLI::App& command) {
  auto flags = std::make_shared<ChatFlags>();
  command.add_option("MODEL", flags->model, "GGUF file or model directory")->required();
  command.add_option("--system", flags->system, "System message of the conversation");
  command.add_flag("-v,--verbose", flags->verbose, "Print tokens and tokens/s after each answer");
  add_sampling_flags(command, flags->sampling);
  return [flags](const Config& config) { return chat(*flags, config); };
}

}  // namespace

extern const Verb kChatVerb;
const Verb kChatVerb = {.name = "chat",
                        .rank = 3,
                        .summary = "Talk to a model in the terminal",
                        .examples =
                            "  inferneo chat models/starter\n"
                            "  inferneo chat models/starter --system 'Answer in one word.'\n"
                            "  printf 'Hello\\nWho are you?\\n' | inferneo chat models/starter",
                        .config = ConfigUse::kEngine,
                        .declare = declare};

}  // namespace inferneo::app
