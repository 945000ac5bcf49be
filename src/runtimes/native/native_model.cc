#include "runtimes/native/native_model.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "graph/executor.h"

namespace inferneo::runtimes::native {
namespace {

using runtime::Arithmetic;
using runtime::StepPlan;
using runtime::StepResult;
using tensor::DType;
using tensor::TensorView;
using tensor::WeightMap;

bool is_aligned(const TensorView& view) {
  if (tensor::is_quantized(view.dtype)) return true;  // read byte by byte
  return reinterpret_cast<std::uintptr_t>(view.data) % tensor::dtype_size(view.dtype) == 0;
}

// The type of the matrices: bf16 or f16 when all have it, f32 otherwise.
DType matrix_type(const WeightMap& weights) {
  std::optional<DType> found;
  for (const auto& [name, view] : weights.entries()) {
    if (view.shape.rank() != 2) continue;
    if (found && *found != view.dtype) return DType::kF32;
    found = view.dtype;
  }
  return found.value_or(DType::kF32);
}

Arithmetic choose_arithmetic(Arithmetic wanted, DType weights) {
  if (wanted != Arithmetic::kAuto) return wanted;
  return weights == DType::kBf16 ? Arithmetic::kBf16 : Arithmetic::kF32;
}

runtime::MemoryPlan memory_plan(const graph::Program& program, const WeightMap& weights) {
  runtime::MemoryPlan plan;
  for (const auto& [name, view] : weights.entries()) {
    plan.weight_bytes += view.byte_size();
    if (!is_aligned(view)) plan.weight_copy_bytes += view.byte_size();
  }
  plan.weight_copy_bytes += graph::Constants::converted_size(program);
  plan.kv_block_bytes = graph::kv_block_size(program);
  // Why 1024: rounding to cache lines then adds less than a byte for each token.
  constexpr std::int64_t kRows = 1024;
  plan.workspace_bytes_per_token = graph::plan_memory(program, kRows, 0).size / kRows;
  plan.workspace_bytes_per_logit_row = graph::plan_memory(program, 0, kRows).size / kRows;
  return plan;
}

// Why: kernels read elements at their natural alignment, which the format does not promise.
Status align_weights(WeightStore& store) {
  for (auto& [name, view] : store.weights.entries()) {
    if (is_aligned(view)) continue;
    ASSIGN_OR_RETURN(AnonymousMemory copy, AnonymousMemory::allocate(view.byte_size(), name));
    std::memcpy(copy.data(), view.data, view.byte_size());
    view.data = copy.data();
    store.memory.push_back(std::move(copy));
  }
  return ok_status();
}

runtime::GenerationDefaults generation_defaults(const formats::GenerationMeta& meta) {
  runtime::GenerationDefaults defaults;
  defaults.temperature = meta.temperature;
  defaults.top_k = meta.top_k;
  defaults.top_p = meta.top_p;
  defaults.min_p = meta.min_p;
  defaults.repetition_penalty = meta.repetition_penalty;
  defaults.greedy = meta.do_sample == false;
  return defaults;
}

// Runs steps on the calling thread and the device's workers; the result is there when submit
// returns.
class NativeRunner final : public runtime::GenerativeRunner {
 public:
  NativeRunner(std::unique_ptr<graph::Executor> executor, std::int32_t sequence_count_max)
      : executor_(std::move(executor)), slices_(static_cast<std::size_t>(sequence_count_max)) {}

  Ticket submit(const StepPlan& plan) noexcept override {
    CHECK(plan.sequences.size() <= slices_.size());
    std::size_t count = 0;
    for (const runtime::StepSequence& sequence : plan.sequences) {
      slices_[count++] = {sequence.token_begin,
                          sequence.token_count,
                          sequence.context_before,
                          sequence.blocks.data()};
    }
    result_.logits =
        executor_->run({plan.token_ids, std::span(slices_.data(), count), plan.logit_rows});
    return ++ticket_;
  }

  StepResult wait(Ticket ticket) noexcept override {
    CHECK(ticket == ticket_);
    return result_;
  }

