// One model in this process, without a server: what `run`, `chat` and `bench` talk to.
// Thread: main. Ownership: owns the host and so the engine.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/model_host.h"
#include "manager/manager.h"
#include "request/generate_request.h"
#include "request/output.h"

namespace inferneo::app {

// How an answer ended and what it cost.
struct Answer {
  std::string text;
  request::FinishReason finish = request::FinishReason::kStop;
  request::Usage usage;
  request::RequestTiming timing;
};

class LocalModel {
 public:
  // `model` as parse_model_spec takes it.
  static Result<std::unique_ptr<LocalModel>> load(const std::string& model, const Config& config);
  LocalModel(const LocalModel&) = delete;
  LocalModel& operator=(const LocalModel&) = delete;

  [[nodiscard]] const manager::ServedModel& served() const { return lease_.model(); }

  using Piece = std::function<void(std::string_view)>;
  // Runs one request to its end; `on_piece` gets the text as it comes (on the output thread).
  // When `*stop` becomes true the request is cancelled and ends with kAbort.
  // Failures: as Engine::submit, and what ended the request.
  Result<Answer> generate(request::GenerateRequest request,
                          const Piece& on_piece,
                          const std::atomic<bool>& stop) const;

 private:
  LocalModel(std::unique_ptr<ModelHost> host, manager::Lease lease)
      : host_(std::move(host)), lease_(std::move(lease)) {}

  std::unique_ptr<ModelHost> host_;
  manager::Lease lease_;
};

// "24 tokens in 0.31 s: first after 12 ms, then 80.1 tokens/s (18 prompt tokens, 0 cached)"
std::string speed_line(const Answer& answer);

}  // namespace inferneo::app
