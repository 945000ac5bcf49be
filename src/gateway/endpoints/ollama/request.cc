#include "gateway/endpoints/ollama/request.h"

#include <algorithm>
#include <ctime>
#include <limits>
#include <utility>

#include "base/limits.h"
#include "gateway/endpoints/keep_alive.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints::ollama {
namespace {

using text::Value;

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

template <typename Target, typename T>
Status assign(Target& target, Result<T> read) {
  if (!read.has_value()) return std::move(read).error();
  target = *std::move(read);
  return ok_status();
}

// One option: what it does to the request. Null: accepted, since it tells how another engine is to
// be run, or has no effect at the only value accepted here.
struct Option {
  std::string_view name;
  Status (*bind)(Value& value, ChatRequest& chat) = nullptr;
};

Status bind_num_predict(Value& value, ChatRequest& chat) {
  ASSIGN_OR_RETURN(const std::int32_t count, read_int32(value, -2, kInt32Max));
  // -1 and -2: as long as the context lasts.
  if (count > 0) chat.max_tokens = count;
  return count == 0 ? invalid_argument("must be 1 or more, or -1 for no limit") : ok_status();
}

Status bind_seed(Value& value, ChatRequest& chat) {
  ASSIGN_OR_RETURN(const std::int64_t seed,
                   read_integer(value,
                                std::numeric_limits<std::int64_t>::min(),
                                std::numeric_limits<std::int64_t>::max()));
  chat.sampling.seed = static_cast<std::uint64_t>(seed);
  return ok_status();
}

Status bind_stop(Value& value, ChatRequest& chat) {
  const Value::List* list = value.as_list();
  std::vector<Value> one{value};
  if (list == nullptr && value.as_string() != nullptr) list = &one;
  if (list == nullptr) return wrong_value("a string or a list of strings", value);
  if (list->size() > limits::kStopCountMax) {
    return invalid_argument(str("holds more than ", limits::kStopCountMax, " strings"));
  }
  for (Value item : *list) {
    ASSIGN_OR_RETURN(std::string text, take_string(item, limits::kStopSizeMax));
    if (text.empty()) return invalid_argument("must not be empty");
    chat.sampling.stop.push_back(std::move(text));
  }
  return ok_status();
}

Status bind_top_k(Value& value, ChatRequest& chat) {
  return assign(chat.top_k, read_int32(value, 0, kInt32Max));
}

// Samplers that are not available, at the value that switches them off.
Status accept_off(Value& value, double off) {
  ASSIGN_OR_RETURN(const float number, read_number(value, {.min = -1e9, .max = 1e9}));
  return static_cast<double>(number) == off
             ? ok_status()
             : unsupported(str(
                   "is not supported: this sampler is not available; only ", off, " is accepted"));
}

#define BIND(expression) [](Value& value, ChatRequest& chat) -> Status { return expression; }

constexpr Option kOptions[] = {
    {"num_predict", bind_num_predict},
    {"temperature", BIND(assign(chat.temperature, read_number(value, {.min = 0, .max = 2})))},
    {"top_k", bind_top_k},
    {"top_p",
     BIND(assign(chat.top_p, read_number(value, {.min = 0, .max = 1, .min_excluded = true})))},
    {"min_p", BIND(assign(chat.min_p, read_number(value, {.min = 0, .max = 1})))},
    {"seed", bind_seed},
    {"stop", bind_stop},
    {"repeat_penalty",
     BIND(assign(chat.repetition_penalty,
                 read_number(value, {.min = 0, .max = 10, .min_excluded = true})))},
    {"presence_penalty",
     BIND(assign(chat.sampling.presence_penalty, read_number(value, {.min = -2, .max = 2})))},
    {"frequency_penalty",
     BIND(assign(chat.sampling.frequency_penalty, read_number(value, {.min = -2, .max = 2})))},
    {"typical_p", BIND((static_cast<void>(chat), accept_off(value, 1)))},
    {"tfs_z", BIND((static_cast<void>(chat), accept_off(value, 1)))},
    {"mirostat", BIND((static_cast<void>(chat), accept_off(value, 0)))},
    {"mirostat_tau"},
    {"mirostat_eta"},
    {"num_ctx"},
    {"num_keep"},
    {"repeat_last_n"},
    {"penalize_newline"},
    {"num_batch"},
    {"num_gpu"},
    {"main_gpu"},
    {"num_thread"},
    {"num_gqa"},
    {"numa"},
    {"low_vram"},
    {"f16_kv"},
    {"logits_all"},
    {"vocab_only"},
    {"use_mmap"},
    {"use_mlock"},
    {"embedding_only"},
};
#undef BIND

Status bind_options(Value& value, CommonRequest& request) {
  Value::Dict* options = value.as_dict();
  if (options == nullptr) return wrong_value("an object", value);
  for (auto& [name, option] : *options) {
    if (option.is_null()) continue;
    const auto* known = std::ranges::find(kOptions, name, &Option::name);
    const std::string where = str("options.", printable(name));
    if (known == std::end(kOptions)) {
      std::vector<std::string_view> names;
      for (const Option& row : kOptions) names.push_back(row.name);
      return unknown_field(name, names).with_where(where);
    }
    if (known->bind == nullptr) continue;
    Status status = known->bind(option, request.chat);
    if (!status.ok()) return std::move(status).with_where(where);
  }
  return ok_status();
}

Status bind_model(Value& value, CommonRequest& request) {
  return assign(request.chat.model, take_string(value, limits::kNameFieldSizeMax));
}

Status bind_stream(Value& value, CommonRequest& request) {
  return assign(request.chat.stream, read_bool(value));
}

Status bind_keep_alive(Value& value, CommonRequest& request) {
  return assign(request.chat.keep_alive, read_keep_alive(value));
}

void set_thinking(bool on, ChatRequest& chat) {
  chat.enable_thinking = on;
  chat.prompt.template_arguments.set("enable_thinking", Value(on));
}

// true, false, or a level, which models here do not tell apart.
Status bind_think(Value& value, CommonRequest& request) {
  const std::string* level = value.as_string();
  if (level != nullptr && (*level == "low" || *level == "medium" || *level == "high")) {
    set_thinking(true, request.chat);
    return ok_status();
  }
  if (value.as_bool() == nullptr) {
    return wrong_value("true, false, \"low\", \"medium\" or \"high\"", value);
  }
  set_thinking(*value.as_bool(), request.chat);
  return ok_status();
}

// "json", a JSON schema, or nothing.
Status bind_format(Value& value, CommonRequest& request) {
  StructuredOutput& structured = request.chat.structured;
  const std::string* name = value.as_string();
  if (name != nullptr && name->empty()) return ok_status();
  if (name != nullptr && *name == "json") {
    structured.kind = StructuredOutput::Kind::kJsonObject;
  } else if (value.as_dict() != nullptr) {
    structured.kind = StructuredOutput::Kind::kJsonSchema;
    structured.schema = std::move(value);
  } else {
    return wrong_value("\"json\" or a JSON schema", value);
  }
  structured.field = "format";
  return ok_status();
}

constexpr auto kWorks = FieldUse::kWorks;

constexpr Field<CommonRequest> kModelFields[] = {
    {{"model",
      kWorks,
      "name of a served model, with or without \":latest\"; may be left out when one is served"},
     bind_model},
    {{"options",
      kWorks,
      "num_predict, temperature, top_k, top_p, min_p, seed, stop, repeat_penalty, "
      "presence_penalty, frequency_penalty; accepted without effect: num_ctx, num_keep, "
      "repeat_last_n, and what tells how an engine is run (num_gpu, num_thread, use_mmap, ...)"},
     bind_options},
    {{"keep_alive",
      kWorks,
      "how long the model stays in memory after this request: seconds, or \"5m\"; 0 unloads it, -1 "
      "keeps it; default as configured"},
     bind_keep_alive},
};

constexpr Field<CommonRequest> kCommonFields[] = {
    kModelFields[0],
    {{"stream", kWorks, "send one JSON object a line; default true"}, bind_stream},
    kModelFields[1],
    kModelFields[2],
    {{"think", kWorks, "let the model reason before it answers: true, false or a level"},
     bind_think},
    {{"format", kWorks, "\"json\", or a JSON schema that the answer keeps to"}, bind_format},
};

Result<Value> translate_call(const Value& call, std::size_t index, const std::string& where) {
  const Value* function = call.find("function");
  const Value* name = function != nullptr ? function->find("name") : nullptr;
  if (name == nullptr || name->as_string() == nullptr) {
    return invalid_argument("must be a string").with_where(where + ".function.name");
  }
  const Value* arguments = function->find("arguments");
  if (arguments != nullptr && arguments->as_dict() == nullptr) {
    return invalid_argument("must be an object").with_where(where + ".function.arguments");
  }
  Value made_function;
  made_function.set("name", *name);
  made_function.set("arguments",
                    Value(arguments != nullptr ? text::to_json(*arguments) : std::string("{}")));
  Value made;
  made.set("id", Value(str("call_", index)));
  made.set("type", Value("function"));
  made.set("function", std::move(made_function));
  return made;
}

// Ids are made up in the order of the calls, and results are given them in the same order.
class MessageTranslator {
 public:
  Status add(Value& value, const std::string& where) {
    Value::Dict* message = value.as_dict();
    if (message == nullptr) return wrong_value("an object", value).with_where(where);
    const Value* role = value.find("role");
    const bool is_tool =
        role != nullptr && role->as_string() != nullptr && *role->as_string() == "tool";
    Value made;
    for (auto& [name, member] : *message) {
      if (member.is_null()) continue;
      Status status = add_member(name, member, is_tool, where, made);
      if (!status.ok()) return status;
    }
    if (is_tool && made.find("tool_call_id") == nullptr) {
      made.set("tool_call_id", Value(str("call_", answered_count_++)));
    }
    if (made.find("content") == nullptr && made.find("tool_calls") == nullptr) {
      made.set("content", Value(""));
    }
    out_.push_back(std::move(made));
    return ok_status();
  }
  Value take() { return Value(std::move(out_)); }

