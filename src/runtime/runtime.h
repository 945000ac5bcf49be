// Runtime: which artefacts can be loaded. Model: what was loaded, immutable and shared.
// A format never leaks out of its runtime.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "kv/block_count.h"
#include "request/pooling.h"
#include "request/token.h"
#include "runtime/step.h"
#include "tensor/dtype.h"
#include "text/model_text.h"

namespace inferneo::runtime {

// How linears compute. kF32: all in f32. kBf16: kernels may round activations beside weights that
// are not f32 themselves; beside bf16 ones they keep 11 bits at least. kAuto: what fits the type of
// the weights, and beside bf16 ones kernels may round activations to bf16.
enum class Arithmetic : std::uint8_t { kAuto, kF32, kBf16 };

// Where packed weights are kept from one start to the next.
struct PackedCacheOptions {
  bool enabled = false;
  std::string directory;  // "" for the user's cache directory
  std::uint64_t bytes_max = limits::kPackedCacheBytesMax;
  // Smaller images are packed at each start.
  std::uint64_t image_size_min = limits::kPackedCacheImageSizeMin;
};

struct LoadOptions {
  Arithmetic arithmetic = Arithmetic::kAuto;
  // Of keys and values: f32, f16, bf16 or i8. None for what fits the arithmetic.
  std::optional<tensor::DType> kv_dtype{};
  PackedCacheOptions packed_cache = {};
  // Longest sequence that will be asked for; 0 for what the model was made for.
  std::int64_t context_tokens_max = 0;
};

// Bytes known before loading.
struct MemoryPlan {
  // All that steps read of the weights: parts of files in place, and what was made of the others.
  std::uint64_t weight_bytes = 0;
  std::uint64_t weight_copy_bytes = 0;    // of those, packed, converted or copied
  std::uint64_t weight_packed_bytes = 0;  // of those, in the order of the kernels
  // One block of limits::kKvBlockSizeTokens tokens of all layers whose tokens see all before them.
  std::uint64_t kv_block_bytes = 0;
  // The same of layers with a window, and how many tokens before its own one sees there: a sequence
  // needs only the blocks of these. 0 without such layers.
  std::uint64_t kv_window_block_bytes = 0;
  std::int32_t kv_window_reach = 0;
  // Window blocks that a sequence holds at most to compute `token_count` tokens in one step.
  [[nodiscard]] std::int32_t kv_window_blocks_for(std::int64_t token_count) const {
    return kv::window_blocks_for(kv_window_reach, token_count);
  }
  // Of a step: at most this for each token, and for each row of logits besides.
  std::uint64_t workspace_bytes_per_token = 0;
  std::uint64_t workspace_bytes_per_logit_row = 0;
  std::int32_t context_tokens_max = 0;  // what the model was made for; 0 when not known
};

// Sampling defaults that the model's author ships (generation_config.json).
struct GenerationDefaults {
  std::optional<float> temperature;
  std::optional<std::int32_t> top_k;
  std::optional<float> top_p;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
  bool greedy = false;  // do_sample is false
};

// What a model computes of a text besides logits.
struct VectorInfo {
  std::int32_t hidden_size = 0;  // width of a hidden state; 0: the runtime gives none
  // Of them, where the model ends in a classification head: then these are scores of classes.
  std::int32_t class_count = 0;
  request::Pooling pooling = request::Pooling::kLast;  // what it was trained for
  bool normalize = true;  // whether its vectors are brought to length 1
  // Each token attends to all of its sequence: a sequence is computed whole, in one step, and no
  // prefix of it can be reused.
  bool bidirectional = false;
};

// Where the packed weights of a loaded model came from.
enum class PackedFrom : std::uint8_t { kNothing, kWeights, kCache };

struct ModelInfo {
  std::string architecture;  // registry name, for example "llama"
  std::string path;
  std::int32_t vocab_size = 0;  // rows of logits
  std::int32_t context_tokens_max = 0;
  std::int32_t layer_count = 0;
  std::uint64_t parameter_count = 0;
  tensor::DType weight_dtype = tensor::DType::kF32;
  Arithmetic arithmetic = Arithmetic::kF32;
  tensor::DType kv_dtype = tensor::DType::kF32;
  std::string isa;                     // name of the kernel table in use
  std::vector<TokenId> eos_token_ids;  // from config.json and generation_config.json
  std::optional<TokenId> bos_token_id;
  GenerationDefaults generation;
  bool generates = true;  // has logits; an encoder gives vectors only
  VectorInfo vectors;
  MemoryPlan memory;
  PackedFrom packed_from = PackedFrom::kNothing;  // kNothing when none are
  std::chrono::milliseconds packed_in{0};         // time to pack them, or to map and check them
};

// Thread: any; immutable after load. Ownership: shared_ptr<const Model>.
class Model {
 public:
  virtual ~Model() = default;
  [[nodiscard]] virtual const ModelInfo& info() const = 0;
  // Allocates the key/value cache and the workspace. Failures: resource_exhausted.
  // The model must outlive the runner.
  virtual Result<std::unique_ptr<GenerativeRunner>> make_runner(
      const RunnerOptions& options) const = 0;
  // What of the model costs no memory of its own: its files, mapped. Whoever keeps this after the
  // model is gone finds their pages at hand in the next load. Null when there is nothing to keep.
  [[nodiscard]] virtual std::shared_ptr<const void> mapped_files() const { return nullptr; }
};

// Called during a load with bytes done and in all. Thread: the loading thread.
using Progress = UniqueFunction<void(std::uint64_t done, std::uint64_t total)>;

class Runtime {
 public:
  virtual ~Runtime() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  // How well this runtime fits the artefact at `path`: 0 for not at all.
  [[nodiscard]] virtual int probe(const std::string& path) const = 0;
  // The tokenizer and chat template of the artefact, or where they are. Failures: as load.
  [[nodiscard]] virtual Result<text::ModelText> text(const std::string& path) const {
    text::ModelText found;
    found.directory = path;
    return found;
  }
  virtual Result<MemoryPlan> plan(const std::string& path, const LoadOptions& options) const = 0;
  virtual Result<std::shared_ptr<const Model>> load(const std::string& path,
                                                    const LoadOptions& options,
                                                    Progress progress) const = 0;
};

}  // namespace inferneo::runtime
