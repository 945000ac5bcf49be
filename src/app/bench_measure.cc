#include "app/bench_measure.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/bench_engine.h"
#include "app/json_lines.h"
#include "base/atomic_file.h"
#include "base/str.h"
#include "base/version.h"
#include "runtimes/native/token_logits.h"

namespace inferneo::app {
namespace {

enum class LineVerb : std::uint8_t { kOpen, kPrefill, kDecode };

struct Line {
  LineVerb verb = LineVerb::kOpen;
  std::array<std::int32_t, 3> numbers{};
};

struct LineForm {
  std::string_view verb;
  LineVerb value;
  std::size_t number_count;
};

constexpr LineForm kForms[] = {{"open", LineVerb::kOpen, 2},
                               {"prefill", LineVerb::kPrefill, 1},
                               {"decode", LineVerb::kDecode, 3}};
constexpr const char* kFormsText =
    "a line is one of: open CONTEXT SEQUENCES, prefill TOKENS, decode BATCH PROMPT TOKENS, "
    "logits FILE ID...";
constexpr std::string_view kLogitsVerb = "logits ";

Result<Line> parse_line(const std::string& text) {
  std::istringstream words(text);
  std::string verb;
  words >> verb;
  const LineForm* form =
      std::ranges::find(std::begin(kForms), std::end(kForms), verb, &LineForm::verb);
  if (form == std::end(kForms)) return invalid_argument(kFormsText);
  Line line;
  line.verb = form->value;
  for (std::size_t i = 0; i < form->number_count; ++i) {
    if (!(words >> line.numbers[i]) || line.numbers[i] < 1) {
      return invalid_argument(str(kFormsText, "; numbers are 1 or more"));
    }
  }
  if (!(words >> std::ws).eof()) return invalid_argument(kFormsText);
  return line;
}

// What follows the verb of a logits line.
struct LogitsLine {
  std::string path;
  std::vector<TokenId> ids;
};

Result<LogitsLine> parse_logits_line(const std::string& text) {
  std::istringstream words(text);
  LogitsLine line;
  words >> line.path;
  for (TokenId id = 0; words >> id;) line.ids.push_back(id);
  if (line.ids.empty() || !words.eof()) return invalid_argument(kFormsText);
  return line;
}

// Logits of every position, as a server of this model computes them. Shape: f32 [ids][vocab].
Result<Json> write_logits(const runtime::Model& model, const LogitsLine& line) {
  ASSIGN_OR_RETURN(
      runtimes::native::SequenceRunner sequence,
      runtimes::native::SequenceRunner::create(model, static_cast<std::int32_t>(line.ids.size())));
  ASSIGN_OR_RETURN(const std::vector<float> logits, sequence.append_all_logits(line.ids));
  RETURN_IF_ERROR(write_file(
      line.path, {reinterpret_cast<const char*>(logits.data()), logits.size() * sizeof(float)}));
  return Json{{"positions", line.ids.size()}};
}

Json to_json(const TimedRun& run) {
  return {{"seconds", run.seconds},
          {"cpu_seconds", run.cpu_seconds},
          {"tokens", run.tokens},
          {"prompt_seconds", run.prompt_seconds},
          {"host_us_per_step", run.host_s_per_step * 1e6}};
}

Json description(const runtime::ModelInfo& info) {
  return {{"ready", true},
          {"version", version()},
          {"build_type", build_type()},
          {"isa", info.isa},
          {"arithmetic", info.arithmetic == runtime::Arithmetic::kF32 ? "f32" : "bf16"},
          {"parameters", info.parameter_count}};
}

class Measurer {
 public:
  Measurer(std::shared_ptr<const runtime::Model> model, const Clock& clock)
      : model_(std::move(model)), clock_(clock) {}

  Result<Json> answer(const std::string& text) {
    if (text.starts_with(kLogitsVerb)) {
      ASSIGN_OR_RETURN(const LogitsLine line, parse_logits_line(text.substr(kLogitsVerb.size())));
      return write_logits(*model_, line);
    }
    ASSIGN_OR_RETURN(const Line line, parse_line(text));
    return run(line);
  }

 private:
  Result<Json> run(const Line& line) {
    const auto& n = line.numbers;
    if (line.verb == LineVerb::kOpen) return open(n[0], n[1]);
    if (line.verb == LineVerb::kDecode && n[2] < 2) {
      return invalid_argument("decode needs 2 tokens or more: the first ends the prompt");
    }
    if (!engine_) return failed_precondition("nothing is open; begin with open CONTEXT SEQUENCES");
    ASSIGN_OR_RETURN(const TimedRun timed,
                     line.verb == LineVerb::kPrefill ? engine_->prefill(n[0])
                                                     : engine_->decode(n[0], n[1], n[2]));
    return to_json(timed);
  }

  Result<Json> open(std::int32_t context, std::int32_t sequences) {
    engine_.reset();
    ASSIGN_OR_RETURN(
        engine_, BenchEngine::create(model_, sequences, std::int64_t{context} * sequences, clock_));
    return Json{{"open", true}};
  }

  std::shared_ptr<const runtime::Model> model_;
  const Clock& clock_;
  std::unique_ptr<BenchEngine> engine_;
};

}  // namespace

bool measure_lines(std::istream& in,
                   std::shared_ptr<const runtime::Model> model,
                   const Clock& clock) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::puts(dump(description(model->info())).c_str());
  Measurer measurer(std::move(model), clock);
  return answer_lines(in, [&](const std::string& line) { return measurer.answer(line); });
}

}  // namespace inferneo::app
