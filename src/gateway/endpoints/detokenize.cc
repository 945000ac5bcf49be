// Token ids to text. Spec: shapes of vLLM's /detokenize.
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/endpoints/json_response.h"
#include "gateway/endpoints/json_writer.h"
#include "gateway/endpoints/model_lease.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

struct DetokenizeRequest {
  std::string model;
  std::optional<std::vector<TokenId>> tokens;
};

Status bind_model(Value& value, DetokenizeRequest& request) {
  ASSIGN_OR_RETURN(request.model, take_string(value, 256));
  return ok_status();
}

Status bind_tokens(Value& value, DetokenizeRequest& request) {
  if (value.as_list() != nullptr && value.as_list()->empty()) {
    request.tokens.emplace();
    return ok_status();
  }
  ASSIGN_OR_RETURN(request.tokens, read_token_ids(value));
  return ok_status();
}

constexpr Field<DetokenizeRequest> kFields[] = {
    {{"model", FieldUse::kWorks, "name of a served model; may be left out when one is served"},
     bind_model},
    {{"tokens", FieldUse::kWorks, "list of token ids"}, bind_tokens},
};

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<DetokenizeRequest>>(kFields), rows);
  return rows;
}

Result<DetokenizeRequest> read(const std::string& http_body) {
  ASSIGN_OR_RETURN(Value::Dict body, parse_json_object(http_body));
  DetokenizeRequest request;
  RETURN_IF_ERROR(bind_fields(body,
                              std::span<const Field<DetokenizeRequest>>(),
                              std::span<const Field<DetokenizeRequest>>(kFields),
                              request));
  if (!request.tokens) return invalid_argument("'tokens' must be given").with_where("tokens");
  return request;
}

Result<std::string> detokenize(const DetokenizeRequest& request,
                               const manager::ServedModel& model) {
  const text::Tokenizer* tokenizer = model.tokenizer.get();
  if (tokenizer == nullptr) {
    return unsupported(str("model '", model.name, "' has no tokenizer")).with_where("model");
  }
  for (std::size_t i = 0; i < request.tokens->size(); ++i) {
    if (tokenizer->has_token((*request.tokens)[i])) continue;
    return invalid_argument(str("token id ",
                                (*request.tokens)[i],
                                " is not in the vocabulary of ",
                                tokenizer->vocab_size(),
                                " tokens"))
        .with_where(str("tokens[", i, "]"));
  }
  std::string out;
  JsonWriter json(out);
  json.begin_object();
  json.member("prompt", tokenizer->decode(*request.tokens, false));
  json.end_object();
  return out;
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  Result<DetokenizeRequest> request = read(exchange->request().body);
  if (!request.has_value()) return respond_json(*exchange, request.error());
  const std::string model = request->model;
  with_model(
      services,
      exchange,
      model,
      [exchange, request = *std::move(request)](const Result<manager::Lease>& lease) mutable {
        respond_json(*exchange,
                     lease.has_value() ? detokenize(request, lease->model()) : lease.error());
      });
}

}  // namespace

extern const Endpoint kDetokenizeEndpoint;
const Endpoint kDetokenizeEndpoint{
    .method = "POST",
    .path = "/detokenize",
    .summary = "The text of token ids",
    .handle = handle,
    .fields = field_rows,
};

}  // namespace inferneo::gateway::endpoints
