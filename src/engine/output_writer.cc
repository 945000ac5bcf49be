#include "engine/output_writer.h"

#include <algorithm>

#include "base/str.h"

namespace inferneo::engine {
namespace {

using request::FinishReason;

// Prompt tokens that a detokenizer sees before the first generated one, so that a character begun
// in the prompt is continued and no leading space is dropped in the middle of a text. Why 8: a
// character has at most 4 bytes, so at most 4 tokens, of which the first may hide others' bytes.
constexpr std::size_t kPrimeTokenCount = 8;

}  // namespace

std::unique_ptr<RequestOutput> make_request_output(const request::GenerateRequest& request,
                                                   const text::Tokenizer* tokenizer,
                                                   std::shared_ptr<request::OutputSink> sink) {
  auto output = std::make_unique<RequestOutput>();
  output->sink = std::move(sink);
  output->choices.resize(static_cast<std::size_t>(request.choice_count));
  if (tokenizer == nullptr) return output;
  for (ChoiceOutput& choice : output->choices) {
    choice.detokenizer.emplace(*tokenizer, request.skip_special_tokens);
    const request::SamplingParams& sampling = request.sampling;
    if (!sampling.stop.empty()) choice.matcher.emplace(sampling.stop, sampling.include_stop);
  }
  return output;
}

bool OutputWriter::write(const TokenEvent& event) {
  switch (event.kind) {
    case TokenEvent::Kind::kPromptToken:
      write_prompt_token(event);
      return false;
    case TokenEvent::Kind::kToken:
      return write_token(event);
    case TokenEvent::Kind::kEnd:
      write_end(*event.request);
      return false;
    case TokenEvent::Kind::kShutdown:
      return false;
  }
  return false;
}

void OutputWriter::write_prompt_token(const TokenEvent& event) {
  event.request->output->prompt_logprobs.push_back(logprob_of(event.sampled, /*predicted=*/true));
}

bool OutputWriter::write_token(const TokenEvent& event) {
  ActiveRequest& request = *event.request;
  ChoiceOutput& choice = request.output->choices[static_cast<std::size_t>(event.choice)];
  // The engine ran ahead of a stop string; these tokens were never part of the answer.
  if (choice.finished) return false;

  request::OutputDelta& delta = clear_delta(event.choice);
  if (choice.token_count == 0) write_prompt(request, choice, delta);
  ++choice.token_count;
  ++request.output->completion_tokens;

  bool stopped = false;
  if (!event.hidden) {
    delta.token_ids.push_back(event.sampled.id);
    if (event.has_logprob) delta.logprobs.push_back(logprob_of(event.sampled, /*predicted=*/true));
    stopped = append_text(event, choice, delta);
  }
  if (!stopped && event.ends_choice) {
    const std::vector<TokenId>& stop_ids = request.request.sampling.stop_token_ids;
    if (event.finish == FinishReason::kStop &&
        std::ranges::find(stop_ids, event.sampled.id) != stop_ids.end()) {
      delta.stop_matched = str(event.sampled.id);
    }
    delta.finish = event.finish;
    // What was held back may complete a stop string of its own: an unfinished character becomes
    // U+FFFD. The choice ends here anyway.
    flush(choice, delta.text);
  }
  if (stopped) {
    delta.finish = FinishReason::kStop;
    delta.stop_matched = choice.matcher->matched();
    request.stopped_choices.fetch_or(1U << event.choice, std::memory_order_release);
  }
  choice.finished = delta.finish.has_value();
  request.output->ended_by_length |= delta.finish == FinishReason::kLength;
  request.output->sink->on_delta(std::move(delta));
  return stopped;
}

request::OutputDelta& OutputWriter::clear_delta(std::int32_t choice) {
  delta_.choice = choice;
  delta_.text.clear();
  delta_.token_ids.clear();
  delta_.logprobs.clear();
  delta_.prompt_logprobs.clear();
  delta_.finish.reset();
  delta_.stop_matched.clear();
  return delta_;
}

// Before the first token of a choice: delivers the prompt when asked to, and in any case lets the
// detokenizer know where it starts.
void OutputWriter::write_prompt(ActiveRequest& request,
                                ChoiceOutput& choice,
                                request::OutputDelta& delta) {
  const std::vector<TokenId>& prompt = request.request.prompt;
  if (delta.choice == 0 && request.request.sampling.prompt_logprobs) {
    sample::Sampled first;
    first.id = prompt[0];
    delta.prompt_logprobs.push_back(logprob_of(first, /*predicted=*/false));
    std::ranges::move(request.output->prompt_logprobs, std::back_inserter(delta.prompt_logprobs));
    request.output->prompt_logprobs.clear();
  }
  if (!choice.detokenizer) return;
  const bool echo = request.request.echo;
  const std::size_t begin =
      echo || prompt.size() < kPrimeTokenCount ? 0 : prompt.size() - kPrimeTokenCount;
  piece_.clear();
  for (std::size_t i = begin; i < prompt.size(); ++i) choice.detokenizer->push(prompt[i], piece_);
  if (echo) delta.text += piece_;
}

// True when a stop string was found.
bool OutputWriter::append_text(const TokenEvent& event,
                               ChoiceOutput& choice,
                               request::OutputDelta& delta) {
  if (!choice.detokenizer) return false;
  const request::SamplingParams& sampling = event.request->request.sampling;
  // The text of the first min_tokens tokens is not searched.
  if (!choice.matcher || choice.token_count <= sampling.min_tokens) {
    choice.detokenizer->push(event.sampled.id, delta.text);
    return false;
  }
  piece_.clear();
  choice.detokenizer->push(event.sampled.id, piece_);
  return choice.matcher->push(piece_, delta.text);
}

void OutputWriter::flush(ChoiceOutput& choice, std::string& text) {
  if (!choice.detokenizer) return;
  if (!choice.matcher) {
    choice.detokenizer->finish(text);
    return;
  }
  piece_.clear();
  choice.detokenizer->finish(piece_);
  if (!choice.matcher->push(piece_, text)) choice.matcher->finish(text);
}

void OutputWriter::write_end(ActiveRequest& request) {
  RequestOutput& output = *request.output;
  for (std::size_t i = 0; i < output.choices.size(); ++i) {
    ChoiceOutput& choice = output.choices[i];
    if (choice.finished) continue;
    choice.finished = true;
    request::OutputDelta delta;
    delta.choice = static_cast<std::int32_t>(i);
    delta.finish = request.end_reason;
    output.ended_by_length |= request.end_reason == FinishReason::kLength;
    // Nothing was to be generated: the prompt is all there is.
    if (request.end_reason == FinishReason::kLength) {
      write_prompt(request, choice, delta);
      if (request.request.echo && choice.detokenizer) choice.detokenizer->finish(delta.text);
    }
    if (choice.token_count > 0 && request.end_reason == FinishReason::kAbort) {
      flush(choice, delta.text);
    }
    output.sink->on_delta(std::move(delta));
  }
  observe_end(request);
  if (request.request.pooling && request.end_status.ok()) {
    output.sink->on_vector(std::move(request.vector));
  }
  request::Usage usage;
  usage.prompt_tokens = request.prompt_count();
  usage.cached_prompt_tokens = request.cached_prompt_tokens;
  usage.completion_tokens = output.completion_tokens;
  request::RequestTiming timing;
  timing.total = request.ended_at - request.submitted_at;
  timing.queued =
      request.started ? request.first_scheduled_at - request.submitted_at : timing.total;
  if (request.first_token_at != TimePoint{}) {
    timing.first_token = request.first_token_at - request.submitted_at;
  }
  output.sink->on_end(usage, timing, request.end_status);
}

void OutputWriter::observe_outcome(const ActiveRequest& request) {
  if (request.request.is_probe) return;
  observe::Outcome outcome = observe::Outcome::kSucceeded;
  if (request.not_finite) {
    outcome = observe::Outcome::kNonFinite;
  } else if (request.end_status.code() == StatusCode::kCancelled) {
    outcome = observe::Outcome::kCancelled;
  } else if (!request.end_status.ok()) {
    outcome = observe::Outcome::kFailed;
  }
  metrics_.outcomes.count(outcome, request.first_token_at != TimePoint{});
}

void OutputWriter::observe_end(const ActiveRequest& request) {
  observe_outcome(request);
  using Reason = observe::ModelMetrics::request_success_label;
  const RequestOutput& output = *request.output;
  Reason reason = output.ended_by_length ? Reason::length : Reason::stop;
  if (!request.end_status.ok()) {
    reason = request.end_reason == FinishReason::kError ? Reason::error : Reason::abort;
  }
  metrics_.request_success[static_cast<std::size_t>(reason)].add();
  metrics_.e2e_latency.observe(to_seconds(request.ended_at - request.submitted_at));
  metrics_.request_prompt_tokens.observe(request.prompt_count());
  metrics_.request_generation_tokens.observe(output.completion_tokens);
  metrics_.request_max_tokens.observe(request.request.sampling.max_tokens);
  metrics_.request_n.observe(request.request.choice_count);
  if (!request.started) return;
  metrics_.inference_time.observe(to_seconds(request.ended_at - request.first_scheduled_at));
  if (request.first_token_at == TimePoint{}) return;
  const double decode_seconds = to_seconds(request.ended_at - request.first_token_at);
  metrics_.decode_time.observe(decode_seconds);
  const std::int32_t later_tokens = output.completion_tokens - request.request.choice_count;
  if (later_tokens > 0) {
    metrics_.time_per_output_token.observe(decode_seconds * request.request.choice_count /
                                           later_tokens);
  }
}

request::TokenLogprob OutputWriter::logprob_of(const sample::Sampled& sampled,
                                               bool predicted) const {
  request::TokenLogprob entry;
  entry.id = sampled.id;
  entry.bytes = bytes_of(sampled.id);
  if (!predicted) return entry;
  entry.logprob = sampled.logprob;
  entry.top.reserve(static_cast<std::size_t>(sampled.top_count));
  for (std::size_t i = 0; i < static_cast<std::size_t>(sampled.top_count); ++i) {
    const sample::TopLogprob& top = sampled.top[i];
    entry.top.push_back({top.id, top.logprob, bytes_of(top.id)});
  }
  return entry;
}

std::string OutputWriter::bytes_of(TokenId id) const {
  if (tokenizer_ == nullptr || !tokenizer_->has_token(id)) return {};
  return std::string(tokenizer_->token_bytes(id));
}

}  // namespace inferneo::engine
