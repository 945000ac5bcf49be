#include "app/banner.h"

#include <cstdint>

#include "app/progress_line.h"
#include "base/limits.h"
#include "base/str.h"
#include "base/version.h"

namespace inferneo::app {
namespace {

std::string_view arithmetic_name(runtime::Arithmetic arithmetic) {
  return arithmetic == runtime::Arithmetic::kF32 ? "f32" : "bf16";
}

std::string example_request(const std::string& url, const manager::ServedModel& served) {
  if (served.chat_template == nullptr) {
    return str("  curl ",
               url,
               "/v1/completions -H 'Content-Type: application/json' \\\n",
               "    -d '{\"model\": \"",
               served.name,
               "\", \"prompt\": \"Once upon a time\", \"max_tokens\": 40}'\n");
  }
  return str("  curl ",
             url,
             "/v1/chat/completions -H 'Content-Type: application/json' \\\n",
             "    -d '{\"model\": \"",
             served.name,
             "\", \"messages\": [{\"role\": \"user\", \"content\": \"What is an API?\"}]}'\n");
}

}  // namespace

std::string model_line(const manager::ServedModel& served) {
  const runtime::ModelInfo& info = served.model->info();
  return str(info.architecture,
             ", ",
             count_text(info.parameter_count),
             " parameters, ",
             tensor::dtype_name(info.weight_dtype),
             " weights, ",
             arithmetic_name(info.arithmetic),
             " arithmetic, ",
             served.context_tokens_max,
             " tokens of context");
}

std::string memory_line(const manager::ServedModel& served) {
  const runtime::MemoryPlan& plan = served.model->info().memory;
  const auto kv_bytes = static_cast<std::uint64_t>(served.metrics->kv_bytes.value());
  const auto kv_tokens = static_cast<std::uint64_t>(served.metrics->kv_blocks.value()) *
                         static_cast<std::uint64_t>(limits::kKvBlockSizeTokens);
  std::string text = str("weights ", byte_text(plan.weight_bytes));
  const runtime::ModelInfo& info = served.model->info();
  if (info.packed_from != runtime::PackedFrom::kNothing) {
    const bool mapped = info.packed_from == runtime::PackedFrom::kCache;
    text += str(" (",
                byte_text(plan.weight_packed_bytes),
                mapped ? " mapped from the packed cache in " : " packed in ",
                info.packed_in.count(),
                " ms)");
  }
  return text + str("; KV cache ", byte_text(kv_bytes), " = ", kv_tokens, " tokens");
}

std::string banner(const std::string& url,
                   std::span<const std::shared_ptr<const manager::ServedModel>> models,
                   std::size_t waiting_count,
                   int thread_count,
                   Duration start_time) {
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(start_time);
  std::string text = str("Inferneo ",
                         version(),
                         " is ready on ",
                         url,
                         " (",
                         milliseconds.count(),
                         " ms after start)\n");
  for (const auto& served : models) {
    text += str("  model   ", served->name, ": ", model_line(*served), "\n");
    text += str("  memory  ", memory_line(*served), "\n");
  }
  if (waiting_count > 0) {
    text += str("  lazy    ", waiting_count, " models are loaded at their first request\n");
  }
  if (!models.empty()) {
    text += str("  cpu     instruction set ",
                models[0]->model->info().isa,
                ", ",
                thread_count,
                " compute threads\n");
    text += str("Try:\n", example_request(url, *models[0]));
  }
  text += "Stop with Ctrl-C; running requests then finish first.\n";
  return text;
}

}  // namespace inferneo::app
