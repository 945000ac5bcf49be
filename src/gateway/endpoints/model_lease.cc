#include "gateway/endpoints/model_lease.h"

#include <mutex>
#include <utility>

#include "base/str.h"
#include "gateway/endpoints/exchange_subject.h"
#include "gateway/endpoints/stream_pinger.h"

namespace inferneo::gateway::endpoints {
namespace {

using manager::Lease;
using manager::LeaseRequest;
using manager::ModelManager;

// A request that waits for its model. The manager owns it until it has an answer.
class WaitingRequest final : public Pingable, public std::enable_shared_from_this<WaitingRequest> {
 public:
  WaitingRequest(const Services& services,
                 std::shared_ptr<http::Exchange> exchange,
                 std::string model,
                 UseLease use)
      : services_(services),
        exchange_(std::move(exchange)),
        model_(std::move(model)),
        use_(std::move(use)),
        began_at_(services.clock->now()) {}

  void begin(const LeaseRequest& request, bool events);
  bool ping_if_quiet(TimePoint now) override;

 private:
  // Thread: control, or the caller's.
  void answer(Result<Lease> lease);

  const Services& services_;
  const std::shared_ptr<http::Exchange> exchange_;
  const std::string model_;
  UseLease use_;
  const TimePoint began_at_;
  std::mutex mutex_;  // guards what follows, and the order of writes
  bool is_answered_ = false;
  bool has_begun_events_ = false;
};

void WaitingRequest::begin(const LeaseRequest& request, bool events) {
  ModelManager& models = *services_.manager;
  const ModelManager::WaitId id = models.make_wait_id();
  exchange_->on_disconnect([&models, id] { models.abandon(id); });
  if (events && services_.pinger != nullptr) services_.pinger->add(weak_from_this());
  models.wait_for_lease(id, request, [self = shared_from_this()](Result<Lease> lease) {
    self->answer(std::move(lease));
  });
}

void WaitingRequest::answer(Result<Lease> lease) {
  {
    const std::lock_guard lock(mutex_);
    is_answered_ = true;
  }
  exchange_->on_disconnect({});
  exchange_->resume(
      [use = std::move(use_), lease = std::move(lease)]() mutable { use(std::move(lease)); });
}

bool WaitingRequest::ping_if_quiet(TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (is_answered_) return false;
  if (now - began_at_ < limits::kLoadProgressDelay) return true;
  if (!has_begun_events_) {
    if (!exchange_->begin_events()) return false;
    has_begun_events_ = true;
  }
  const Result<manager::VersionInfo> info = services_.manager->find(model_);
  std::string text = str(": loading ", printable(model_));
  if (info.has_value() && info->loaded_share > 0) {
    text += str(", ", static_cast<int>(info->loaded_share * 100), " %");
  }
  text += "\n\n";
  return exchange_->write(text);
}

}  // namespace

void with_model(const Services& services,
                const std::shared_ptr<http::Exchange>& exchange,
                const std::string& model,
                UseLease use,
                const ModelWait& wait) {
  const ExchangeSubject subject(exchange->request());
  const LeaseRequest request{
      .model = model, .keep_alive = wait.keep_alive, .deadline = {}, .subject = &subject};
  Result<std::optional<Lease>> lease = services.manager->try_acquire(request);
  if (!lease.has_value()) {
    use(std::move(lease).error());
  } else if (lease->has_value()) {
    use(**std::move(lease));
  } else {
    std::make_shared<WaitingRequest>(services, exchange, model, std::move(use))
        ->begin(request, wait.events);
  }
}

}  // namespace inferneo::gateway::endpoints
