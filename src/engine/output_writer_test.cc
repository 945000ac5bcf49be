// The output side alone: events in, deltas out, with the starter model's tokenizer.
#include "engine/output_writer.h"

#include <gtest/gtest.h>

#include <map>

namespace inferneo::engine {
namespace {

using request::FinishReason;

class RecordingSink final : public request::OutputSink {
 public:
  void on_delta(request::OutputDelta&& delta) override {
    EXPECT_EQ(end_count, 0);
    EXPECT_FALSE(finish.contains(delta.choice)) << "a delta after the last one of its choice";
    text[delta.choice] += delta.text;
    if (delta.finish) {
      finish[delta.choice] = *delta.finish;
      stop_matched = delta.stop_matched;
    }
    deltas.push_back(std::move(delta));
  }
  void on_end(const request::Usage& usage_in,
              const request::RequestTiming& timing_in,
              const Status& status_in) override {
    ++end_count;
    usage = usage_in;
    timing = timing_in;
    status = status_in;
  }

  std::map<std::int32_t, std::string> text;
  std::map<std::int32_t, FinishReason> finish;
  std::vector<request::OutputDelta> deltas;
  std::string stop_matched;
  request::Usage usage;
  request::RequestTiming timing;
  Status status;
  int end_count = 0;
};

class OutputTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded = text::Tokenizer::load(std::string(INFERNEO_SOURCE_DIR) + "/models/starter");
    ASSERT_TRUE(loaded.has_value()) << loaded.status().to_string();
    tokenizer_ = std::move(loaded).value();
  }
  static void TearDownTestSuite() { tokenizer_.reset(); }

  void start(request::GenerateRequest request) {
    active_.request = std::move(request);
    active_.output = make_request_output(active_.request, tokenizer_.get(), sink_);
  }
  static request::GenerateRequest asking(std::string_view prompt) {
    request::GenerateRequest request;
    request.prompt = tokenizer_->encode(prompt);
    request.sampling.max_tokens = 100;
    return request;
  }
  bool token(TokenId id, std::int32_t choice = 0) {
    TokenEvent event;
    event.kind = TokenEvent::Kind::kToken;
    event.request = &active_;
    event.choice = choice;
    event.sampled.id = id;
    return writer_.write(event);
  }
  // Returns true when a stop string was found on the way.
  bool say(std::string_view text, std::int32_t choice = 0) {
    bool stopped = false;
    for (const TokenId id : tokenizer_->encode(text)) stopped |= token(id, choice);
    return stopped;
  }
  void last_token(TokenId id, FinishReason finish, bool hidden, std::int32_t choice = 0) {
    TokenEvent event;
    event.kind = TokenEvent::Kind::kToken;
    event.request = &active_;
    event.choice = choice;
    event.sampled.id = id;
    event.ends_choice = true;
    event.finish = finish;
    event.hidden = hidden;
    writer_.write(event);
  }
  void end(FinishReason reason = FinishReason::kStop, Status status = {}) {
    active_.end_reason = reason;
    active_.end_status = std::move(status);
    TokenEvent event;
    event.kind = TokenEvent::Kind::kEnd;
    event.request = &active_;
    writer_.write(event);
  }
  [[nodiscard]] std::uint64_t successes(observe::ModelMetrics::request_success_label reason) const {
    return metrics_.request_success[static_cast<std::size_t>(reason)].value();
  }

  static std::unique_ptr<text::Tokenizer> tokenizer_;
  observe::ModelMetrics metrics_;
  OutputWriter writer_{tokenizer_.get(), metrics_};
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  ActiveRequest active_;
};
std::unique_ptr<text::Tokenizer> OutputTest::tokenizer_;

