// Turns token events into what the client sees: text, log probabilities with bytes, the end. Finds
// stop strings and tells the engine to stop the choice.
// Thread: output. Ownership: borrows tokenizer (may be null: no texts), metrics and core.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/active_request.h"
#include "engine/token_event.h"
#include "observe/metrics.h"
#include "request/output.h"
#include "text/detokenizer.h"
#include "text/stop_matcher.h"
#include "text/tokenizer.h"

namespace inferneo::engine {

struct ChoiceOutput {
  std::optional<text::Detokenizer> detokenizer;
  std::optional<text::StopMatcher> matcher;  // when the request has stop strings
  std::int32_t token_count = 0;
  bool finished = false;
};

// The output side of a request. Made by the submitting thread, then used by the output thread only.
struct RequestOutput {
  std::shared_ptr<request::OutputSink> sink;
  std::vector<ChoiceOutput> choices;
  std::vector<request::TokenLogprob> prompt_logprobs;
  std::int32_t completion_tokens = 0;
  bool ended_by_length = false;  // of any choice
};

std::unique_ptr<RequestOutput> make_request_output(const request::GenerateRequest& request,
                                                   const text::Tokenizer* tokenizer,
                                                   std::shared_ptr<request::OutputSink> sink);

class OutputWriter {
 public:
  OutputWriter(const text::Tokenizer* tokenizer, observe::ModelMetrics& metrics)
      : tokenizer_(tokenizer), metrics_(metrics) {}

  // Handles one event; calls the sink. True when the event made a choice stop by a stop string: its
  // bit is set in stopped_choices, and the engine is to be signalled. After kEnd the request is not
  // touched again.
  bool write(const TokenEvent& event);

 private:
  void write_prompt_token(const TokenEvent& event);
  bool write_token(const TokenEvent& event);
  request::OutputDelta& clear_delta(std::int32_t choice);
  void write_end(ActiveRequest& request);
  void write_prompt(ActiveRequest& request, ChoiceOutput& choice, request::OutputDelta& delta);
  void flush(ChoiceOutput& choice, std::string& text);
  bool append_text(const TokenEvent& event, ChoiceOutput& choice, request::OutputDelta& delta);
  void observe_outcome(const ActiveRequest& request);
  void observe_end(const ActiveRequest& request);
  [[nodiscard]] request::TokenLogprob logprob_of(const sample::Sampled& sampled,
                                                 bool predicted) const;
  [[nodiscard]] std::string bytes_of(TokenId id) const;

  const text::Tokenizer* tokenizer_;
  observe::ModelMetrics& metrics_;
  std::string piece_;
  request::OutputDelta delta_;  // reused: its strings and vectors keep their memory
};

}  // namespace inferneo::engine
