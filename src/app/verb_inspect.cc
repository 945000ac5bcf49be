#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "app/json_lines.h"
#include "app/model_host.h"
#include "app/model_spec.h"
#include "app/program.h"
#include "app/progress_line.h"
#include "app/verb.h"
#include "arch/arch.h"
#include "base/limits.h"
#include "base/str.h"
#include "formats/model_meta.h"
#include "runtimes/native/native_runtime.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace inferneo::app {
namespace {

struct InspectFlags {
  std::string model;
  bool json = false;
  bool architectures = false;
};

// A part of a directory that may be absent or broken without making the rest unreadable.
std::string presence(const Status& status) {
  if (status.ok()) return "yes";
  if (status.code() == StatusCode::kNotFound) return "none";
  return str("unusable: ", status.message());
}

Json shape_json(const formats::ModelMeta& meta) {
  Json json;
  const bool gguf = !meta.gguf_architecture.empty();
  json["class"] = gguf ? meta.gguf_architecture : meta.architecture;
  json["model_type"] = meta.model_type;
  json["layers"] = meta.layer_count;
  json["hidden_size"] = meta.hidden_size;
  json["ffn_size"] = meta.ffn_size;
  json["heads"] = meta.head_count;
  json["kv_heads"] = meta.kv_head_count;
  json["head_dim"] =
      meta.head_dim.value_or(meta.head_count > 0 ? meta.hidden_size / meta.head_count : 0);
  json["vocab_size"] = meta.vocab_size;
  json["context_tokens_max"] = meta.context_tokens_max;
  json["rope_type"] = meta.rope.type;
  if (meta.rope.theta) json["rope_theta"] = *meta.rope.theta;
  json["tied_embeddings"] = meta.tie_embeddings.value_or(false);
  return json;
}

const char* packed_from_name(runtime::PackedFrom from) {
  switch (from) {
    case runtime::PackedFrom::kWeights:
      return "weights";
    case runtime::PackedFrom::kCache:
      return "cache";
    case runtime::PackedFrom::kNothing:
      break;
  }
  return "nothing";
}

Json memory_json(const runtime::ModelInfo& info) {
  const auto block_tokens = static_cast<std::uint64_t>(limits::kKvBlockSizeTokens);
  const auto context = static_cast<std::uint64_t>(info.context_tokens_max);
  const std::uint64_t blocks = (context + block_tokens - 1) / block_tokens;
  Json json;
  json["weight_bytes"] = info.memory.weight_bytes;
  json["weight_copy_bytes"] = info.memory.weight_copy_bytes;
  json["weight_packed_bytes"] = info.memory.weight_packed_bytes;
  json["packed_from"] = packed_from_name(info.packed_from);
  json["packed_in_ms"] = info.packed_in.count();
  // Layers with a window keep the blocks of their last tokens alone.
  const std::int32_t reach = info.memory.kv_window_reach;
  const auto window_blocks =
      static_cast<std::uint64_t>(info.memory.kv_window_blocks_for(limits::kKvBlockSizeTokens));
  json["kv_bytes_per_token"] =
      (info.memory.kv_block_bytes + info.memory.kv_window_block_bytes) / block_tokens;
  json["kv_bytes_of_full_context"] =
      info.memory.kv_block_bytes * blocks +
      info.memory.kv_window_block_bytes * std::min(blocks, window_blocks);
  json["kv_window_tokens"] = reach > 0 ? reach + 1 : 0;
  json["workspace_bytes_per_token"] = info.memory.workspace_bytes_per_token;
  return json;
}

Json tokenizer_json(const text::ModelText& text) {
  const auto tokenizer = text::Tokenizer::load(text);
  Json json;
  json["present"] = presence(tokenizer.status());
  if (tokenizer.has_value()) {
    json["vocab_size"] = (*tokenizer)->vocab_size();
    json["style"] = (*tokenizer)->strips_leading_space() ? "sentencepiece" : "byte level";
  }
  return json;
}

Result<Json> inspect_model(const ModelSpec& spec, const Config& config) {
  ASSIGN_OR_RETURN(const formats::ModelMeta meta, runtimes::native::read_model_meta(spec.path));
  ASSIGN_OR_RETURN(const text::ModelText text, runtimes::native::open_model_text(spec.path));
  ASSIGN_OR_RETURN(const std::unique_ptr<ModelHost> host, ModelHost::create(config));
  ASSIGN_OR_RETURN(const std::shared_ptr<const runtime::Model> model,
                   host->native_runtime().load(spec.path, load_options(config), {}));
  const runtime::ModelInfo& info = model->info();
  Json json;
  json["name"] = spec.name;
  json["path"] = spec.path;
  json["format"] = meta.gguf_architecture.empty() ? "safetensors" : "gguf";
  json["architecture"] = info.architecture;
  json["parameters"] = info.parameter_count;
  json["weight_dtype"] = tensor::dtype_name(info.weight_dtype);
  json["arithmetic"] = info.arithmetic == runtime::Arithmetic::kF32 ? "f32" : "bf16";
  json["kv_dtype"] = tensor::dtype_name(info.kv_dtype);
  json["isa"] = info.isa;
  json["shape"] = shape_json(meta);
  json["memory"] = memory_json(info);
  json["tokenizer"] = tokenizer_json(text);
  json["chat_template"] = presence(text::load_chat_template(text).status());
  json["eos_token_ids"] = info.eos_token_ids;
  return json;
}

std::string text_report(const Json& json) {
  const Json& shape = json["shape"];
  const Json& memory = json["memory"];
  const auto number = [](const Json& value) { return value.get<std::uint64_t>(); };
  const auto word = [](const Json& value) { return value.get<std::string>(); };
  std::string out = str("model         ", word(json["name"]), " (", word(json["path"]), ")\n");
  out += str("architecture  ", word(json["architecture"]), " (", word(shape["class"]), ")\n");
  out += str("parameters    ",
             count_text(number(json["parameters"])),
             ", ",
             word(json["weight_dtype"]),
             " weights, ",
             word(json["arithmetic"]),
             " arithmetic on ",
             word(json["isa"]),
             "\n");
  out += str("shape         ",
             shape["layers"].dump(),
             " layers, hidden ",
             shape["hidden_size"].dump(),
             ", feed-forward ",
             shape["ffn_size"].dump(),
             ", ",
             shape["heads"].dump(),
             " heads over ",
             shape["kv_heads"].dump(),
             " key-value heads of ",
             shape["head_dim"].dump(),
             "\n");
  out += str("vocabulary    ", shape["vocab_size"].dump(), " tokens\n");
  out += str("context       ",
             shape["context_tokens_max"].dump(),
             " tokens, rope ",
             word(shape["rope_type"]),
             "\n");
  out += str("weights       ",
             byte_text(number(memory["weight_bytes"])),
             ", of which ",
             byte_text(number(memory["weight_copy_bytes"])),
             " copied");
  if (const std::string from = word(memory["packed_from"]); from != "nothing") {
    out += str("; ",
               byte_text(number(memory["weight_packed_bytes"])),
               from == "cache" ? " mapped from the packed cache in " : " packed in ",
               memory["packed_in_ms"].dump(),
               " ms");
  }
  out += '\n';
  out += str("KV cache      ",
             byte_text(number(memory["kv_bytes_per_token"])),
             " a token, ",
             byte_text(number(memory["kv_bytes_of_full_context"])),
             " for one full context\n");
  const Json& tokenizer = json["tokenizer"];
  out += str("tokenizer     ", word(tokenizer["present"]));
  if (tokenizer.contains("style")) {
    out += str(", ", word(tokenizer["style"]), ", ", tokenizer["vocab_size"].dump(), " tokens");
  }
  return out + str("\nchat template ", word(json["chat_template"]), "\n");
}

Result<int> print_architectures(bool as_json) {
  Json list = Json::array();
  std::string text;
  for (const arch::ArchSpec* spec : arch::arch_table()) {
    Json entry;
    entry["name"] = spec->name;
    entry["classes"] = Json::array();
    text += str(spec->name, ":");
    for (const std::string_view name : spec->class_names) {
      entry["classes"].push_back(name);
      text += str(" ", name);
    }
    entry["gguf"] = Json::array();
    for (const std::string_view name : spec->gguf_names) {
      entry["gguf"].push_back(name);
      text += str(" ", name, " (GGUF)");
    }
    text += '\n';
    list.push_back(std::move(entry));
  }
  if (as_json) text = list.dump(2) + "\n";
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

Result<int> inspect(const InspectFlags& flags, const Config& config) {
  if (flags.architectures) return print_architectures(flags.json);
  if (flags.model.empty()) {
    print_failure(
        invalid_argument("no model to inspect").with_hint("see `inferneo inspect --help`"));
    return kExitUsage;
  }
  ASSIGN_OR_RETURN(const ModelSpec spec, parse_model_spec(flags.model));
  ASSIGN_OR_RETURN(const Json json, inspect_model(spec, config));
  const std::string text = flags.json
                               ? json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                               : text_report(json);
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

VerbBody declare(CLI::App& command) {
  auto flags = std::make_shared<InspectFlags>();
  command.add_option("MODEL", flags->model, "GGUF file or model directory");
  command.add_flag("--json", flags->json, "Print one JSON object");
  command.add_flag(
      "--architectures", flags->architectures, "List the architectures this program knows");
  return [flags](const Config& config) { return inspect(*flags, config); };
}

}  // namespace

extern const Verb kInspectVerb;
const Verb kInspectVerb = {.name = "inspect",
                           .rank = 6,
                           .summary = "Show a model's architecture, shapes and memory",
                           .examples =
                               "  inferneo inspect models/starter\n"
                               "  inferneo inspect models/starter --json --dtype f32\n"
                               "  inferneo inspect --architectures",
                           .config = ConfigUse::kEngine,
                           .declare = declare};

}  // namespace inferneo::app
