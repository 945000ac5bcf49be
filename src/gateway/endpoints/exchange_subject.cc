#include "gateway/endpoints/exchange_subject.h"

#include <array>
#include <string>
#include <string_view>

#include "gateway/endpoints/json_reader.h"
#include "text/json.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {
namespace {

using routing::Subject;
using routing::SubjectHash;
using text::Value;

constexpr std::array<std::string_view, 3> kIdHeaders{
    "x-conversation-id", "x-session-id", "x-user-id"};
constexpr std::array<std::string_view, 4> kIdMembers{
    "session_id", "prompt_cache_key", "user", "safety_identifier"};
constexpr std::array<std::string_view, 2> kIdMetadata{"session_id", "user_id"};

// Empty unless it is a text.
std::string_view text_of(const Value* value) {
  const std::string* text = value != nullptr ? value->as_string() : nullptr;
  return text != nullptr ? std::string_view(*text) : std::string_view();
}

std::string_view id_in_body(const Value& body) {
  const Value* conversation = body.find("conversation");
  if (conversation != nullptr) {
    const std::string_view id = conversation->as_dict() != nullptr
                                    ? text_of(conversation->find("id"))
                                    : text_of(conversation);
    if (!id.empty()) return id;
  }
  for (const std::string_view member : kIdMembers) {
    if (const std::string_view id = text_of(body.find(member)); !id.empty()) return id;
  }
  if (const Value* metadata = body.find("metadata")) {
    for (const std::string_view member : kIdMetadata) {
      if (const std::string_view id = text_of(metadata->find(member)); !id.empty()) return id;
    }
  }
  return {};
}

// A content is a text or a list of parts; whatever it is, equal contents have equal texts.
std::string content_text(const Value* content) {
  if (content == nullptr) return {};
  const std::string* text = content->as_string();
  return text != nullptr ? *text : text::to_json(*content);
}

// Adds what comes before the first answer: system texts and the first message of the user.
// False when no message of the user is there.
bool add_opening(const Value& messages, SubjectHash& hash) {
  const Value::List* list = messages.as_list();
  if (list == nullptr) {
    const std::string* text = messages.as_string();
    if (text == nullptr) return false;
    hash.add("user").add(*text);
    return true;
  }
  for (const Value& message : *list) {
    const std::string_view role = text_of(message.find("role"));
    hash.add(role).add(content_text(message.find("content")));
    if (role == "user") return true;
  }
  return false;
}

}  // namespace

Subject ExchangeSubject::subject() const {
  const http::RequestHead& head = request_.head;
  for (const std::string_view name : kIdHeaders) {
    if (const std::string_view id = head.header(name); !id.empty()) {
      return SubjectHash().add("id").add(id).value();
    }
  }
  const Subject alone = SubjectHash().add("request").add(head.request_id).value();
  const Result<Value> body = parse_json(request_.body);
  if (!body.has_value() || body->as_dict() == nullptr) return alone;
  if (const std::string_view id = id_in_body(*body); !id.empty()) {
    return SubjectHash().add("id").add(id).value();
  }
  SubjectHash opening;
  opening.add("opening").add(head.remote_address);
  for (const std::string_view member : {"system", "instructions"}) {
    opening.add(content_text(body->find(member)));
  }
  const Value* messages = body->find("messages");
  if (messages == nullptr) messages = body->find("input");
  // The embedding endpoints have an input, too: those requests are no conversations, and equal
  // texts may go together.
  return messages != nullptr && add_opening(*messages, opening) ? opening.value() : alone;
}

}  // namespace inferneo::gateway::endpoints