TEST_F(OutputTest, texts_and_usage_add_up_and_the_end_token_is_not_shown) {
  start(asking("One two"));
  say(" three four");
  last_token(0, FinishReason::kStop, /*hidden=*/true);
  end();
  EXPECT_EQ(sink_->text[0], " three four");
  EXPECT_EQ(sink_->finish[0], FinishReason::kStop);
  EXPECT_EQ(sink_->end_count, 1);
  EXPECT_TRUE(sink_->status.ok());
  EXPECT_EQ(sink_->usage.prompt_tokens, active_.prompt_count());
  EXPECT_EQ(sink_->usage.completion_tokens,
            static_cast<std::int32_t>(tokenizer_->encode(" three four").size()) + 1);
  EXPECT_TRUE(sink_->deltas.back().token_ids.empty());
  EXPECT_EQ(successes(observe::ModelMetrics::request_success_label::stop), 1U);
}

TEST_F(OutputTest, a_stop_string_ends_the_text_before_it) {
  request::GenerateRequest request = asking("Count:");
  request.sampling.stop = {"three"};
  start(std::move(request));
  EXPECT_TRUE(say(" one two three four"));
  EXPECT_EQ(active_.stopped_choices.load(), 1U);
  const std::int32_t counted = active_.output->completion_tokens;
  say(" five");
  end();
  EXPECT_EQ(sink_->text[0], " one two ");
  EXPECT_EQ(sink_->stop_matched, "three");
  EXPECT_EQ(sink_->finish[0], FinishReason::kStop);
  // What the engine computed beyond the stop is neither shown nor counted.
  EXPECT_EQ(sink_->usage.completion_tokens, counted);
}

TEST_F(OutputTest, include_stop_keeps_it) {
  request::GenerateRequest request = asking("Count:");
  request.sampling.stop = {"three"};
  request.sampling.include_stop = true;
  start(std::move(request));
  say(" one two three four");
  end();
  EXPECT_EQ(sink_->text[0], " one two three");
}

TEST_F(OutputTest, min_tokens_holds_back_stop_strings) {
  request::GenerateRequest request = asking("Count:");
  request.sampling.stop = {"one"};
  const std::string first = " one one one";
  request.sampling.min_tokens = static_cast<std::int32_t>(tokenizer_->encode(first).size());
  start(std::move(request));
  EXPECT_FALSE(say(first));
  EXPECT_TRUE(say(" one"));
  end();
  EXPECT_EQ(sink_->text[0], first + " ");
}

TEST_F(OutputTest, held_back_text_comes_with_the_last_delta) {
  request::GenerateRequest request = asking("Count:");
  request.sampling.stop = {"three hundred"};
  start(std::move(request));
  say(" two three hu");
  last_token(tokenizer_->encode("n")[0], FinishReason::kLength, /*hidden=*/false);
  end();
  EXPECT_EQ(sink_->text[0], " two three hun");
  EXPECT_EQ(sink_->finish[0], FinishReason::kLength);
  EXPECT_EQ(successes(observe::ModelMetrics::request_success_label::length), 1U);
}

TEST_F(OutputTest, stop_ids_are_named) {
  request::GenerateRequest request = asking("x");
  request.sampling.stop_token_ids = {77};
  start(std::move(request));
  last_token(77, FinishReason::kStop, /*hidden=*/true);
  end();
  EXPECT_EQ(sink_->stop_matched, "77");
  EXPECT_EQ(sink_->text[0], "");
}

TEST_F(OutputTest, echo_puts_the_prompt_before_each_choice) {
  request::GenerateRequest request = asking("Once upon");
  request.echo = true;
  request.choice_count = 2;
  start(std::move(request));
  say(" a time", 1);
  say(" a day", 0);
  end(FinishReason::kAbort, cancelled("test"));
  EXPECT_EQ(sink_->text[0], "Once upon a day");
  EXPECT_EQ(sink_->text[1], "Once upon a time");
}