 private:
  Status add_member(
      const std::string& name, Value& member, bool is_tool, const std::string& where, Value& made) {
    if (name == "role" || name == "content" || name == "tool_call_id") {
      made.set(name, std::move(member));
    } else if (name == "thinking") {
      made.set("reasoning_content", std::move(member));
    } else if (name == "tool_name" || name == "name") {
      if (is_tool) made.set("name", std::move(member));
    } else if (name == "images") {
      if (member.as_list() == nullptr || !member.as_list()->empty()) {
        return unsupported("is not supported: the model reads text only")
            .with_where(where + ".images");
      }
    } else if (name == "tool_calls") {
      return add_calls(member, where + ".tool_calls", made);
    } else {
      return invalid_argument("is not a field of a message")
          .with_where(str(where, ".", printable(name)));
    }
    return ok_status();
  }

  Status add_calls(const Value& calls, const std::string& where, Value& made) {
    const Value::List* list = calls.as_list();
    if (list == nullptr) return wrong_value("a list", calls).with_where(where);
    Value::List translated;
    for (std::size_t i = 0; i < list->size(); ++i) {
      ASSIGN_OR_RETURN(Value call,
                       translate_call((*list)[i], call_count_++, str(where, "[", i, "]")));
      translated.push_back(std::move(call));
    }
    if (!translated.empty()) made.set("tool_calls", Value(std::move(translated)));
    return ok_status();
  }

