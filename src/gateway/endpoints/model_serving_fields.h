// Request bodies of the management API.
// Thread: any.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "base/limits.h"
#include "gateway/endpoints/field.h"
#include "gateway/endpoints/json_reader.h"
#include "gateway/http/server.h"
#include "manager/catalog_record.h"

namespace inferneo::gateway::endpoints {

// Paths on a file system stay below what Linux takes.
inline constexpr std::size_t kPathSizeMax = 4096;
inline constexpr std::size_t kReasonSizeMax = 1024;
inline constexpr std::size_t kModelIdSizeMax =
    limits::kModelNameSizeMax + 1 + limits::kModelVersionSizeMax;

// An object of configuration keys; values may be texts, numbers, true or false.
Result<manager::ModelSettings> read_settings(const text::Value& value);
Result<std::vector<std::string>> read_texts(const text::Value& value,
                                            std::size_t count_max,
                                            std::size_t size_max);

// "name" or "name:version", with the version of a second field when that is given ("latest" is the
// live one). Failures: invalid_argument at the field.
Result<manager::ModelReference> reference_of(const std::string& model_id,
                                             const std::string& version);
// The same as text; an alias stays as it is.
Result<std::string> target_of(const std::string& model_id, const std::string& version);

template <typename Request, std::size_t kCount>
Result<Request> read_body(const http::Exchange& exchange, const Field<Request> (&fields)[kCount]) {
  ASSIGN_OR_RETURN(text::Value::Dict body, parse_json_object(exchange.request().body));
  Request request;
  RETURN_IF_ERROR(bind_fields(
      body, std::span<const Field<Request>>(), std::span<const Field<Request>>(fields), request));
  return request;
}

template <typename Request, std::size_t kCount>
std::vector<FieldRow> rows_of(const Field<Request> (&fields)[kCount]) {
  std::vector<FieldRow> rows;
  append_rows(std::span<const Field<Request>>(fields), rows);
  return rows;
}

// Binds a member of the request struct.
template <auto kMember, typename Request>
Status bind_flag(text::Value& value, Request& request) {
  ASSIGN_OR_RETURN(request.*kMember, read_bool(value));
  return ok_status();
}
template <auto kMember, std::size_t kSizeMax, typename Request>
Status bind_text(text::Value& value, Request& request) {
  ASSIGN_OR_RETURN(request.*kMember, take_string(value, kSizeMax));
  return ok_status();
}
template <auto kMember, typename Request>
Status bind_settings(text::Value& value, Request& request) {
  ASSIGN_OR_RETURN(request.*kMember, read_settings(value));
  return ok_status();
}
template <auto kMember, typename Request>
Status bind_tags(text::Value& value, Request& request) {
  ASSIGN_OR_RETURN(request.*kMember,
                   read_texts(value, limits::kCatalogTagCountMax, limits::kCatalogTagSizeMax));
  return ok_status();
}

}  // namespace inferneo::gateway::endpoints
