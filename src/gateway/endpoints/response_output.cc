#include "gateway/endpoints/response_output.h"

#include <iterator>
#include <utility>

#include "gateway/endpoints/answer_json.h"
#include "gateway/endpoints/generation.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::ReplyPart;
using text::Value;

constexpr std::size_t kIdSize = 32;

void write_logprobs(JsonWriter& json, std::span<const request::TokenLogprob> tokens) {
  json.key("logprobs");
  write_token_logprobs(json, tokens);
}

}  // namespace

JsonWriter ResponseEvents::begin(std::string& out, std::string_view type) {
  out += "event: ";
  out += type;
  out += "\ndata: ";
  JsonWriter json(out);
  json.begin_object();
  json.member("type", type);
  json.member("sequence_number", sequence_++);
  return json;
}

void ResponseEvents::end(JsonWriter& json, std::string& out) {
  json.end_object();
  out += "\n\n";
}

void ResponseOutput::add(const std::vector<ReplyPart>& parts,
                         std::vector<request::TokenLogprob>&& logprobs,
                         std::string& out) {
  std::move(logprobs.begin(), logprobs.end(), std::back_inserter(waiting_logprobs_));
  for (const ReplyPart& part : parts) {
    switch (part.kind) {
      case ReplyPart::Kind::kText:
        if (!is_open_ || items_.back().kind != Item::Kind::kMessage)
          open(Item::Kind::kMessage, out);
        add_text(part.text, out);
        break;
      case ReplyPart::Kind::kReasoning:
        waiting_logprobs_.clear();
        if (!is_open_ || items_.back().kind != Item::Kind::kReasoning) {
          open(Item::Kind::kReasoning, out);
        }
        items_.back().text += part.text;
        write_delta("response.reasoning_text.delta", part.text, out);
        break;
      case ReplyPart::Kind::kCall:
        waiting_logprobs_.clear();
        close("completed", out);
        items_.emplace_back();
        items_.back().kind = Item::Kind::kCall;
        items_.back().id = random_id("fc_", kIdSize);
        items_.back().name = part.text;
        items_.back().call_id = part.id;
        is_open_ = true;
        write_item_event("response.output_item.added", out);
        break;
      case ReplyPart::Kind::kArguments:
        waiting_logprobs_.clear();
        items_.back().text += part.text;
        write_delta("response.function_call_arguments.delta", part.text, out);
        break;
    }
  }
}

void ResponseOutput::add_text(std::string_view piece, std::string& out) {
  Item& item = items_.back();
  item.text += piece;
  if (events_ != nullptr) {
    JsonWriter json = events_->begin(out, "response.output_text.delta");
    write_place(json, true);
    json.member("delta", piece);
    write_logprobs(json, waiting_logprobs_);
    ResponseEvents::end(json, out);
  }
  std::move(waiting_logprobs_.begin(), waiting_logprobs_.end(), std::back_inserter(item.logprobs));
  waiting_logprobs_.clear();
}

void ResponseOutput::open(Item::Kind kind, std::string& out) {
  close("completed", out);
  items_.emplace_back();
  items_.back().kind = kind;
  items_.back().id = random_id(kind == Item::Kind::kMessage ? "msg_" : "rs_", kIdSize);
  is_open_ = true;
  write_item_event("response.output_item.added", out);
  write_part_event("response.content_part.added", out);
}

void ResponseOutput::close(std::string_view status, std::string& out) {
  if (!is_open_) return;
  Item& item = items_.back();
  item.status = status;
  if (events_ != nullptr) {
    const bool is_call = item.kind == Item::Kind::kCall;
    JsonWriter json =
        events_->begin(out,
                       is_call                             ? "response.function_call_arguments.done"
                       : item.kind == Item::Kind::kMessage ? "response.output_text.done"
                                                           : "response.reasoning_text.done");
    write_place(json, !is_call);
    if (is_call) json.member("name", item.name);
    json.member(is_call ? "arguments" : "text", item.text);
    if (item.kind == Item::Kind::kMessage) write_logprobs(json, item.logprobs);
    ResponseEvents::end(json, out);
    if (!is_call) write_part_event("response.content_part.done", out);
    write_item_event("response.output_item.done", out);
  }
  is_open_ = false;
}

