// links: inferneo_gateway_endpoints
// Arbitrary bytes as what other dialects and batches send: Anthropic's messages, Ollama's messages,
// lines of a batch and of its results, uploaded forms.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "gateway/endpoints/anthropic/request.h"
#include "gateway/endpoints/batch/multipart.h"
#include "gateway/endpoints/batch/runner.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/ollama/request.h"
#include "gateway/endpoints/query.h"

namespace {

using namespace inferneo;
using namespace inferneo::gateway::endpoints;

void check_refusal(const Status& status) {
  CHECK(status.code() == StatusCode::kInvalidArgument || status.code() == StatusCode::kUnsupported);
  CHECK(!status.message().empty());
  CHECK(utf8::is_valid(status.message()));
  CHECK(utf8::is_valid(status.where()));
}

void check_anthropic(const text::Value::Dict& body, bool counts_only) {
  const auto request = anthropic::bind_messages_request(body, counts_only);
  if (!request.has_value()) return check_refusal(request.error());
  CHECK(counts_only || *request->chat.max_tokens >= 1);
  CHECK(request->stop_sequences.size() <= limits::kStopCountMax);
  for (const text::Value& message : *request->chat.prompt.messages.as_list()) {
    CHECK(utf8::is_valid(*message.find("content")->as_string()));
  }
}

void check_form(std::string_view body) {
  const auto parts = batch::parse_form("multipart/form-data; boundary=cut", body);
  if (!parts.has_value()) return check_refusal(parts.error());
  for (const batch::FormPart& part : *parts) {
    CHECK(!part.name.empty());
    CHECK(part.content.data() >= body.data());
    CHECK(part.content.data() + part.content.size() <= body.data() + body.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  check_form(body);
  const auto line = batch::parse_line(body, "");
  if (line.has_value()) {
    CHECK(batch::is_batch_endpoint(line->url));
    CHECK(parse_json_object(line->body).has_value());
  } else {
    check_refusal(line.error());
  }
  static_cast<void>(batch::read_result(body));
  static_cast<void>(query_value(body, "after"));
  Result<text::Value::Dict> object = parse_json_object(body);
  if (!object.has_value()) return 0;
  check_anthropic(*object, false);
  check_anthropic(*object, true);
  for (auto& [name, value] : *object) {
    if (name != "messages") continue;
    const auto messages = ollama::translate_messages(value);
    if (!messages.has_value()) check_refusal(messages.error());
  }
  return 0;
}
