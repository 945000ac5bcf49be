// Files that batches read and write.
// Spec: OpenAI API reference, Files.
#include <charconv>
#include <utility>

#include "gateway/endpoints/batch/files.h"
#include "gateway/endpoints/batch/multipart.h"
#include "gateway/endpoints/batch/pages.h"
#include "gateway/endpoints/endpoint.h"

namespace inferneo::gateway::endpoints {
namespace {

using batch::FileRecord;

constexpr std::int64_t kListSizeDefault = 10'000;
// Headers of the parts and boundaries.
constexpr std::size_t kFormOverhead = 64 * 1024;

void handle_upload(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_list(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_find(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_delete(const Services& services, std::shared_ptr<http::Exchange> exchange);
void handle_content(const Services& services, std::shared_ptr<http::Exchange> exchange);

constexpr FieldRow kUploadFields[] = {
    {"file", FieldUse::kWorks, "the content, as a part with a file name; up to 64 MiB"},
    {"purpose", FieldUse::kWorks, "\"batch\""},
    {"expires_after[anchor]", FieldUse::kWorks, "\"created_at\""},
    {"expires_after[seconds]", FieldUse::kWorks, "3600 to 2592000; default: it stays"},
};

std::vector<FieldRow> upload_rows() { return {std::begin(kUploadFields), std::end(kUploadFields)}; }

}  // namespace

extern const Endpoint kFileUploadEndpoint;
const Endpoint kFileUploadEndpoint{
    .method = "POST",
    .path = "/v1/files",
    .summary = "Keeps a file for a batch; the body is a form (multipart/form-data)",
    .body_size_max = limits::kBatchFileSizeMax + kFormOverhead,
    .handle = handle_upload,
    .fields = upload_rows,
    .body_type = "multipart/form-data",
};

extern const Endpoint kFilesEndpoint;
const Endpoint kFilesEndpoint{
    .method = "GET",
    .path = "/v1/files",
    .summary = "The files, newest first; limit, after and purpose in the query",
    .handle = handle_list,
};

extern const Endpoint kFileEndpoint;
const Endpoint kFileEndpoint{
    .method = "GET",
    .path = "/v1/files/{id}",
    .summary = "One file",
    .handle = handle_find,
};

extern const Endpoint kFileDeleteEndpoint;
const Endpoint kFileDeleteEndpoint{
    .method = "DELETE",
    .path = "/v1/files/{id}",
    .summary = "Removes a file",
    .handle = handle_delete,
};

extern const Endpoint kFileContentEndpoint;
const Endpoint kFileContentEndpoint{
    .method = "GET",
    .path = "/v1/files/{id}/content",
    .summary = "The content of a file",
    .handle = handle_content,
};

namespace {

Status no_storage() {
  return unavailable("this server keeps no files")
      .with_hint("files_dir names a directory for them; the log says what was wrong with it");
}

void answer(http::Exchange& exchange, Result<http::Response> response) {
  exchange.respond(response.has_value() ? *std::move(response)
                                        : http::error_response(response.error()));
}

http::Response describe(const FileRecord& record) {
  http::Response response;
  JsonWriter json(response.body);
  batch::write_file(json, record);
  return response;
}

Result<std::int64_t> read_lifetime(std::string_view text) {
  std::int64_t seconds = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, seconds);
  // Spec: an hour to thirty days.
  if (parsed.ec == std::errc() && parsed.ptr == end && seconds >= 3600 && seconds <= 2'592'000) {
    return seconds;
  }
  return invalid_argument("'expires_after[seconds]' must be an integer from 3600 to 2592000")
      .with_where("expires_after[seconds]");
}

Result<http::Response> upload(batch::Files& files, const http::Request& request) {
  ASSIGN_OR_RETURN(const std::vector<batch::FormPart> parts,
                   batch::parse_form(request.head.header("content-type"), request.body));
  FileRecord record;
  const batch::FormPart* file = nullptr;
  for (const batch::FormPart& part : parts) {
    if (part.name == "file") {
      file = &part;
    } else if (part.name == "purpose") {
      record.purpose = part.content;
    } else if (part.name == "expires_after[seconds]") {
      ASSIGN_OR_RETURN(const std::int64_t seconds, read_lifetime(part.content));
      record.expires_at = batch::unix_now() + seconds;
    } else if (part.name != "expires_after[anchor]") {
      return invalid_argument(str("unknown field '", printable(part.name), "'"))
          .with_where(printable(part.name));
    }
  }
  if (file == nullptr) return invalid_argument("'file' must be given").with_where("file");
  if (record.purpose != "batch") {
    return invalid_argument("'purpose' must be \"batch\"").with_where("purpose");
  }
  if (file->content.size() > limits::kBatchFileSizeMax) {
    return resource_exhausted(str("the file has ",
                                  file->content.size(),
                                  " bytes, but at most ",
                                  limits::kBatchFileSizeMax,
                                  " are accepted"))
        .with_where("body");
  }
  record.filename = file->filename.empty() ? "file" : file->filename;
  ASSIGN_OR_RETURN(const FileRecord kept, files.add(std::move(record), file->content));
  return describe(kept);
}

void handle_upload(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (services.files == nullptr) return answer(*exchange, no_storage());
  answer(*exchange, upload(*services.files, exchange->request()));
}

Result<http::Response> list(const batch::Files& files, std::string_view query) {
  return batch::write_page(
      files.list(query_value(query, "purpose").value_or("")),
      query,
      kListSizeDefault,
      [](JsonWriter& json, const FileRecord& record) { batch::write_file(json, record); });
}

void handle_list(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (services.files == nullptr) return answer(*exchange, no_storage());
  answer(*exchange, list(*services.files, exchange->request().head.query));
}

void handle_find(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (services.files == nullptr) return answer(*exchange, no_storage());
  const Result<FileRecord> record =
      services.files->find(path_id(kFileEndpoint, exchange->request().head.path));
  answer(*exchange,
         record.has_value() ? Result<http::Response>(describe(*record)) : record.error());
}

void handle_delete(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (services.files == nullptr) return answer(*exchange, no_storage());
  const std::string_view id = path_id(kFileDeleteEndpoint, exchange->request().head.path);
  if (Status status = services.files->remove(id); !status.ok()) return answer(*exchange, status);
  http::Response response;
  JsonWriter json(response.body);
  json.begin_object();
  json.member("id", id);
  json.member("object", "file");
  json.key("deleted");
  json.boolean(true);
  json.end_object();
  exchange->respond(std::move(response));
}

void handle_content(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (services.files == nullptr) return answer(*exchange, no_storage());
  Result<std::string> content =
      services.files->read(path_id(kFileContentEndpoint, exchange->request().head.path));
  if (!content.has_value()) return answer(*exchange, content.error());
  http::Response response;
  response.content_type = "application/octet-stream";
  response.body = *std::move(content);
  exchange->respond(std::move(response));
}

}  // namespace

}  // namespace inferneo::gateway::endpoints
