#include "gateway/endpoints/generation.h"

#include <sys/random.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <random>
#include <utility>

#include "base/log.h"
#include "base/str.h"
#include "gateway/endpoints/stream_pinger.h"

namespace inferneo::gateway::endpoints {
namespace {

std::string hex(std::uint64_t value) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out(16, '0');
  for (std::size_t i = 0; i < out.size(); ++i) out[15 - i] = kHex[(value >> (4 * i)) & 15U];
  return out;
}

class Generation final : public Pingable, public std::enable_shared_from_this<Generation> {
 public:
  Generation(const Services& services, std::shared_ptr<http::Exchange> exchange, GenerationJob job)
      : clock_(*services.clock),
        exchange_(std::move(exchange)),
        lease_(std::move(job.lease)),
        answer_(std::move(job.answer)),
        is_stream_(job.stream),
        started_at_(job.started_at),
        remaining_(job.requests.size()),
        last_write_(job.started_at) {
    if (is_stream_) answer_->begin(buffer_);
  }

  // Thread: front.
  void submit(std::vector<request::GenerateRequest> requests);
  // Thread: front. Sends the head of a stream and what has gathered since.
  void open();

  // Thread: output.
  void add(std::size_t prompt, request::OutputDelta&& delta);
  void end(const request::Usage& usage, const request::RequestTiming& timing, const Status& status);

  // Thread: any.
  void abandon();
  bool ping_if_quiet(TimePoint now) override;

 private:
  // The engine's view of one prompt.
  class PromptSink final : public request::OutputSink {
   public:
    PromptSink(std::shared_ptr<Generation> generation, std::size_t prompt)
        : generation_(std::move(generation)), prompt_(prompt) {}
    void on_delta(request::OutputDelta&& delta) override {
      generation_->add(prompt_, std::move(delta));
    }
    void on_end(const request::Usage& usage,
                const request::RequestTiming& timing,
                const Status& status) override {
      generation_->end(usage, timing, status);
    }

   private:
    const std::shared_ptr<Generation> generation_;
    const std::size_t prompt_;
  };

  using Lock = std::unique_lock<std::mutex>;
  void fail(Lock& lock, const Status& status);
  void complete();
  void respond();
  void send(Lock& lock);
  void cancel_all(Lock& lock);

  const Clock& clock_;
  const std::shared_ptr<http::Exchange> exchange_;
  const manager::Lease lease_;
  const std::unique_ptr<Answer> answer_;
  const bool is_stream_;
  const TimePoint started_at_;

  std::mutex mutex_;  // guards all below, and the order of writes
  std::vector<request::RequestId> ids_;
  std::size_t remaining_;
  AnswerEnd end_;
  std::string buffer_;  // bytes to send, reused for every delta
  TimePoint last_write_;
  bool open_ = false;      // the head of the stream was sent
  bool complete_ = false;  // all choices have ended well
  bool ended_ = false;     // nothing may be sent any more
};

void Generation::submit(std::vector<request::GenerateRequest> requests) {
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Result<request::RequestId> id =
        lease_.submit(requests[i], std::make_shared<PromptSink>(shared_from_this(), i));
    Lock lock(mutex_);
    if (id.has_value()) ids_.push_back(*id);
    if (ended_) {  // an earlier prompt has failed meanwhile
      cancel_all(lock);
      return;
    }
    if (!id.has_value()) {
      // The engine's refusals name their field as those of the binding do.
      Status status = std::move(id).error();
      const std::string field = status.where();
      fail(lock, field.empty() ? std::move(status) : at_field(std::move(status), field));
      return;
    }
  }
}

void Generation::open() {
  {
    Lock lock(mutex_);
    if (ended_) return;
    if (is_stream_) {
      http::Response head;
      head.content_type = answer_->stream_content_type();
      head.headers.emplace_back("Cache-Control", "no-cache");
      head.headers.emplace_back("X-Accel-Buffering", "no");
      exchange_->start_stream(std::move(head));
      open_ = true;
      send(lock);
    }
  }
  // Registered without the lock held: the callback runs at once when the client has already left.
  exchange_->on_disconnect([weak = weak_from_this()] {
    if (const auto generation = weak.lock()) generation->abandon();
  });
}

void Generation::add(std::size_t prompt, request::OutputDelta&& delta) {
  Lock lock(mutex_);
  if (ended_) return;
  answer_->add(prompt, std::move(delta), buffer_);
  if (open_ && !buffer_.empty()) send(lock);
}

void Generation::end(const request::Usage& usage,
                     const request::RequestTiming& timing,
                     const Status& status) {
  Lock lock(mutex_);
  if (ended_) return;
  if (!status.ok()) {
    fail(lock, status);
    return;
  }
  end_.usage.prompt_tokens += usage.prompt_tokens;
  end_.usage.cached_prompt_tokens += usage.cached_prompt_tokens;
  end_.usage.completion_tokens += usage.completion_tokens;
  if (timing.total > end_.timing.total) end_.timing = timing;
  if (--remaining_ > 0) return;
  complete_ = true;
  answer_->finish(end_, buffer_);
  if (!is_stream_) {
    respond();
  } else if (open_) {
    send(lock);
  }
}

