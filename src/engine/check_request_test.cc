#include "engine/check_request.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace inferneo::engine {
namespace {

constexpr RequestLimits kLimits{100, 64, 3, 8};

request::GenerateRequest valid() {
  request::GenerateRequest request;
  request.prompt = {1, 2, 3};
  request.sampling.max_tokens = 10;
  return request;
}

struct Case {
  const char* where;
  const char* message;
  std::function<void(request::GenerateRequest&)> change;
};

TEST(CheckRequest, a_valid_request_passes) {
  bool too_long = true;
  EXPECT_TRUE(check_request(valid(), kLimits, too_long).ok());
  EXPECT_FALSE(too_long);
}

TEST(CheckRequest, each_parameter_is_named_with_its_value) {
  const Case cases[] = {
      {"prompt", "no tokens", [](auto& r) { r.prompt.clear(); }},
      {"prompt[1]", "100 is not in the vocabulary of 100", [](auto& r) { r.prompt[1] = 100; }},
      {"prompt[2]", "token id -1", [](auto& r) { r.prompt[2] = -1; }},
      {"max_tokens", "not be negative, but is -5", [](auto& r) { r.sampling.max_tokens = -5; }},
      {"min_tokens", "not 11", [](auto& r) { r.sampling.min_tokens = 11; }},
      {"min_tokens", "not -1", [](auto& r) { r.sampling.min_tokens = -1; }},
      {"n", "between 1 and 8, not 0", [](auto& r) { r.choice_count = 0; }},
      {"n", "not 1000000", [](auto& r) { r.choice_count = 1'000'000; }},
      {"logit_bias",
       "token id 100",
       [](auto& r) {
         r.sampling.logit_bias = {{100, 1}};
       }},
      {"logit_bias",
       "bias 101",
       [](auto& r) {
         r.sampling.logit_bias = {{1, 101}};
       }},
      {"logit_bias",
       "bias nan",
       [](auto& r) {
         r.sampling.logit_bias = {{1, std::nanf("")}};
       }},
      {"stop_token_ids", "token id -2", [](auto& r) { r.sampling.stop_token_ids = {-2}; }},
      {"logprobs", "not 21", [](auto& r) { r.sampling.logprobs = 21; }},
      {"prompt_logprobs", "not -1", [](auto& r) { r.sampling.prompt_logprobs = -1; }},
      {"temperature", "not -1", [](auto& r) { r.sampling.temperature = -1; }},
      {"temperature", "not nan", [](auto& r) { r.sampling.temperature = std::nanf(""); }},
      {"top_p", "not 0", [](auto& r) { r.sampling.top_p = 0; }},
      {"min_p", "not 2", [](auto& r) { r.sampling.min_p = 2; }},
      {"top_k", "not -1", [](auto& r) { r.sampling.top_k = -1; }},
      {"repetition_penalty", "not 0", [](auto& r) { r.sampling.repetition_penalty = 0; }},
  };
  for (const Case& item : cases) {
    request::GenerateRequest request = valid();
    item.change(request);
    bool too_long = false;
    const Status status = check_request(request, kLimits, too_long);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(status.where(), item.where);
    EXPECT_NE(status.message().find(item.message), std::string::npos) << status.message();
    EXPECT_FALSE(too_long);
  }
}

TEST(CheckRequest, lengths_are_refused_with_numbers) {
  bool too_long = false;
  request::GenerateRequest request = valid();
  request.prompt.assign(64, 1);
  Status status = check_request(request, kLimits, too_long);
  EXPECT_EQ(status.where(), "prompt");
  EXPECT_NE(status.message().find("64 tokens"), std::string::npos);
  EXPECT_TRUE(too_long);

  request = valid();
  request.sampling.max_tokens = 62;
  status = check_request(request, kLimits, too_long);
  EXPECT_EQ(status.where(), "max_tokens");
  EXPECT_NE(status.message().find("make 65 tokens"), std::string::npos);
  EXPECT_NE(status.hint().find("at most 61"), std::string::npos);
  EXPECT_TRUE(too_long);

  request.sampling.max_tokens = 2'147'483'647;
  EXPECT_EQ(check_request(request, kLimits, too_long).where(), "max_tokens");
}

TEST(CheckRequest, what_never_fits_the_pool_is_refused) {
  bool too_long = false;
  request::GenerateRequest request = valid();
  // Three blocks hold 48 tokens, and the last token needs no place.
  request.sampling.max_tokens = 46;
  EXPECT_TRUE(check_request(request, kLimits, too_long).ok());
  request.sampling.max_tokens = 47;
  const Status status = check_request(request, kLimits, too_long);
  EXPECT_EQ(status.where(), "max_tokens");
  EXPECT_NE(status.message().find("whole pool holds 48"), std::string::npos);
  EXPECT_TRUE(too_long);
}

}  // namespace
}  // namespace inferneo::engine
