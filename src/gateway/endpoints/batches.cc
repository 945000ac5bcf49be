// Requests of a file, run in the background.
// Spec: OpenAI API reference, Batch.
#include <utility>

#include "gateway/endpoints/batch/batches.h"
#include "gateway/endpoints/batch/pages.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/json_reader.h"

namespace inferneo::gateway::endpoints {
namespace {

using batch::BatchRecord;
using text::Value;

constexpr std::int64_t kListSizeDefault = 20;

Status bind_input_file(Value& value, BatchRecord& record) {
  ASSIGN_OR_RETURN(record.input_file_id, take_string(value, limits::kNameFieldSizeMax));
  return ok_status();
}

Status bind_endpoint(Value& value, BatchRecord& record) {
  ASSIGN_OR_RETURN(record.endpoint, take_string(value, limits::kNameFieldSizeMax));
  return ok_status();
}

Status bind_window(Value& value, BatchRecord& record) {
  const std::string* window = value.as_string();
  if (window == nullptr || *window != "24h") return wrong_value("\"24h\"", value);
  record.completion_window = *window;
  return ok_status();
}

// Spec: up to 16 pairs of strings, 64 and 512 characters.
Status bind_metadata(Value& value, BatchRecord& record) {
  const Value::Dict* pairs = value.as_dict();
  if (pairs == nullptr) return wrong_value("an object of strings", value);
  if (pairs->size() > 16) return invalid_argument("holds more than 16 pairs");
  for (const auto& [name, text] : *pairs) {
    if (text.as_string() == nullptr || name.size() > 64 || text.as_string()->size() > 512) {
      return invalid_argument(
          str("'", printable(name), "' must be a string of up to 512 bytes with a name up to 64"));
    }
  }
  record.metadata = value;
  return ok_status();
}

constexpr auto kWorks = FieldUse::kWorks;

constexpr Field<BatchRecord> kFields[] = {
    {{"input_file_id", kWorks, "a file of lines {custom_id, method, url, body}"}, bind_input_file},
    {{"endpoint",
      kWorks,
      "the url of all lines: /v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses, "
      "/v1/rerank or /v1/score"},
     bind_endpoint},
    {{"completion_window", kWorks, "\"24h\": what is not done by then expires"}, bind_window},
    {{"metadata", kWorks, "up to 16 pairs of strings, told back"}, bind_metadata},
    {{"output_expires_after", FieldUse::kRefused, "results stay until they are deleted"}, nullptr},
};

std::vector<FieldRow> field_rows() {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<BatchRecord>>(kFields), rows);
  return rows;
}

void handle_create(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_list(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_find(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_cancel(const Services& services, std::shared_ptr<http::Exchange> exchange);

}  // namespace

extern const Endpoint kBatchCreateEndpoint;
const Endpoint kBatchCreateEndpoint{
    .method = "POST",
    .path = "/v1/batches",
    .summary = "Runs the requests of a file in the background, behind all others",
    .handle = handle_create,
    .fields = field_rows,
};

extern const Endpoint kBatchesEndpoint;
const Endpoint kBatchesEndpoint{
    .method = "GET",
    .path = "/v1/batches",
    .summary = "The batches, newest first; limit and after in the query",
    .handle = handle_list,
};

extern const Endpoint kBatchEndpoint;
const Endpoint kBatchEndpoint{
    .method = "GET",
    .path = "/v1/batches/{id}",
    .summary = "One batch: its state, its counts, the files of its results",
    .handle = handle_find,
};

extern const Endpoint kBatchCancelEndpoint;
const Endpoint kBatchCancelEndpoint{
    .method = "POST",
    .path = "/v1/batches/{id}/cancel",
    .summary = "Stops a batch; the results so far are kept",
    .handle = handle_cancel,
    .body_type = "",
};

namespace {

http::Response describe(const BatchRecord& record) {
  http::Response response;
  JsonWriter json(response.body);
  batch::write_batch(json, record);
  return response;
}

void answer(http::Exchange& exchange, Result<http::Response> response) {
  exchange.respond(response.has_value() ? *std::move(response)
                                        : http::error_response(response.error()));
}

void answer(http::Exchange& exchange, const Result<BatchRecord>& record) {
  exchange.respond(record.has_value() ? describe(*record) : http::error_response(record.error()));
}

void answer_no_storage(http::Exchange& exchange) {
  exchange.respond(http::error_response(
      unavailable("this server keeps no files")
          .with_hint("files_dir names a directory for them; the log says what was wrong with it")));
}

Result<BatchRecord> create(batch::Batches& batches, const std::string& http_body) {
  ASSIGN_OR_RETURN(Value::Dict body, parse_json_object(http_body));
  BatchRecord record;
  RETURN_IF_ERROR(bind_fields(body,
                              std::span<const Field<BatchRecord>>(),
                              std::span<const Field<BatchRecord>>(kFields),
                              record));
  const std::pair<const std::string*, const char*> required[] = {
      {&record.input_file_id, "input_file_id"},
      {&record.endpoint, "endpoint"},
      {&record.completion_window, "completion_window"}};
  for (const auto& [value, name] : required) {
    if (!value->empty()) continue;
    return invalid_argument(str("'", name, "' must be given")).with_where(name);
  }
  return batches.create(std::move(record));
}

void handle_create(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (services.batches == nullptr) return answer_no_storage(*exchange);
  answer(*exchange, create(*services.batches, exchange->request().body));
}

void handle_list(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (services.batches == nullptr) return answer_no_storage(*exchange);
  answer(*exchange,
         batch::write_page(services.batches->list(),
                           exchange->request().head.query,
                           kListSizeDefault,
                           [](JsonWriter& json, const BatchRecord& record) {
                             batch::write_batch(json, record);
                           }));
}

void handle_find(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (services.batches == nullptr) return answer_no_storage(*exchange);
  answer(*exchange, services.batches->find(path_id(kBatchEndpoint, exchange->request().head.path)));
}

void handle_cancel(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (services.batches == nullptr) return answer_no_storage(*exchange);
  answer(*exchange,
         services.batches->cancel(path_id(kBatchCancelEndpoint, exchange->request().head.path)));
}

}  // namespace

}  // namespace inferneo::gateway::endpoints
