#include "gateway/endpoints/kserve/answer.h"

#include <utility>

#include "gateway/endpoints/answer_json.h"
#include "gateway/endpoints/kserve/error.h"

namespace inferneo::gateway::endpoints::kserve {
namespace {

class TextOutput final : public Answer {
 public:
  TextOutput(AnswerOptions options, TextOutputOptions output, bool stream)
      : options_(std::move(options)),
        output_(std::move(output)),
        stream_(stream),
        text_(output_.prefix) {}

  void add(std::size_t, request::OutputDelta&& delta, std::string& out) override {
    text_ += delta.text;
    if (delta.finish) finish_ = delta.finish;
    if (!stream_ || (text_.empty() && !delta.finish)) return;
    begin_frame(out);
    write(out);
    end_frame(out);
    text_.clear();
  }

  void finish(const AnswerEnd&, std::string& out) override {
    if (!stream_) write(out);
  }

  void fail(const Status& status, std::string& out) override {
    out += str("data: ", error_response(status).body, "\n\n");
  }
  http::Response refuse(const Status& status) override { return error_response(status); }

 private:
  void write(std::string& out) const {
    JsonWriter json(out);
    json.begin_object();
    if (!output_.id.empty()) json.member("id", output_.id);
    json.member("model_name", options_.identity.model);
    json.member("model_version", output_.version.empty() ? "1" : output_.version);
    json.member("text_output", text_);
    write_finish_reason(json, finish_);
    json.end_object();
  }

  const AnswerOptions options_;
  const TextOutputOptions output_;
  const bool stream_;
  std::string text_;  // of a stream: what was not sent yet
  std::optional<request::FinishReason> finish_;
};

}  // namespace

std::unique_ptr<Answer> make_text_output(AnswerOptions options,
                                         TextOutputOptions output,
                                         bool stream) {
  return std::make_unique<TextOutput>(std::move(options), std::move(output), stream);
}

}  // namespace inferneo::gateway::endpoints::kserve
