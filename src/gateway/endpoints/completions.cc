#include <utility>

#include "base/str.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/fill_in_middle.h"
#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/prompts.h"

namespace inferneo::gateway::endpoints {
namespace {

// Spec: OpenAI's default for this endpoint.
constexpr std::int32_t kMaxTokensDefault = 16;

Result<std::vector<TokenId>> prompt_ids(const manager::ServedModel& model,
                                        const CompletionRequest& completion,
                                        const TextOrIds& prompt) {
  if (const auto* ids = std::get_if<std::vector<TokenId>>(&prompt)) return *ids;
  if (!completion.suffix.empty()) {
    return fill_in_middle_prompt(model,
                                 std::get<std::string>(prompt),
                                 completion.suffix,
                                 completion.add_special_tokens.value_or(true));
  }
  return encode(model, std::get<std::string>(prompt), completion.add_special_tokens.value_or(true));
}

AnswerOptions answer_options(const CompletionRequest& completion,
                             const manager::ServedModel& model) {
  AnswerOptions options;
  options.identity = make_identity("cmpl-", model);
  options.choice_count = completion.choice_count;
  options.logprobs = completion.sampling.logprobs.has_value();
  options.prompt_logprobs = completion.prompt_logprobs.has_value();
  options.echo = completion.echo;
  options.return_token_ids = completion.return_token_ids;
  options.include_usage = completion.include_usage;
  options.continuous_usage = completion.continuous_usage;
  options.return_timings = completion.return_timings;
  options.skip_special_tokens = completion.skip_special_tokens;
  options.tokenizer = model.tokenizer.get();
  return options;
}

Result<CompletionRequest> read(const http::Request& http_request) {
  ASSIGN_OR_RETURN(text::Value::Dict body, parse_json_object(http_request.body));
  return bind_completion_request(std::move(body));
}

Result<GenerationJob> prepare(const CompletionRequest& completion,
                              manager::Lease lease,
                              TimePoint started_at) {
  const manager::ServedModel& model = lease.model();
  AnswerOptions options = answer_options(completion, model);
  std::vector<request::GenerateRequest> requests;
  for (std::size_t i = 0; i < completion.prompts.size(); ++i) {
    const TextOrIds& prompt = completion.prompts[i];
    ASSIGN_OR_RETURN(std::vector<TokenId> ids, prompt_ids(model, completion, prompt));
    const std::string field = completion.prompts.size() == 1 ? "prompt" : str("prompt[", i, "]");
    ASSIGN_OR_RETURN(
        request::GenerateRequest request,
        make_generate_request(model, completion, std::move(ids), kMaxTokensDefault, field));
    options.prompts.push_back(make_answer_prompt(model, prompt, request.prompt));
    requests.push_back(std::move(request));
  }
  return GenerationJob{.lease = std::move(lease),
                       .requests = std::move(requests),
                       .answer = completion.stream ? make_completion_stream(std::move(options))
                                                   : make_completion_answer(std::move(options)),
                       .stream = completion.stream,
                       .started_at = started_at};
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  const TimePoint started_at = services.clock->now();
  Result<CompletionRequest> completion = read(exchange->request());
  if (!completion.has_value()) return exchange->respond(http::error_response(completion.error()));
  GenerationPlan plan{.model = completion->model,
                      .wait = {.events = completion->stream, .keep_alive = completion->keep_alive},
                      .make_job = {}};
  plan.make_job = [completion = *std::move(completion), started_at](manager::Lease lease) {
    return prepare(completion, std::move(lease), started_at);
  };
  generate(services, exchange, std::move(plan));
}

}  // namespace

extern const Endpoint kCompletionsEndpoint;
const Endpoint kCompletionsEndpoint{
    .method = "POST",
    .path = "/v1/completions",
    .summary = "The continuation of one or more prompts, whole or streamed",
    .handle = handle,
    .fields = completion_field_rows,
};

}  // namespace inferneo::gateway::endpoints
