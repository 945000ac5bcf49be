#include "runtimes/native/native_model.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/check.h"
#include "graph/constants.h"
#include "graph/executor.h"
#include "graph/memory_planner.h"
#include "runtimes/native/weight_image.h"

namespace inferneo::runtimes::native {
namespace {

using runtime::Arithmetic;
using runtime::StepPlan;
using runtime::StepResult;
using tensor::DType;
using tensor::TensorView;
using tensor::WeightMap;

// The type that holds most bytes of the matrices.
DType matrix_type(const WeightMap& weights) {
  std::map<DType, std::uint64_t> sizes;
  for (const auto& [name, view] : weights.entries()) {
    if (view.shape.rank() == 2) sizes[view.dtype] += view.byte_size();
  }
  const auto largest = std::max_element(
      sizes.begin(), sizes.end(), [](auto& a, auto& b) { return a.second < b.second; });
  return largest == sizes.end() ? DType::kF32 : largest->first;
}

// Whether inputs are rounded beside matrices of this type on every table: to 16 bits, or to codes.
bool rounds_inputs(DType weights) {
  return weights == DType::kBf16 || tensor::is_quantized(weights);
}

// Why f16 only where it is packed: without such kernels its products are those of f32 anyway.
Arithmetic choose_arithmetic(Arithmetic wanted, DType weights, const kernels::KernelTable& table) {
  if (wanted != Arithmetic::kAuto) return wanted;
  const bool rounds = rounds_inputs(weights) || graph::find_matrix_ops(table, weights) != nullptr;
  return rounds ? Arithmetic::kBf16 : Arithmetic::kF32;
}

runtime::MemoryPlan memory_plan(const ModelPlan& plan) {
  const graph::Program& program = plan.built.program;
  const graph::Constants::Sizes constants = graph::Constants::sizes(program);
  std::uint64_t in_place = constants.in_place;
  std::uint64_t copied = constants.converted + plan.matrices.image_size;
  for (const TensorView& view : views_in_place(plan)) {
    (is_aligned(view) ? in_place : copied) += view.byte_size();
  }
  runtime::MemoryPlan memory;
  memory.weight_bytes = in_place + copied;
  memory.weight_copy_bytes = copied;
  memory.weight_packed_bytes = plan.matrices.packed_size;
  const graph::KvWindows windows = graph::kv_windows(program);
  const auto window_layers = static_cast<std::uint64_t>(windows.layer_count());
  const auto layers = static_cast<std::uint64_t>(program.attention.layers);
  memory.kv_block_bytes = graph::kv_layer_block_size(program) * (layers - window_layers);
  memory.kv_window_block_bytes = graph::kv_layer_block_size(program) * window_layers;
  memory.kv_window_reach = windows.reach;
  memory.context_tokens_max = static_cast<std::int32_t>(plan.built.context_tokens_max);
  // Why 1024: rounding to cache lines then adds less than a byte for each token.
  constexpr std::int64_t kRows = 1024;
  const auto inputs = graph::packed_inputs(program, plan.matrices);
  memory.workspace_bytes_per_token = graph::plan_memory(program, inputs, kRows, 0).size / kRows;
  memory.workspace_bytes_per_logit_row = graph::plan_memory(program, inputs, 0, kRows).size / kRows;
  return memory;
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

// What the files say goes before what the architecture does.
request::Pooling pooling_of(formats::PoolingMeta::Kind stated, arch::VectorRows rows) {
  using Kind = formats::PoolingMeta::Kind;
  using request::Pooling;
  switch (stated) {
    case Kind::kLast:
      return Pooling::kLast;
    case Kind::kMean:
      return Pooling::kMean;
    case Kind::kCls:
      return Pooling::kCls;
    case Kind::kUnknown:
      break;
  }
  if (rows == arch::VectorRows::kFirst) return Pooling::kCls;
  return rows == arch::VectorRows::kAll ? Pooling::kMean : Pooling::kLast;
}

runtime::VectorInfo vector_info(const formats::PoolingMeta& meta, const arch::BuiltModel& built) {
  const graph::Program& program = built.program;
  runtime::VectorInfo info;
  if (program.hidden == graph::kNone) return info;
  const std::int64_t width = program.values[static_cast<std::size_t>(program.hidden)].width;
  info.hidden_size = static_cast<std::int32_t>(width);
  info.class_count = static_cast<std::int32_t>(built.class_count);
  // What files say of pooling is about vectors; where a head reads scores is its own matter.
  const bool scores = built.class_count > 0;
  info.pooling =
      pooling_of(scores ? formats::PoolingMeta::Kind::kUnknown : meta.kind, built.vector_rows);
  info.normalize = built.class_count == 0 && meta.normalize.value_or(true);
  info.bidirectional = program.attention.is_bidirectional;
  return info;
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
                          sequence.blocks.data(),
                          sequence.window_blocks.empty() ? nullptr : sequence.window_blocks.data(),
                          sequence.second_begin};
    }
    result_.logits = executor_->run(
        {plan.token_ids, std::span(slices_.data(), count), plan.logit_rows, plan.hidden_rows});
    result_.hidden = executor_->hidden();
    return ++ticket_;
  }

