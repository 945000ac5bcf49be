// One layer of a decoder: takes its weights and adds its operations. For the files of this folder.
// Thread: the owner's. Ownership: borrows all.
#pragma once

#include <string>
#include <vector>

#include "arch/decoder.h"

namespace inferneo::arch {

// The vectors of a norm over `width` elements; look at the reader's status.
graph::ProgramBuilder::NormWeights take_norm(WeightReader& weights,
                                             const NormPlan& plan,
                                             const std::string& role,
                                             std::int64_t width);

// Elements of a view from `offset` on, as another shape.
tensor::TensorView slice(const tensor::TensorView& view,
                         std::int64_t offset,
                         const tensor::Shape& shape);

class DecoderLayer {
 public:
  DecoderLayer(const DecoderPlan& plan,
               std::int32_t layer,
               WeightReader& weights,
               graph::ProgramBuilder& builder);

  // sum is the residual stream. Shape: [tokens][hidden]; after the last layer [logit rows][hidden],
  // because nothing reads the other rows once their keys and values are stored.
  // Failures: corrupt_data naming a weight.
  Status add(graph::ValueId& sum);

 private:
  using Weight = graph::ProgramBuilder::Weight;
  using NormWeights = graph::ProgramBuilder::NormWeights;
  using ValueId = graph::ValueId;
  struct Qkv {
    ValueId q = graph::kNone;
    ValueId k = graph::kNone;
    ValueId v = graph::kNone;
  };

  [[nodiscard]] std::string role(std::string_view name) const;
  // Whether only the rows of the outputs go on from here.
  [[nodiscard]] bool gathers() const;
  Weight take(const std::string& role, std::int64_t out, std::int64_t in, bool bias);
  // Rows [begin, begin + count) of a weight with `out` rows.
  Weight take_rows(const Weight& whole, std::int64_t begin, std::int64_t count) const;
  ValueId norm(ValueId in, std::string_view name);
  void gather(ValueId& value);
  // Adds what attention or feed-forward gave to the sum.
  void join(ValueId& sum, ValueId in, const Weight& projection, bool post_norm, const char* name);

  Qkv project(ValueId in);
  Qkv split_grouped(ValueId fused);
  void norm_whole(Qkv& qkv);
  graph::Norm head_norm(std::string_view name, std::int64_t heads);
  [[nodiscard]] graph::AttentionStyle style();
  ValueId attend(ValueId in);
  ValueId attend_latent(ValueId in);
  ValueId latent_query(ValueId in);
  struct LatentHeads {
    std::vector<Weight> to_latent;
    std::vector<Weight> to_value;
  };
  LatentHeads latent_heads();

  void feed_forward(ValueId& sum, ValueId in);
  ValueId hidden_of(ValueId in);
  ValueId route_and_run(ValueId in);
  std::vector<graph::ProgramBuilder::ExpertWeights> take_experts();
  graph::ProgramBuilder::ExpertWeights take_expert(std::int64_t expert);
  graph::ProgramBuilder::ExpertWeights take_fused_expert(std::int64_t expert);
  graph::ProgramBuilder::ExpertWeights take_interleaved_expert(std::int64_t expert);
  graph::ProgramBuilder::ExpertWeights take_interleaved_rows(std::int64_t expert);
  graph::ProgramBuilder::ExpertWeights take_interleaved_columns(std::int64_t expert);
  void add_shared(ValueId out, ValueId in);

  const DecoderPlan& plan_;
  const std::int32_t layer_;
  const LayerPlan& here_;
  WeightReader& weights_;
  graph::ProgramBuilder& builder_;
};

}  // namespace inferneo::arch
