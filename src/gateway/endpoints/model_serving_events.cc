// GET /api/v1/model_serving/events: what happens to models, as server-sent events. A watcher that
// comes back names the last event it saw and gets those that are still kept.
// Spec: WHATWG HTML, "Server-sent events".
#include <charconv>
#include <mutex>
#include <utility>

#include "base/log.h"
#include "base/str.h"
#include "gateway/endpoints/model_serving.h"
#include "gateway/endpoints/stream_pinger.h"
#include "manager/events.h"
#include "text/json.h"

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

// One watcher. The hub calls add() with its lock held, one event at a time.
class EventStream final : public Pingable, public std::enable_shared_from_this<EventStream> {
 public:
  EventStream(std::shared_ptr<http::Exchange> exchange, const Clock& clock, std::string model)
      : exchange_(std::move(exchange)),
        clock_(clock),
        model_(std::move(model)),
        last_write_(clock.now()) {}

  // False when nothing more is wanted.
  bool add(const manager::Event& event) {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    const bool is_last = event.kind == manager::kServerStopping;
    if (!is_last && !model_.empty() && !is_about(event.model)) return true;
    const std::string frame = frame_of(event);
    if (exchange_->waiting_size() + frame.size() > limits::kEventWaitingSizeMax) {
      drop(event.id);
      return false;
    }
    last_write_ = clock_.now();
    ended_ = !exchange_->write(frame);
    if (is_last && !ended_) {
      exchange_->end_stream();
      ended_ = true;
    }
    return !ended_;
  }

  // When the client has left.
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }

  bool ping_if_quiet(TimePoint now) override {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    if (now - last_write_ < limits::kSsePingInterval) return true;
    last_write_ = now;
    ended_ = !exchange_->write(": ping\n\n");
    return !ended_;
  }

 private:
  // "name:version" is meant by itself and by "name".
  [[nodiscard]] bool is_about(std::string_view model) const {
    return model == model_ || (model.size() > model_.size() && model.starts_with(model_) &&
                               model[model_.size()] == ':');
  }
  static std::string frame_of(const manager::Event& event) {
    Value::Dict data;
    data.emplace_back("id", number(event.id));
    data.emplace_back("at", static_cast<double>(event.at_unix_ms) / 1000.0);
    data.emplace_back("kind", event.kind);
    data.emplace_back("model_id", or_null(event.model));
    Result<Value> detail = text::parse_json(event.detail.empty() ? "{}" : event.detail);
    data.emplace_back("detail", detail.has_value() ? *std::move(detail) : Value(event.detail));
    return str("id: ", event.id, "\nevent: ", event.kind, "\ndata: ", text::to_json(data), "\n\n");
  }
  // The note fits: the exchange takes more than this stream uses.
  void drop(std::uint64_t missed_id) {
    Value::Dict data;
    data.emplace_back("reason", "the watcher reads too slowly");
    data.emplace_back("missed_from_id", number(missed_id));
    exchange_->write(str("event: dropped\ndata: ", text::to_json(data), "\n\n"));
    exchange_->end_stream();
    ended_ = true;
    log::warning("models",
                 str("a watcher of events at ",
                     exchange_->request().head.remote_address,
                     " reads too slowly and was dropped"));
  }

  const std::shared_ptr<http::Exchange> exchange_;
  const Clock& clock_;
  const std::string model_;
  std::mutex mutex_;  // guards what follows and the order of writes
  TimePoint last_write_;
  bool ended_ = false;
};

// Spec: the header that a reconnecting EventSource sends; `after` is for others.
Result<std::uint64_t> first_id(const http::RequestHead& head, std::uint64_t newest) {
  std::string text(head.header("last-event-id"));
  if (text.empty()) text = query_parameter(head.query, "after");
  if (text.empty()) return newest;
  std::uint64_t id = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, id);
  if (parsed.ec == std::errc() && parsed.ptr == end) return id;
  return invalid_argument("'after' must be the id of an event").with_where("after");
}

void handle(const Services& services, std::shared_ptr<http::Exchange> exchange) {
  if (!may_read_models(services, *exchange)) return;
  manager::EventHub* hub = services.admin->events();
  if (hub == nullptr) return answer_failure(*exchange, not_found("this server has no events"));
  const http::RequestHead& request = exchange->request().head;
  const Result<std::uint64_t> after = first_id(request, hub->last_id());
  if (!after.has_value()) return answer_failure(*exchange, after.error());
  if (hub->subscriber_count() >= limits::kEventWatcherCountMax) {
    return answer_failure(
        *exchange,
        resource_exhausted(str("at most ", limits::kEventWatcherCountMax, " watchers at a time")));
  }
  http::Response head;
  head.content_type = "text/event-stream";
  head.headers.emplace_back("Cache-Control", "no-cache");
  head.headers.emplace_back("X-Accel-Buffering", "no");
  exchange->start_stream(std::move(head));
  exchange->write(": watching\n\n");
  auto stream = std::make_shared<EventStream>(
      exchange, *services.clock, query_parameter(request.query, "model"));
  const auto id =
      hub->subscribe(*after, [stream](const manager::Event& event) { return stream->add(event); });
  if (services.pinger != nullptr) services.pinger->add(stream);
  exchange->on_disconnect([stream = std::weak_ptr(stream), hub, id] {
    if (const auto alive = stream.lock()) alive->end();
    hub->unsubscribe(id);
  });
}

}  // namespace

extern const Endpoint kModelServingEventsEndpoint;
const Endpoint kModelServingEventsEndpoint{
    .method = "GET",
    .path = "/api/v1/model_serving/events",
    .summary = "Server-sent events of loads, states, changes and rollouts (`?model=`, `?after=ID`)",
    .handle = handle,
    .query = "model,after",
};

}  // namespace inferneo::gateway::endpoints
