// What decoders have in common: a plan says of what a family's layers consist, and build_decoder
// makes the program of it. A family's file fills in the plan from the configuration; it has code of
// its own only for what no plan describes.
// Thread: any (values and pure functions). Ownership: tables of names are borrowed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "arch/arch.h"
#include "arch/rope_scaling.h"
#include "arch/weight_names.h"
#include "arch/weight_reader.h"
#include "graph/program.h"

namespace inferneo::arch {

struct NormPlan {
  graph::NormKind kind = graph::NormKind::kRms;
  float eps = 1e-6F;
  float weight_offset = 0;  // Gemma stores weights less 1
  bool has_weight = true;
  bool has_bias = false;
};

struct LayerPlan {
  bool has_attention_norm = true;  // where the plan has one
  std::int32_t rope = 0;           // index in DecoderPlan::ropes, graph::kNone for no positions
  std::int64_t window = 0;         // keys that a token sees, 0 for all
  bool has_experts = false;
  float attention_scale = 0;  // 0 for 1 / sqrt(head_dim)
};

// How queries, keys and values are stored.
enum class QkvForm : std::uint8_t {
  kSeparate,
  kConcatenated,  // one matrix, queries first
  kGrouped,       // one matrix, for each key/value head its queries, its key and its value
};

// Norms of queries and keys: over heads with one vector for all, over heads with a vector each, or
// over all heads together.
enum class QkNorm : std::uint8_t { kNone, kHead, kEachHead, kWhole };

struct MoePlan {
  graph::Routing routing;
  std::int64_t expert_count = 0;
  std::int64_t ffn = 0;
  bool has_correction = false;
  bool has_router_bias = false;
  // How experts are stored.
  enum class Form : std::uint8_t {
    kSeparate,      // a matrix each
    kStacked,       // one tensor for all experts. Shape: [experts][out][in]
    kFusedStacked,  // gates and ups in one, gates first. Shape: [experts][2 ffn][hidden]
    // Gates and ups take turns. Shape: [experts][hidden][2 ffn], of MXFP4 [experts][2 ffn][hidden]
    kInterleaved,
  };
  Form form = Form::kSeparate;
  bool has_bias = false;
  float clamp = 0;              // see ExpertsOp
  std::int64_t shared_ffn = 0;  // of an expert that all tokens go through, 0 for none
  bool has_shared_gate = false;
};

// What comes after the last layer.
enum class Ending : std::uint8_t { kLogits, kHidden, kClasses };

// The head of a classifier: classifier(norm(activation(dense(hidden)))), of which all but the last
// may be missing.
struct ClassPlan {
  std::int64_t count = 0;
  bool has_dense = false;
  bool dense_bias = false;
  bool is_tanh = false;  // the activation, else `activation`
  graph::Activation activation = graph::Activation::kGelu;
  bool has_norm = false;
  bool has_bias = true;     // of the last linear
  bool reads_mean = false;  // of the whole text, not one of its rows
};

// Low-rank queries, keys and values (DeepSeek). The cache holds the latent vector and the rotated
// part of the key.
struct LatentPlan {
  std::int64_t query_rank = 0;  // 0: queries are not compressed
  std::int64_t rank = 0;
  std::int64_t nope_dim = 0;
  std::int64_t rope_dim = 0;
  std::int64_t value_dim = 0;
};

struct DecoderPlan {
  bool is_gguf = false;
  std::int64_t hidden = 0;
  std::int64_t ffn = 0;
  std::int64_t vocab = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t context_tokens_max = 0;
  std::vector<LayerPlan> layers;
  std::vector<graph::Rope> ropes;

  // Around attention and feed-forward.
  NormPlan norm;
  bool has_attention_norm = true;
  bool has_attention_post_norm = false;  // of what attention adds
  bool has_ffn_norm = true;
  bool has_ffn_post_norm = false;
  bool is_parallel = false;  // the feed-forward layer reads what attention reads, or its own norm
                             // of it
  bool norms_sums = false;   // post norms are those of the sums, not of what is added
  bool has_final_norm = true;
  float residual_scale = 1;