 private:
  std::unique_ptr<graph::Executor> executor_;
  std::vector<graph::SequenceSlice> slices_;
  StepResult result_;
  Ticket ticket_ = 0;
};

class NativeModel final : public runtime::Model {
 public:
  NativeModel(WeightStore store,
              graph::Program program,
              runtime::ModelInfo info,
              device::CpuDevice& device)
      : store_(std::move(store)),
        program_(std::move(program)),
        constants_(program_),
        info_(std::move(info)),
        device_(device) {}

  [[nodiscard]] const runtime::ModelInfo& info() const override { return info_; }

  Result<std::unique_ptr<runtime::GenerativeRunner>> make_runner(
      const runtime::RunnerOptions& options) const override {
    const graph::StepLimits limits = {options.step_token_count_max,
                                      options.sequence_count_max,
                                      options.logit_row_count_max,
                                      options.kv_block_count};
    ASSIGN_OR_RETURN(std::unique_ptr<graph::Executor> executor,
                     graph::Executor::create(program_, constants_, device_, limits));
    return std::unique_ptr<runtime::GenerativeRunner>(
        std::make_unique<NativeRunner>(std::move(executor), options.sequence_count_max));
  }

 private:
  WeightStore store_;
  graph::Program program_;
  graph::Constants constants_;
  runtime::ModelInfo info_;
  device::CpuDevice& device_;
};

runtime::ModelInfo make_info(const formats::ModelMeta& meta,
                             const ModelPlan& plan,
                             const WeightMap& weights,
                             const device::CpuDevice& device) {
  runtime::ModelInfo info;
  info.architecture = plan.spec->name;
  info.vocab_size = static_cast<std::int32_t>(meta.vocab_size);
  info.context_tokens_max = static_cast<std::int32_t>(plan.built.context_tokens_max);
  info.layer_count = static_cast<std::int32_t>(meta.layer_count);
  for (const auto& [name, view] : weights.entries()) {
    info.parameter_count += static_cast<std::uint64_t>(view.shape.element_count());
  }
  info.weight_dtype = matrix_type(weights);
  info.arithmetic = plan.arithmetic;
  info.kv_dtype = plan.built.program.arithmetic.kv;
  info.isa = device.kernels().name;
  info.eos_token_ids = meta.eos_token_ids;
  info.bos_token_id = meta.bos_token_id;
  info.generation = generation_defaults(meta.generation);
  info.memory = plan.memory;
  return info;
}

}  // namespace

Result<ModelPlan> plan_model(const formats::ModelMeta& meta,
                             const WeightMap& weights,
                             const runtime::LoadOptions& options) {
  ModelPlan plan;
  ASSIGN_OR_RETURN(plan.spec, arch::find_arch(meta));
  plan.arithmetic = choose_arithmetic(options.arithmetic, matrix_type(weights));
  graph::Arithmetic arithmetic;
  if (plan.arithmetic == Arithmetic::kBf16) arithmetic = {true, DType::kF16};
  if (options.kv_dtype) arithmetic.kv = *options.kv_dtype;
  ASSIGN_OR_RETURN(plan.built, plan.spec->build(meta, weights, arithmetic));
  plan.memory = memory_plan(plan.built.program, weights);
  return plan;
}

Result<std::shared_ptr<const runtime::Model>> make_model(const formats::ModelMeta& meta,
                                                         WeightStore store,
                                                         std::string path,
                                                         const runtime::LoadOptions& options,
                                                         device::CpuDevice& device) {
  // Planned twice: once for the bytes of the file as it lies, once over the aligned views.
  ASSIGN_OR_RETURN(const ModelPlan before, plan_model(meta, store.weights, options));
  RETURN_IF_ERROR(align_weights(store));
  ASSIGN_OR_RETURN(ModelPlan plan, plan_model(meta, store.weights, options));
  plan.memory = before.memory;
  runtime::ModelInfo info = make_info(meta, plan, store.weights, device);
  info.path = std::move(path);
  return std::shared_ptr<const runtime::Model>(std::make_shared<NativeModel>(
      std::move(store), std::move(plan.built.program), std::move(info), device));
}

}  // namespace inferneo::runtimes::native