  Value::List out_;
  std::size_t call_count_ = 0;
  std::size_t answered_count_ = 0;
};

}  // namespace

std::span<const Field<CommonRequest>> common_fields() { return kCommonFields; }
std::span<const Field<CommonRequest>> model_fields() { return kModelFields; }

Result<Value> translate_messages(Value& value) {
  Value::List* list = value.as_list();
  if (list == nullptr) return wrong_value("a list of messages", value);
  MessageTranslator translator;
  for (std::size_t i = 0; i < list->size(); ++i) {
    RETURN_IF_ERROR(translator.add((*list)[i], str("messages[", i, "]")));
  }
  return translator.take();
}

std::string served_name(const Services& services, std::string name) {
  constexpr std::string_view kTag = ":latest";
  if (!name.ends_with(kTag)) return name;
  for (const auto& model : services.manager->list()) {
    if (model->name == name) return name;
  }
  name.resize(name.size() - kTag.size());
  return name;
}

std::string timestamp(std::chrono::system_clock::time_point time) {
  const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch());
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(since);
  const std::time_t seconds = whole.count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
  std::string fraction = str((since - whole).count());
  fraction.insert(0, 9 - fraction.size(), '0');
  return str(std::string_view(text, size), ".", fraction, "Z");
}

std::string timestamp_now() { return timestamp(std::chrono::system_clock::now()); }

}  // namespace inferneo::gateway::endpoints::ollama
