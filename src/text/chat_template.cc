#include "text/chat_template.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"
#include "base/mapped_file.h"
#include "base/str.h"
#include "base/utf8.h"
#include "text/json.h"
#include "text/template/evaluation.h"
#include "text/template/interpreter.h"
#include "text/template/parser.h"

namespace inferneo::text {
namespace {

using jinja::Evaluation;
using jinja::Object;

Result<Object> to_object(Evaluation& evaluation, const Value& value, std::size_t depth);

Result<Object> to_text_object(Evaluation& evaluation, const std::string& text) {
  RETURN_IF_ERROR(evaluation.work(text.size()));
  return Object::text(utf8::is_valid(text) ? text : utf8::sanitize(text));
}

Result<std::shared_ptr<jinja::Dict>> to_dict(Evaluation& evaluation,
                                             const Value::Dict& members,
                                             std::size_t depth) {
  auto dict = std::make_shared<jinja::Dict>();
  for (const auto& [name, member] : members) {
    ASSIGN_OR_RETURN(Object key, to_text_object(evaluation, name));
    ASSIGN_OR_RETURN(Object object, to_object(evaluation, member, depth + 1));
    const std::string canonical = str("s", key.as_text()->bytes);
    dict->insert(std::move(key), canonical, std::move(object));
  }
  return dict;
}

Result<Object> to_object(Evaluation& evaluation, const Value& value, std::size_t depth) {
  if (depth >= limits::kTemplateValueDepthMax) {
    return resource_exhausted(str("a value for the chat template is nested more than ",
                                  limits::kTemplateValueDepthMax,
                                  " levels deep"));
  }
  if (const bool* flag = value.as_bool()) return Object(*flag);
  if (const std::int64_t* number = value.as_int()) return Object(*number);
  if (const double* number = value.as_double()) return Object(*number);
  if (const std::string* text = value.as_string()) return to_text_object(evaluation, *text);
  if (const Value::List* list = value.as_list()) {
    std::vector<Object> items;
    items.reserve(list->size());
    for (const Value& item : *list) {
      ASSIGN_OR_RETURN(Object object, to_object(evaluation, item, depth + 1));
      items.push_back(std::move(object));
    }
    return evaluation.make_sequence(jinja::SequenceKind::kList, std::move(items));
  }
  if (const Value::Dict* members = value.as_dict()) {
    ASSIGN_OR_RETURN(std::shared_ptr<jinja::Dict> dict, to_dict(evaluation, *members, depth));
    return evaluation.make_dict(std::move(dict));
  }
  return Object();
}

}  // namespace

struct ChatTemplate::Impl {
  jinja::Body body;
  std::string source;
  std::string bos_token;
  std::string eos_token;
};

ChatTemplate::ChatTemplate(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ChatTemplate::~ChatTemplate() = default;

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::compile(std::string_view source,
                                                            std::string bos_token,
                                                            std::string eos_token) {
  if (source.size() > limits::kTemplateSizeMax) {
    return resource_exhausted(
        str("the chat template has more than ", limits::kTemplateSizeMax, " bytes"));
  }
  if (!utf8::is_valid(source)) return invalid_argument("the chat template is not valid UTF-8");
  auto impl = std::make_unique<Impl>();
  ASSIGN_OR_RETURN(impl->body, jinja::parse_template(source));
  impl->source = source;
  impl->bos_token = std::move(bos_token);
  impl->eos_token = std::move(eos_token);
  return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::move(impl)));
}

std::string_view ChatTemplate::source() const { return impl_->source; }

Result<std::string> ChatTemplate::render(const ChatInput& input) const {
  Value::Dict variables;
  variables.emplace_back("messages", input.messages);
  variables.emplace_back("tools", input.tools);
  variables.emplace_back("documents", Value());
  variables.emplace_back("add_generation_prompt", input.add_generation_prompt);
  // A model without the token has no such variable, as with transformers.
  if (!impl_->bos_token.empty()) variables.emplace_back("bos_token", impl_->bos_token);
  if (!impl_->eos_token.empty()) variables.emplace_back("eos_token", impl_->eos_token);
  if (const Value::Dict* arguments = input.arguments.as_dict()) {
    for (const auto& [name, value] : *arguments) {
      if (name == "messages" || name == "tools") {
        return invalid_argument(str("the template argument '", name, "' is set by the request"));
      }
      variables.emplace_back(name, value);
    }
  } else if (!input.arguments.is_null()) {
    return invalid_argument("the template arguments must be an object");
  }
  return render_variables(Value(std::move(variables)));
}

Result<std::string> ChatTemplate::render_variables(const Value& variables) const {
  static const Value::Dict kNone;
  const Value::Dict* members = variables.as_dict();
  if (!members && !variables.is_null()) {
    return invalid_argument("the variables of a chat template must be an object");
  }
  Evaluation evaluation;
  ASSIGN_OR_RETURN(const std::shared_ptr<jinja::Dict> root,
                   to_dict(evaluation, members ? *members : kNone, 0));
  jinja::Interpreter interpreter(evaluation, *root);
  return interpreter.run(impl_->body);
}