void ResponseOutput::finish(bool is_complete, std::string& out) {
  if (items_.empty()) open(Item::Kind::kMessage, out);
  close(is_complete ? "completed" : "incomplete", out);
}

void ResponseOutput::write_place(JsonWriter& json, bool with_content) const {
  json.member("item_id", items_.back().id);
  json.member("output_index", items_.size() - 1);
  if (with_content) json.member("content_index", 0);
}

void ResponseOutput::write_delta(std::string_view type, std::string_view piece, std::string& out) {
  if (events_ == nullptr) return;
  JsonWriter json = events_->begin(out, type);
  write_place(json, items_.back().kind != Item::Kind::kCall);
  json.member("delta", piece);
  ResponseEvents::end(json, out);
}

void ResponseOutput::write_part_event(std::string_view type, std::string& out) {
  if (events_ == nullptr) return;
  JsonWriter json = events_->begin(out, type);
  write_place(json, true);
  json.key("part");
  write_part(json, items_.back());
  ResponseEvents::end(json, out);
}

void ResponseOutput::write_item_event(std::string_view type, std::string& out) {
  if (events_ == nullptr) return;
  JsonWriter json = events_->begin(out, type);
  json.member("output_index", items_.size() - 1);
  json.key("item");
  write_item(json, items_.back(), items_.back().status == "in_progress");
  ResponseEvents::end(json, out);
}

void ResponseOutput::write_part(JsonWriter& json, const Item& item) {
  json.begin_object();
  if (item.kind == Item::Kind::kReasoning) {
    json.member("type", "reasoning_text");
    json.member("text", item.text);
  } else {
    json.member("type", "output_text");
    json.member("text", item.text);
    json.key("annotations");
    json.begin_array();
    json.end_array();
    write_logprobs(json, item.logprobs);
  }
  json.end_object();
}

void ResponseOutput::write_item(JsonWriter& json, const Item& item, bool is_empty) {
  json.begin_object();
  json.member("id", item.id);
  if (item.kind == Item::Kind::kCall) {
    json.member("type", "function_call");
    json.member("status", item.status);
    json.member("call_id", item.call_id);
    json.member("name", item.name);
    json.member("arguments", item.text);
    json.end_object();
    return;
  }
  const bool is_message = item.kind == Item::Kind::kMessage;
  json.member("type", is_message ? "message" : "reasoning");
  json.member("status", item.status);
  if (is_message) {
    json.member("role", "assistant");
  } else {
    json.key("summary");
    json.begin_array();
    json.end_array();
  }
  json.key("content");
  json.begin_array();
  if (!is_empty) write_part(json, item);
  json.end_array();
  json.end_object();
}

void ResponseOutput::write(JsonWriter& json) const {
  json.begin_array();
  for (const Item& item : items_) write_item(json, item, false);
  json.end_array();
}

Value ResponseOutput::message() const {
  std::string text;
  std::string reasoning;
  Value::List calls;
  for (const Item& item : items_) {
    if (item.kind == Item::Kind::kMessage) text += item.text;
    if (item.kind == Item::Kind::kReasoning) reasoning += item.text;
    if (item.kind != Item::Kind::kCall) continue;
    Value function{Value::Dict{}};
    function.set("name", Value(item.name));
    function.set("arguments", Value(item.text));
    Value call{Value::Dict{}};
    call.set("id", Value(item.call_id));
    call.set("type", Value("function"));
    call.set("function", std::move(function));
    calls.push_back(std::move(call));
  }
  Value message{Value::Dict{}};
  message.set("role", Value("assistant"));
  message.set("content", Value(std::move(text)));
  if (!reasoning.empty()) message.set("reasoning_content", Value(std::move(reasoning)));
  if (!calls.empty()) message.set("tool_calls", Value(std::move(calls)));
  return message;
}

}  // namespace inferneo::gateway::endpoints