TEST_F(OutputTest, prompt_logprobs_come_once_and_begin_without_a_prediction) {
  request::GenerateRequest request = asking("Once upon a");
  request.sampling.prompt_logprobs = 1;
  request.choice_count = 2;
  const std::vector<TokenId> prompt = request.prompt;
  start(std::move(request));
  for (std::size_t i = 1; i < prompt.size(); ++i) {
    TokenEvent event;
    event.kind = TokenEvent::Kind::kPromptToken;
    event.request = &active_;
    event.sampled.id = prompt[i];
    event.sampled.logprob = -1.5F;
    event.sampled.top_count = 1;
    event.sampled.top[0] = {prompt[i], -1.5F};
    writer_.write(event);
  }
  say(" time", 0);
  say(" time", 1);
  end();
  const auto& logprobs = sink_->deltas[0].prompt_logprobs;
  ASSERT_EQ(logprobs.size(), prompt.size());
  EXPECT_FALSE(logprobs[0].logprob.has_value());
  EXPECT_EQ(logprobs[0].bytes, tokenizer_->token_bytes(prompt[0]));
  EXPECT_EQ(logprobs[1].logprob, -1.5F);
  EXPECT_EQ(logprobs[1].top.at(0).bytes, tokenizer_->token_bytes(prompt[1]));
  for (std::size_t i = 1; i < sink_->deltas.size(); ++i) {
    EXPECT_TRUE(sink_->deltas[i].prompt_logprobs.empty());
  }
}

TEST_F(OutputTest, characters_that_span_tokens_come_out_whole) {
  start(asking("Say:"));
  const std::string text = "\xF0\x9F\x98\x80\xE2\x82\xAC";
  const std::vector<TokenId> ids = tokenizer_->encode(text);
  ASSERT_GT(ids.size(), 2U);
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) token(ids[i]);
  // The last byte of the second character never comes.
  end(FinishReason::kAbort, cancelled("test"));
  EXPECT_EQ(sink_->text[0], "\xF0\x9F\x98\x80\xEF\xBF\xBD");
}

TEST_F(OutputTest, a_failure_ends_every_open_choice_once) {
  request::GenerateRequest request = asking("x");
  request.choice_count = 3;
  start(std::move(request));
  say(" a", 1);
  last_token(0, FinishReason::kStop, /*hidden=*/true, 2);
  end(FinishReason::kError, internal_error("not finite"));
  EXPECT_EQ(sink_->finish[0], FinishReason::kError);
  EXPECT_EQ(sink_->finish[1], FinishReason::kError);
  EXPECT_EQ(sink_->finish[2], FinishReason::kStop);
  EXPECT_EQ(sink_->end_count, 1);
  EXPECT_EQ(sink_->status.code(), StatusCode::kInternal);
  EXPECT_EQ(successes(observe::ModelMetrics::request_success_label::error), 1U);
}

TEST_F(OutputTest, every_end_is_one_outcome_and_that_of_a_probe_is_none) {
  const auto outcomes = [this] { return metrics_.outcomes.read(TimePoint{}); };
  start(asking("x"));
  active_.first_token_at = TimePoint(std::chrono::seconds(1));
  end();
  EXPECT_EQ(outcomes().succeeded, 1U);
  EXPECT_EQ(outcomes().ended_unanswered, 0U);
  active_.first_token_at = {};
  start(asking("x"));
  end(FinishReason::kAbort, cancelled("the client left"));
  EXPECT_EQ(outcomes().cancelled, 1U);
  EXPECT_EQ(outcomes().ended_unanswered, 1U);
  start(asking("x"));
  end(FinishReason::kAbort, deadline_exceeded("too late"));
  EXPECT_EQ(outcomes().failed, 1U);
  start(asking("x"));
  active_.not_finite = true;
  end(FinishReason::kError, internal_error("not finite"));
  EXPECT_EQ(outcomes().non_finite, 1U);
  EXPECT_EQ(outcomes().failed, 2U);
  request::GenerateRequest probe = asking("x");
  probe.is_probe = true;
  start(std::move(probe));
  end(FinishReason::kError, internal_error("not finite"));
  EXPECT_EQ(outcomes().judged(), 3U);
}

}  // namespace
}  // namespace inferneo::engine
