#include "gateway/endpoints/ollama/model_details.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>

#include "gateway/endpoints/generation.h"
#include "gateway/endpoints/ollama/request.h"
#include "manager/catalog_record.h"

namespace inferneo::gateway::endpoints::ollama {

std::string parameter_size(std::uint64_t count) {
  const bool billions = count >= 1'000'000'000;
  const double units = static_cast<double>(count) / (billions ? 1e9 : 1e6);
  const auto tenths = static_cast<std::int64_t>(std::llround(units * 10));
  return str(tenths / 10, ".", tenths % 10, billions ? "B" : "M");
}

void write_details(JsonWriter& json, const manager::ServedModel& model) {
  const runtime::ModelInfo& info = model.model->info();
  std::string level(tensor::dtype_name(info.weight_dtype));
  std::transform(level.begin(), level.end(), level.begin(), [](unsigned char c) {
    return static_cast<char>(std::toupper(c));
  });
  json.key("details");
  json.begin_object();
  json.member("parent_model", "");
  json.member("format", info.path.ends_with(".gguf") ? "gguf" : "safetensors");
  json.member("family", info.architecture);
  json.key("families");
  json.begin_array();
  json.string(info.architecture);
  json.end_array();
  json.member("parameter_size", parameter_size(info.parameter_count));
  json.member("quantization_level", level);
  json.end_object();
}

namespace {

// By the bare name the version that it stands for, others by name:version.
void write_names(JsonWriter& json, const manager::VersionInfo& version) {
  const std::string name =
      version.live ? version.name : manager::model_id(version.name, version.version);
  const std::chrono::system_clock::time_point created{
      std::chrono::seconds(version.created_unix_seconds)};
  json.member("name", name);
  json.member("model", name);
  json.member("modified_at", timestamp(created));
}

}  // namespace

void write_model_members(JsonWriter& json, const manager::VersionInfo& version) {
  const manager::ServedModel& model = *version.model;
  write_names(json, version);
  json.member("size", model.model->info().memory.weight_bytes);
  json.member("digest", make_identity("", model).fingerprint);
  write_details(json, model);
}

void write_unloaded_members(JsonWriter& json, const manager::VersionInfo& version) {
  write_names(json, version);
  json.member("size", version.planned_bytes);
  json.member("digest", "");
  json.key("details");
  json.begin_object();
  json.member("parent_model", "");
  json.member("format", version.path.ends_with(".gguf") ? "gguf" : "safetensors");
  json.member("family", "");
  json.key("families");
  json.begin_array();
  json.end_array();
  json.member("parameter_size", "");
  json.member("quantization_level", "");
  json.end_object();
}

}  // namespace inferneo::gateway::endpoints::ollama
