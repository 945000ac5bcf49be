// links: inferneo_gateway_endpoints
// Arbitrary bytes as the bodies of chat and text completions. What binds must respect the limits
// that later stages rely on.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/json_reader.h"

namespace {

using namespace inferneo;
using namespace inferneo::gateway::endpoints;

void check_refusal(const Status& status) {
  CHECK(status.code() == StatusCode::kInvalidArgument || status.code() == StatusCode::kUnsupported);
  CHECK(!status.message().empty());
  CHECK(utf8::is_valid(status.message()));
  CHECK(utf8::is_valid(status.where()));
}

void check_params(const GenerationParams& params, bool shows_prompt) {
  CHECK(params.choice_count >= 1 && params.choice_count <= limits::kChoiceCountMax);
  const bool needs_tokens = !shows_prompt && !params.prompt_logprobs;
  CHECK(!params.max_tokens || *params.max_tokens >= (needs_tokens ? 1 : 0));
  CHECK(params.sampling.stop.size() <= limits::kStopCountMax);
  CHECK(params.sampling.stop_token_ids.size() <= limits::kStopTokenIdCountMax);
  CHECK(params.sampling.logit_bias.size() <= limits::kLogitBiasCountMax);
  CHECK(!(params.prompt_logprobs && params.stream));
  const request::SamplingParams sampling = resolve_sampling(params, {});
  CHECK(sampling.temperature >= 0 && sampling.temperature <= 2);
  CHECK(sampling.top_p >= 0 && sampling.top_p <= 1);
  CHECK(sampling.top_k >= 0);
  CHECK(sampling.min_tokens >= 0);
}

// Contents that reach a template are strings of valid UTF-8.
void check_messages(const text::Value& messages) {
  CHECK(messages.as_list() != nullptr && !messages.as_list()->empty());
  for (const text::Value& message : *messages.as_list()) {
    const text::Value::Dict& members = *message.as_dict();
    CHECK(members.size() >= 2);
    CHECK(members[0].first == "role" && members[1].first == "content");
    CHECK(utf8::is_valid(*members[1].second.as_string()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  Result<text::Value::Dict> object = parse_json_object(body);
  if (!object.has_value()) {
    check_refusal(object.error());
    return 0;
  }
  const Result<ChatRequest> chat = bind_chat_request(*object);
  if (chat.has_value()) {
    check_params(*chat, false);
    check_messages(chat->prompt.messages);
  } else {
    check_refusal(chat.error());
  }
  const Result<CompletionRequest> completion = bind_completion_request(*std::move(object));
  if (completion.has_value()) {
    check_params(*completion, completion->echo);
    CHECK(!completion->prompts.empty() && completion->prompts.size() <= limits::kPromptCountMax);
  } else {
    check_refusal(completion.error());
  }
  return 0;
}