void Generation::respond() {
  ended_ = true;
  const auto elapsed =
      std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - started_at_);
  http::Response response;
  response.body = std::move(buffer_);
  response.headers.emplace_back("openai-processing-ms", str(elapsed.count()));
  exchange_->respond(std::move(response));
}

// Writes what has gathered and, after the last byte of a complete answer, ends the stream.
void Generation::send(Lock& lock) {
  last_write_ = clock_.now();
  if (!buffer_.empty() && !exchange_->write(buffer_)) {
    ended_ = true;
    cancel_all(lock);
    return;
  }
  buffer_.clear();
  if (complete_) {
    ended_ = true;
    exchange_->end_stream();
  }
}

// A stream that fails ends with an error event and without the mark of a complete one.
void Generation::fail(Lock& lock, const Status& status) {
  ended_ = true;
  // The client gets no details of our own faults.
  if (status.code() == StatusCode::kInternal || status.code() == StatusCode::kCorruptData) {
    log::error(
        "gateway",
        str("request ", exchange_->request().head.request_id, " failed: ", status.to_string()));
  }
  if (open_) {
    answer_->fail(status, buffer_);
    exchange_->write(buffer_);
    exchange_->end_stream();
  } else {
    exchange_->respond(answer_->refuse(status));
  }
  cancel_all(lock);
}

void Generation::abandon() {
  Lock lock(mutex_);
  if (ended_) return;
  ended_ = true;
  cancel_all(lock);
}

// Releases the lock: the engine is never called with it held.
void Generation::cancel_all(Lock& lock) {
  const std::vector<request::RequestId> ids = std::exchange(ids_, {});
  lock.unlock();
  for (const request::RequestId id : ids) lease_.cancel(id);
}

bool Generation::ping_if_quiet(TimePoint now) {
  Lock lock(mutex_);
  if (ended_) return false;
  if (open_ && now - last_write_ >= limits::kSsePingInterval) {
    buffer_ += answer_->ping();
    if (!buffer_.empty()) send(lock);
  }
  return true;
}

}  // namespace

void start_generation(const Services& services,
                      std::shared_ptr<http::Exchange> exchange,
                      GenerationJob job) {
  std::vector<request::GenerateRequest> requests = std::move(job.requests);
  const TimePoint deadline = services.clock->now() + limits::kRequestTimeout;
  for (request::GenerateRequest& request : requests) request.deadline = deadline;
  job.requests.resize(requests.size());
  const bool stream = job.stream;
  const auto generation =
      std::make_shared<Generation>(services, std::move(exchange), std::move(job));
  generation->submit(std::move(requests));
  generation->open();
  if (stream && services.pinger != nullptr) services.pinger->add(generation);
}

void generate(const Services& services,
              const std::shared_ptr<http::Exchange>& exchange,
              GenerationPlan plan) {
  const std::string model = plan.model;
  const ModelWait wait = plan.wait;
  with_model(
      services,
      exchange,
      model,
      [&services, exchange, plan = std::move(plan)](Result<manager::Lease> lease) mutable {
        Result<GenerationJob> job =
            lease.has_value() ? plan.make_job(*std::move(lease)) : lease.error();
        if (!job.has_value()) return exchange->respond(plan.error_response(job.error()));
        start_generation(services, std::move(exchange), *std::move(job));
      },
      wait);
}

std::string random_id(std::string_view prefix, std::size_t size) {
  constexpr std::string_view kCharacters = "0123456789abcdefghijklmnopqrstuvwxyz";
  // Bytes from here on are drawn again, so that each character stays uniform: ids guard stored
  // answers.
  constexpr std::size_t kByteEnd = 256 - 256 % kCharacters.size();
  std::string id(prefix);
  // Why not a number at a time: each draw from the processor or the system costs about as much as
  // this many bytes at once.
  std::array<std::uint8_t, 64> bytes;
  for (std::size_t missing = size; missing > 0;) {
    if (::getentropy(bytes.data(), bytes.size()) != 0) {
      std::random_device device;
      for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(device());
    }
    for (const std::uint8_t byte : bytes) {
      if (missing == 0) break;
      if (byte >= kByteEnd) continue;
      id += kCharacters[byte % kCharacters.size()];
      --missing;
    }
  }
  return id;
}

AnswerIdentity make_identity(std::string_view prefix, const manager::ServedModel& model) {
  const runtime::ModelInfo& info = model.model->info();
  AnswerIdentity identity;
  identity.id = random_id(prefix, 32);
  identity.created_unix_seconds = std::chrono::duration_cast<std::chrono::seconds>(
                                      std::chrono::system_clock::now().time_since_epoch())
                                      .count();
  identity.model = model.name;
  // What the text of a seeded request depends on besides the request. Spec: FNV-1a, 64 bits.
  const std::string backend = str(info.architecture,
                                  "|",
                                  info.isa,
                                  "|",
                                  static_cast<int>(info.arithmetic),
                                  "|",
                                  static_cast<int>(info.kv_dtype),
                                  "|",
                                  info.parameter_count,
                                  "|",
                                  model.created_unix_seconds);
  std::uint64_t hash = 14695981039346656037U;
  for (const char c : backend) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  identity.fingerprint = str("fp_", hex(hash).substr(0, 10));
  return identity;
}

}  // namespace inferneo::gateway::endpoints
