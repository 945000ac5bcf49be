// Spec: OpenAI API reference, responses: create, whole, streamed or in the background.
#include <mutex>
#include <utility>

#include "gateway/endpoints/chat_job.h"
#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/model_lease.h"
#include "gateway/endpoints/response_answer.h"
#include "gateway/endpoints/response_job.h"

namespace inferneo::gateway::endpoints {
namespace {

struct Pending {
  ResponseRequest request;
  std::shared_ptr<const ResponseTurn> before;
  TimePoint started_at;
};

// The exchange of a response that goes on without its client: the answer itself keeps it, and it
// ends when the response is cancelled. A client that wants the stream reads along.
class BackgroundExchange final : public http::Exchange {
 public:
  // `reader` may be null.
  BackgroundExchange(http::Request request, std::shared_ptr<http::Exchange> reader)
      : request_(std::move(request)), reader_(std::move(reader)) {}

  [[nodiscard]] const http::Request& request() const override { return request_; }
  void respond(http::Response response) override {
    if (reader_ != nullptr) reader_->respond(std::move(response));
  }
  void start_stream(http::Response head) override {
    if (reader_ != nullptr) reader_->start_stream(std::move(head));
  }
  // Whether the reader is still there makes no difference.
  bool write(std::string_view bytes) override {
    if (reader_ != nullptr) static_cast<void>(reader_->write(bytes));
    return true;
  }
  void end_stream() override {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(is_ended_, true)) return;
    }
    if (reader_ != nullptr) reader_->end_stream();
  }
  void on_disconnect(UniqueFunction<void()> callback) override {
    {
      const std::lock_guard lock(mutex_);
      if (!is_cancelled_) {
        callback_ = std::move(callback);
        return;
      }
    }
    callback();
    end_stream();
  }
  // What was cancelled writes no more; its reader sees the stream end without its last event.
  void cancel() {
    UniqueFunction<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      is_cancelled_ = true;
      callback = std::move(callback_);
    }
    if (!callback) return;
    callback();
    end_stream();
  }

 private:
  const http::Request request_;
  const std::shared_ptr<http::Exchange> reader_;
  std::mutex mutex_;
  UniqueFunction<void()> callback_;
  bool is_cancelled_ = false;
  bool is_ended_ = false;
};

Result<GenerationJob> prepare(const Services& services,
                              Pending pending,
                              Result<manager::Lease> lease,
                              std::string& queued,
                              std::string& id) {
  if (!lease.has_value()) return lease.error();
  ResponseRequest& request = pending.request;
  const request::SamplingParams sampling =
      resolve_sampling(request, lease->model().model->info().generation);
  const auto make_answer = [&](AnswerOptions options) {
    ResponseFrame frame = make_response_frame(request, options.identity, sampling);
    frame.before = std::move(pending.before);
    frame.store = services.responses;
    id = frame.id;
    if (request.background) {
      queued = empty_response(frame, "queued");
      services.responses->put(unfinished_response(frame, "in_progress"), true);
    }
    return request.stream ? make_response_stream(std::move(options), std::move(frame))
                          : make_response_answer(std::move(options), std::move(frame));
  };
  return make_chat_job(
      services, request, *std::move(lease), pending.started_at, "resp_", make_answer);
}

void start_in_background(const Services& services,
                         const std::shared_ptr<http::Exchange>& exchange,
                         GenerationJob job,
                         const std::string& id,
                         std::string queued) {
  http::Request request;
  request.head = exchange->request().head;
  const auto background =
      std::make_shared<BackgroundExchange>(std::move(request), job.stream ? exchange : nullptr);
  services.responses->set_cancel(id, [weak = std::weak_ptr<BackgroundExchange>(background)] {
    if (const auto alive = weak.lock()) alive->cancel();
  });
  if (!job.stream) {
    http::Response response;
    response.body = std::move(queued);
    exchange->respond(std::move(response));
  }
  start_generation(services, background, std::move(job));
}

void start(const Services& services,
           std::shared_ptr<http::Exchange> exchange,
           Pending pending,
           Result<manager::Lease> lease) {
  const bool in_background = pending.request.background;
  std::string queued;
  std::string id;
  Result<GenerationJob> job = prepare(services, std::move(pending), std::move(lease), queued, id);
  if (!job.has_value()) {
    // The messages of a response are its input.
    const Status& status = job.error();
    exchange->respond(http::error_response(
        status.where() == "messages" ? Status(status).with_where("input") : status));
  } else if (in_background) {
    start_in_background(services, exchange, *std::move(job), id, std::move(queued));
  } else {
    start_generation(services, std::move(exchange), *std::move(job));
  }
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  Pending pending;
  pending.started_at = services.clock->now();
  Result<ResponseRequest> request =
      read_response_request(services, exchange->request().body, pending.before);
  if (!request.has_value()) {
    exchange->respond(http::error_response(request.error()));
    return;
  }
  pending.request = *std::move(request);
  const std::string model = pending.request.model;
  with_model(
      services,
      exchange,
      model,
      [&services, exchange, pending = std::move(pending)](Result<manager::Lease> lease) mutable {
        start(services, std::move(exchange), std::move(pending), std::move(lease));
      });
}

}  // namespace

extern const Endpoint kResponsesEndpoint;
const Endpoint kResponsesEndpoint{
    .method = "POST",
    .path = "/v1/responses",
    .summary = "The model's response to a conversation that the server can keep",
    .handle = handle,
    .fields = response_field_rows,
};

}  // namespace inferneo::gateway::endpoints