namespace {

// Absent when the file does not exist.
Result<std::optional<std::string>> read_if_present(const std::string& path, std::size_t size_max) {
  Result<std::string> text = read_file(path, size_max);
  if (text.has_value()) return std::optional<std::string>(*std::move(text));
  if (text.error().code() == StatusCode::kNotFound) return std::optional<std::string>();
  return std::move(text).error();
}

Result<Value> read_json_if_present(const std::string& path) {
  ASSIGN_OR_RETURN(const std::optional<std::string> text,
                   read_if_present(path, limits::kConfigFileSizeMax));
  if (!text) return Value();
  Result<Value> value = parse_json(*text);
  if (!value) return corrupt_data(str(path, ": ", value.error().message()));
  if (!value->as_dict()) return corrupt_data(str(path, ": expected a JSON object"));
  return value;
}

// A special token: a string or an object with a `content`; empty for null.
std::string token_text(const Value& config, std::string_view name) {
  const Value* token = config.find(name);
  if (!token) return {};
  if (const std::string* text = token->as_string()) return *text;
  const Value* content = token->find("content");
  const std::string* text = content ? content->as_string() : nullptr;
  return text ? *text : std::string();
}

// One template, or a list of {name, template} of which "default" is taken.
Result<std::optional<std::string>> choose_template(const Value& config, const std::string& path) {
  const Value* field = config.find("chat_template");
  if (!field || field->is_null()) return std::optional<std::string>();
  if (const std::string* text = field->as_string()) return std::optional<std::string>(*text);
  const Value::List* list = field->as_list();
  if (!list) return corrupt_data(str(path, ": chat_template is neither a string nor a list"));
  const std::string* only = nullptr;
  for (const Value& entry : *list) {
    const Value* name = entry.find("name");
    const Value* source = entry.find("template");
    if (!name || !name->as_string() || !source || !source->as_string()) {
      return corrupt_data(str(path, ": an entry of chat_template lacks its name or template"));
    }
    if (*name->as_string() == "default") return std::optional<std::string>(*source->as_string());
    only = source->as_string();
  }
  if (list->size() == 1) return std::optional<std::string>(*only);
  return corrupt_data(str(path, ": chat_template has several entries and none named 'default'"));
}

}  // namespace

Result<std::unique_ptr<ChatTemplate>> load_chat_template(const std::string& model_dir) {
  const std::string config_path = model_dir + "/tokenizer_config.json";
  ASSIGN_OR_RETURN(const Value config, read_json_if_present(config_path));
  std::string path = model_dir + "/chat_template.jinja";
  ASSIGN_OR_RETURN(std::optional<std::string> source,
                   read_if_present(path, limits::kTemplateSizeMax));
  if (!source) {
    path = model_dir + "/chat_template.json";
    ASSIGN_OR_RETURN(const Value document, read_json_if_present(path));
    ASSIGN_OR_RETURN(source, choose_template(document, path));
  }
  if (!source) {
    path = config_path;
    ASSIGN_OR_RETURN(source, choose_template(config, path));
  }
  if (!source) {
    return not_found(str(model_dir, " has no chat template"))
        .with_hint("expected chat_template.jinja, or chat_template in tokenizer_config.json");
  }
  auto compiled = ChatTemplate::compile(
      *source, token_text(config, "bos_token"), token_text(config, "eos_token"));
  if (!compiled) return std::move(compiled).error().with_context(path);
  return compiled;
}

namespace {

constexpr std::string_view kChatMl =
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

bool has_token(const TokenVocabulary& vocabulary, std::string_view name) {
  return std::ranges::find(vocabulary.tokens, name) != vocabulary.tokens.end();
}

std::string token_name(const TokenVocabulary& vocabulary, std::optional<std::int64_t> id) {
  const auto count = static_cast<std::int64_t>(vocabulary.tokens.size());
  if (!id || *id < 0 || *id >= count) return {};
  return std::string(vocabulary.tokens[static_cast<std::size_t>(*id)]);
}

}  // namespace

Result<std::unique_ptr<ChatTemplate>> load_chat_template(const ModelText& text) {
  if (!text.directory.empty()) return load_chat_template(text.directory);
  static const TokenVocabulary kNone;
  const TokenVocabulary& vocabulary = text.vocabulary ? *text.vocabulary : kNone;
  std::optional<std::string_view> source = text.chat_template;
  if (!source && has_token(vocabulary, "<|im_start|>") && has_token(vocabulary, "<|im_end|>")) {
    source = kChatMl;
  }
  if (!source) {
    return not_found("the model file holds no chat template (tokenizer.chat_template)");
  }
  auto compiled = ChatTemplate::compile(
      *source, token_name(vocabulary, vocabulary.bos), token_name(vocabulary, vocabulary.eos));
  if (!compiled) return std::move(compiled).error().with_context("tokenizer.chat_template");
  return compiled;
}

}  // namespace inferneo::text