  StepResult wait(Ticket ticket) noexcept override {
    CHECK(ticket == ticket_);
    return result_;
  }

  void resize_cache(std::int32_t block_count) noexcept override {
    executor_->resize_cache(block_count);
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
              ModelPlan plan,
              WeightImage image,
              runtime::ModelInfo info,
              device::CpuDevice& device)
      : files_(std::make_shared<const std::vector<MappedFile>>(std::move(store.files))),
        memory_(std::move(store.memory)),
        image_(std::move(image)),
        program_(std::move(plan.built.program)),
        constants_(program_),
        matrices_(program_, plan.matrices, image_.data()),
        info_(std::move(info)),
        device_(device) {
    let_go_of_files(*files_);
  }

  [[nodiscard]] const runtime::ModelInfo& info() const override { return info_; }

  Result<std::unique_ptr<runtime::GenerativeRunner>> make_runner(
      const runtime::RunnerOptions& options) const override {
    const graph::StepLimits limits = {options.step_token_count_max,
                                      options.sequence_count_max,
                                      options.logit_row_count_max,
                                      options.kv_block_count,
                                      options.kv_window_block_count};
    ASSIGN_OR_RETURN(std::unique_ptr<graph::Executor> executor,
                     graph::Executor::create(program_, constants_, matrices_, device_, limits));
    return std::unique_ptr<runtime::GenerativeRunner>(
        std::make_unique<NativeRunner>(std::move(executor), options.sequence_count_max));
  }

  [[nodiscard]] std::shared_ptr<const void> mapped_files() const override { return files_; }

 private:
  const std::shared_ptr<const std::vector<MappedFile>> files_;
  const std::vector<AnonymousMemory> memory_;
  WeightImage image_;
  graph::Program program_;
  graph::Constants constants_;
  graph::Matrices matrices_;
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
  info.generates = plan.built.program.logits != graph::kNone;
  info.vectors = vector_info(meta.pooling, plan.built);
  info.memory = plan.memory;
  return info;
}

}  // namespace

Result<ModelPlan> plan_model(const formats::ModelMeta& meta,
                             const WeightMap& weights,
                             const runtime::LoadOptions& options,
                             const kernels::KernelTable& table) {
  ModelPlan plan;
  ASSIGN_OR_RETURN(plan.spec, arch::find_arch(meta));
  const DType type = matrix_type(weights);
  plan.arithmetic = choose_arithmetic(options.arithmetic, type, table);
  graph::Arithmetic arithmetic;
  if (plan.arithmetic == Arithmetic::kBf16) {
    const bool rounds = rounds_inputs(type);
    arithmetic = {true, DType::kF16, rounds, rounds && options.arithmetic == Arithmetic::kAuto};
  }
  if (options.kv_dtype) arithmetic.kv = *options.kv_dtype;
  formats::ModelMeta served = meta;
  if (options.context_tokens_max > 0) {
    served.rope.served_context_tokens = options.context_tokens_max;
  }
  ASSIGN_OR_RETURN(plan.built, plan.spec->build(served, weights, arithmetic));
  plan.matrices = graph::plan_matrices(plan.built.program, table);
  plan.memory = memory_plan(plan);
  return plan;
}

Result<std::shared_ptr<const runtime::Model>> make_model(const formats::ModelMeta& meta,
                                                         WeightStore store,
                                                         std::string path,
                                                         const runtime::LoadOptions& options,
                                                         device::CpuDevice& device,
                                                         runtime::Progress progress) {
  // Planned twice: once for the bytes of the file as it lies, once over the aligned views.
  ASSIGN_OR_RETURN(const ModelPlan before,
                   plan_model(meta, store.weights, options, device.kernels()));
  RETURN_IF_ERROR(align_weights(before, store));
  ASSIGN_OR_RETURN(ModelPlan plan, plan_model(meta, store.weights, options, device.kernels()));
  plan.memory = before.memory;
  ASSIGN_OR_RETURN(WeightImage image,
                   make_weight_image(plan, store, options.packed_cache, device, progress));
  runtime::ModelInfo info = make_info(meta, plan, store.weights, device);
  info.path = std::move(path);
  info.packed_from = image.from();
  info.packed_in = image.elapsed();
  return std::shared_ptr<const runtime::Model>(std::make_shared<NativeModel>(
      std::move(store), std::move(plan), std::move(image), std::move(info), device));
}

}  // namespace inferneo::runtimes::native
