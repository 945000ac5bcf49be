// The response object of the Responses API and the events of its stream.
// Spec: OpenAI API reference, responses and their streaming events.
// Thread: as Answer.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "gateway/endpoints/answer.h"
#include "gateway/endpoints/response_request.h"
#include "gateway/endpoints/response_store.h"

namespace inferneo::gateway::endpoints {

// What a response is besides its output.
struct ResponseFrame {
  // Members that every state of the response shows, without braces: id, created_at, model, and what
  // is repeated of the request.
  std::string members;
  std::string id;
  std::vector<std::string> input_items;
  std::vector<std::string> input_item_ids;
  text::Value::List input_messages;
  std::shared_ptr<const ResponseTurn> before;
  std::shared_ptr<ResponseStore> store;
  bool is_stored = false;
  bool in_background = false;
};

ResponseFrame make_response_frame(const ResponseRequest& request,
                                  const AnswerIdentity& identity,
                                  const request::SamplingParams& sampling);

// A response without output: "queued", "in_progress", "cancelled".
std::string empty_response(const ResponseFrame& frame, std::string_view status);
// For the store, in that state.
StoredResponse unfinished_response(const ResponseFrame& frame, std::string_view status);

std::unique_ptr<Answer> make_response_answer(AnswerOptions options, ResponseFrame frame);
std::unique_ptr<Answer> make_response_stream(AnswerOptions options, ResponseFrame frame);

}  // namespace inferneo::gateway::endpoints
