// Attention through a latent vector (DeepSeek): a token leaves in the cache its latent vector and
// one rotated key for all heads. Queries are brought into the space of the latent vector, where
// they meet it directly, and what attention gives is brought from there to the values of heads.
// Shape of a cached row and of each query: [rope_dim | rank].
// Why prompts take the same way, though keys and values of heads, made once from the latent vectors
// of a prompt, would multiply less: the two ways round differently, and a token must come out with
// the same bits as part of a prompt, generated, computed again after preemption or found in the
// cache. The choice could follow from its position alone, and a generated token of a position with
// the other way would make keys and values of its whole context: ten times the work of its layer at
// 512 tokens.
// Spec: DeepSeek-V2, arXiv 2405.04434, section 2.1 and appendix C.
#include <array>
#include <utility>

#include "arch/decoder_layer.h"
#include "base/str.h"

namespace inferneo::arch {

using graph::ProgramBuilder;
using graph::ValueId;
using tensor::TensorView;

// Shape: [heads][nope_dim | rope_dim]
ValueId DecoderLayer::latent_query(ValueId in) {
  const LatentPlan& latent = *plan_.latent;
  const std::int64_t width = plan_.heads * (latent.nope_dim + latent.rope_dim);
  if (latent.query_rank == 0) {
    const Weight query = take(role("q"), width, plan_.hidden, false);
    return weights_.status().ok() ? builder_.linear(in, {query}).front() : in;
  }
  const Weight compress = take(role("q_a"), latent.query_rank, plan_.hidden, plan_.qkv_bias);
  const NormWeights vectors = take_norm(weights_, plan_.norm, role("q_a_norm"), latent.query_rank);
  const Weight expand = take(role("q_b"), width, latent.query_rank, false);
  if (!weights_.status().ok()) return in;
  const ValueId compressed = builder_.linear(in, {compress}).front();
  const ValueId normed = builder_.norm(compressed, builder_.norm_of(vectors, latent.query_rank));
  return builder_.linear(normed, {expand}).front();
}

// The matrices of each head that bring its query to the latent space, and from there to its value.
// GGUF files of today hold the first ones apart, transposed.
DecoderLayer::LatentHeads DecoderLayer::latent_heads() {
  const LatentPlan& latent = *plan_.latent;
  const std::int64_t rank = latent.rank;
  const std::int64_t nope = latent.nope_dim;
  const std::int64_t value = latent.value_dim;
  LatentHeads heads;
  if (weights_.has(role("k_b.weight"))) {
    const TensorView& keys = weights_.take(role("k_b.weight"), {plan_.heads, rank, nope});
    const TensorView& values = weights_.take(role("v_b.weight"), {plan_.heads, value, rank});
    if (!weights_.status().ok()) return heads;
    for (std::int64_t head = 0; head < plan_.heads; ++head) {
      heads.to_latent.emplace_back(slice(keys, head * rank * nope, {rank, nope}));
      heads.to_value.emplace_back(slice(values, head * rank * value, {value, rank}));
    }
    return heads;
  }
  const Weight expand = take(role("kv_b"), plan_.heads * (nope + value), rank, false);
  if (tensor::is_quantized(expand.matrix.view.dtype)) {
    weights_.fail(
        unsupported("kv_b is quantised as a whole; convert the model again, so that the "
                    "file holds k_b and v_b"));
  }
  if (!weights_.status().ok()) return heads;
  for (std::int64_t head = 0; head < plan_.heads; ++head) {
    const std::int64_t begin = head * (nope + value);
    Weight keys = take_rows(expand, begin, nope);
    keys.matrix = {keys.matrix.view, 1, rank};
    keys.matrix.view.shape = {rank, nope};
    heads.to_latent.push_back(keys);
    heads.to_value.push_back(take_rows(expand, begin + nope, value));
  }
  return heads;
}

ValueId DecoderLayer::attend_latent(ValueId in) {
  const LatentPlan& latent = *plan_.latent;
  const std::int64_t rank = latent.rank;
  const std::int64_t rope = latent.rope_dim;
  const std::int64_t row = rope + rank;
  const ValueId query = latent_query(in);
  const Weight compress = take(role("kv_a"), rank + rope, plan_.hidden, plan_.qkv_bias);
  const NormWeights vectors = take_norm(weights_, plan_.norm, role("kv_a_norm"), rank);
  const auto [to_latent, to_value] = latent_heads();
  if (!weights_.status().ok()) return in;

  const std::array<Weight, 2> parts = {take_rows(compress, 0, rank),
                                       take_rows(compress, rank, rope)};
  const auto compressed = builder_.linear(in, parts);
  const ValueId normed = builder_.norm(compressed[0], builder_.norm_of(vectors, rank));
  const ValueId key = builder_.make_value(in, row);
  builder_.copy_columns({compressed[1], 0, 0, rope}, {key, 0, 0, rope}, 1);
  builder_.copy_columns({normed, 0, 0, rank}, {key, rope, 0, rank}, 1);

  const std::int64_t q_dim = latent.nope_dim + rope;
  const ValueId wide = builder_.make_value(in, plan_.heads * row);
  builder_.copy_columns({query, latent.nope_dim, q_dim, rope}, {wide, 0, row, rope}, plan_.heads);
  builder_.head_linear({query, 0, q_dim, latent.nope_dim}, to_latent, {wide, rope, row, rank});

  const ValueId mixed = builder_.attention(layer_, wide, key, graph::kNone, style());
  const ValueId out = builder_.make_value(in, plan_.heads * latent.value_dim);
  builder_.head_linear(
      {mixed, rope, row, rank}, to_value, {out, 0, latent.value_dim, latent.value_dim});
  return out;
}

}  // namespace inferneo::arch