  QkvForm qkv = QkvForm::kSeparate;
  QkNorm qk_norm = QkNorm::kNone;
  NormPlan qk_norm_plan;
  bool qkv_bias = false;
  bool output_bias = false;
  float qkv_clip = 0;
  float attention_soft_cap = 0;
  std::vector<float> slopes;  // ALiBi. Shape: [heads] or empty
  bool has_sinks = false;
  bool is_bidirectional = false;
  std::optional<LatentPlan> latent;

  bool is_gated = true;
  bool has_fused_gate = false;  // gate and up are one matrix, the gate first
  bool mlp_bias = false;
  graph::Activation activation = graph::Activation::kSilu;
  std::optional<MoePlan> moe;

  Ending ending = Ending::kLogits;
  ClassPlan classes;
  VectorRows vector_rows = VectorRows::kLast;

  bool has_embedding_norm = false;
  // Of an embedding that is brought to the hidden width; 0 where it has that.
  std::int64_t embedding_width = 0;
  std::int64_t token_type_count = 0;  // rows of a table of which the first is added to all tokens
  float embedding_scale = 1;
  // Learned positions: row of the first one, and rows of the table.
  std::optional<std::int64_t> position_offset;
  std::int64_t position_rows = 0;
  bool is_tied = false;
  bool head_bias = false;
  float logit_scale = 1;
  float logit_soft_cap = 0;

  bool has_transposed_matrices = false;  // [in][out]
  std::span<const WeightName> names;     // what a Hugging Face file spells differently
  std::span<const WeightName> names_in_gguf;
  // Of names in Hugging Face files, and what stands there in its place; see WeightReader.
  std::string_view prefix = "model.";
  std::span<const std::string_view> other_prefixes;
  // Weights that are passed over.
  std::span<const std::string_view> ignored;
};

// What an architecture takes where the configuration says nothing.
struct DecoderDefaults {
  std::string_view activation = "silu";
  double norm_eps = 1e-6;
  bool is_tied = false;
  bool has_rope = true;
  RopeDefaults rope = {};
  std::int64_t head_dim = 0;            // 0: the hidden width divided by the number of heads
  std::int64_t ffn_factor = 0;          // feed-forward width in hidden widths, 0: it must be given
  std::int64_t context_tokens_max = 0;  // 0: it must be given
};

// Sizes, activation, window-less layers and the rope that the configuration asks for, and the
// ending that the name of the class says ("..Model", "..ForSequenceClassification"). Failures:
// invalid_argument naming the hyperparameter, unsupported (activation, rope type).
Result<DecoderPlan> plan_decoder(const formats::ModelMeta& meta,
                                 const DecoderDefaults& defaults = {});

// Gives a window to the layers that `has_window` names (all without it), where the configuration
// has a window; `fallback` is the window where it says nothing.
void plan_windows(const formats::ModelMeta& meta,
                  std::int64_t fallback,
                  const std::function<bool(std::int64_t layer)>& has_window,
                  DecoderPlan& plan);

// Whether a layer has a window by layer_types, or else by the rule "all but every n-th".
std::function<bool(std::int64_t)> all_but_every(const formats::ModelMeta& meta,
                                                std::int64_t fallback_pattern);

// The slopes of ALiBi (Press et al. 2022) for any number of heads, as BLOOM takes them.
std::vector<float> alibi_slopes(std::int64_t heads);

// Finds every weight and builds the program. Failures: corrupt_data naming a weight, unsupported.
Result<BuiltModel> build_decoder(const DecoderPlan& plan,
                                 const tensor::WeightMap& weights,
                                 const graph::Arithmetic& arithmetic);

}  // namespace inferneo::arch
