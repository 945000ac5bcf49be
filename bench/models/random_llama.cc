#include "random_llama.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <random>
#include <span>
#include <utility>

#include "base/str.h"
#include "formats/gguf_writer.h"
#include "tensor/quant/quant_format.h"
#include "tensor/tensor_view.h"

namespace inferneo::bench {
namespace {

using formats::GgufTensorInfo;
using tensor::DType;

// Spec: config.json of SmolLM2-135M, TinyLlama-1.1B, Llama-3.2-1B and Llama-3.1-8B (cut to 8 of 32
// layers); a Llama with the sizes of Qwen2.5-0.5B; llama2.c's 15M; and one for tests.
constexpr std::array<LlamaShape, 7> kShapes = {{
    {"tiny", 256, 2, 4, 2, 512, 1024, true, 10000},
    {"15m", 288, 6, 6, 6, 768, 32000, true, 10000},
    {"135m", 576, 30, 9, 3, 1536, 49152, true, 100000},
    {"0.5b", 896, 24, 14, 2, 4864, 151936, true, 1000000},
    {"1.1b", 2048, 22, 32, 4, 5632, 32000, false, 10000},
    {"1b", 2048, 16, 32, 8, 8192, 128256, true, 500000},
    {"8b-8", 4096, 8, 32, 8, 14336, 128256, false, 500000},
}};

struct NamedMix {
  std::string_view name;
  DType base;
  DType better;
  DType head;
  std::uint32_t file_type;
};

// Spec: llama.h, llama_ftype.
constexpr std::array<NamedMix, 5> kMixes = {{
    {"f16", DType::kF16, DType::kF16, DType::kF16, 1},
    {"q4_0", DType::kQ4_0, DType::kQ4_0, DType::kQ6_K, 2},
    {"q8_0", DType::kQ8_0, DType::kQ8_0, DType::kQ8_0, 7},
    {"q4_k_m", DType::kQ4_K, DType::kQ6_K, DType::kQ6_K, 15},
    {"bf16", DType::kBf16, DType::kBf16, DType::kBf16, 32},
}};

template <typename Named>
std::string names_of(std::span<const Named> all) {
  std::string names;
  for (const Named& one : all) names += str(names.empty() ? "" : ", ", one.name);
  return names;
}

DType fitting(DType dtype, std::int64_t row) {
  if (row % tensor::dtype_block_elements(dtype) == 0) return dtype;
  return dtype == DType::kQ4_K ? DType::kQ5_0 : DType::kQ8_0;
}

bool gets_more_bits(std::int64_t layer, std::int64_t layers) {
  return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2;
}

std::vector<GgufTensorInfo> tensors_of(const LlamaShape& s, const TypeMix& mix) {
  const std::int64_t kv = s.hidden / s.heads * s.kv_heads;
  std::vector<GgufTensorInfo> tensors;
  tensors.push_back({"token_embd.weight",
                     s.tied ? mix.head(s.hidden) : mix.embedding(s.hidden),
                     {s.vocab, s.hidden}});
  for (std::int64_t layer = 0; layer < s.layers; ++layer) {
    const std::string prefix = str("blk.", layer, ".");
    const auto norm = [&](std::string_view name) {
      tensors.push_back({str(prefix, name, ".weight"), DType::kF32, {s.hidden}});
    };
    const auto matrix = [&](std::string_view name, std::int64_t rows, std::int64_t row) {
      tensors.push_back({str(prefix, name, ".weight"),
                         mix.layer_matrix(name, layer, s.layers, row),
                         {rows, row}});
    };
    norm("attn_norm");
    matrix("attn_q", s.hidden, s.hidden);
    matrix("attn_k", kv, s.hidden);
    matrix("attn_v", kv, s.hidden);
    matrix("attn_output", s.hidden, s.hidden);
    norm("ffn_norm");
    matrix("ffn_gate", s.ffn, s.hidden);
    matrix("ffn_up", s.ffn, s.hidden);
    matrix("ffn_down", s.hidden, s.ffn);
  }
  tensors.push_back({"output_norm.weight", DType::kF32, {s.hidden}});
  if (!s.tied) {
    tensors.push_back({"output.weight", mix.head(s.hidden), {s.vocab, s.hidden}});
  }
  return tensors;
}

// A SentencePiece-like vocabulary that any reader accepts: the special tokens, all bytes, and
// distinct words that no text holds.
void add_vocabulary(formats::GgufMetadataBytes& metadata, std::int64_t size) {
  enum TokenType : std::int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kByte = 6 };
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types = {kUnknown, kControl, kControl};
  std::vector<float> scores(3, 0);
  char text[16];
  for (int byte = 0; byte < 256; ++byte) {
    std::snprintf(text, sizeof(text), "<0x%02X>", static_cast<unsigned>(byte));
    tokens.emplace_back(text);
    types.push_back(kByte);
    scores.push_back(0);
  }
  while (static_cast<std::int64_t>(tokens.size()) < size) {
    std::snprintf(text, sizeof(text), "\u2581w%05zx", tokens.size());
    scores.push_back(-static_cast<float>(tokens.size()));
    tokens.emplace_back(text);
    types.push_back(kNormal);
  }
  metadata.text("tokenizer.ggml.model", "llama");
  metadata.texts("tokenizer.ggml.tokens", tokens);
  metadata.f32s("tokenizer.ggml.scores", scores);
  metadata.i32s("tokenizer.ggml.token_type", types);
  metadata.u32("tokenizer.ggml.unknown_token_id", 0);
  metadata.u32("tokenizer.ggml.bos_token_id", 1);
  metadata.u32("tokenizer.ggml.eos_token_id", 2);
  metadata.boolean("tokenizer.ggml.add_bos_token", true);
  metadata.text("tokenizer.chat_template",
                "{% for message in messages %}{{ message['content'] + '\\n' }}{% endfor %}");
}

formats::GgufMetadataBytes metadata_of(const LlamaShape& s, const TypeMix& mix) {
  constexpr std::uint32_t kContext = 32768;
  formats::GgufMetadataBytes metadata;
  const auto number = [&](std::string_view key, std::int64_t value) {
    metadata.u32(str("llama.", key), static_cast<std::uint32_t>(value));
  };
  metadata.text("general.architecture", "llama");
  metadata.text("general.name", str("random ", s.name));
  metadata.u32("general.file_type", mix.file_type());
  number("context_length", kContext);
  number("embedding_length", s.hidden);
  number("block_count", s.layers);
  number("feed_forward_length", s.ffn);
  number("attention.head_count", s.heads);
  number("attention.head_count_kv", s.kv_heads);
  number("rope.dimension_count", s.hidden / s.heads);
  number("vocab_size", s.vocab);
  metadata.f32("llama.rope.freq_base", s.rope_base);
  metadata.f32("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  add_vocabulary(metadata, s.vocab);
  return metadata;
}

// Encoded blocks of normal values, one pool for each type and row length. Why pools: drawing and
// rounding a number costs far more than writing it, and a matrix that repeats blocks of a pool is
// as fast or slow as one that does not.
class BlockPools {
 public:
  explicit BlockPools(std::uint64_t seed) : random_(seed) {}

  // Bytes of a tensor in pieces, each from a random place of the pool.
  Status write(formats::GgufWriter& writer, const GgufTensorInfo& info) {
    if (info.shape.rank() == 1) return write_ones(writer, info.shape[0]);
    const std::vector<std::byte>& pool = pool_of(info.dtype, info.shape[1]);
    const std::size_t block = tensor::dtype_block_size(info.dtype);
    std::size_t left = static_cast<std::size_t>(info.shape.element_count()) /
                       static_cast<std::size_t>(tensor::dtype_block_elements(info.dtype)) * block;
    while (left > 0) {
      const std::size_t start =
          std::uniform_int_distribution<std::size_t>(0, pool.size() / block - 1)(random_) * block;
      const std::size_t size = std::min(left, pool.size() - start);
      RETURN_IF_ERROR(writer.write(std::span(pool).subspan(start, size)));
      left -= size;
    }
    return ok_status();
  }

 private:
  static Status write_ones(formats::GgufWriter& writer, std::int64_t count) {
    const std::vector<float> ones(static_cast<std::size_t>(count), 1.0F);
    return writer.write(std::as_bytes(std::span(ones)));
  }

  const std::vector<std::byte>& pool_of(DType dtype, std::int64_t row) {
    constexpr std::int64_t kPoolElements = std::int64_t{1} << 21;
    std::vector<std::byte>& pool = pools_[{dtype, row}];
    if (!pool.empty()) return pool;
    std::normal_distribution<float> normal(0, 1 / std::sqrt(static_cast<float>(row)));
    std::vector<float> values(kPoolElements);
    std::ranges::generate(values, [&] { return normal(random_); });
    pool.resize(static_cast<std::size_t>(kPoolElements / tensor::dtype_block_elements(dtype)) *
                tensor::dtype_block_size(dtype));
    tensor::quantize_row(dtype, values.data(), kPoolElements, pool.data());
    return pool;
  }

  std::mt19937_64 random_;
  std::map<std::pair<DType, std::int64_t>, std::vector<std::byte>> pools_;
};

std::int64_t bytes_of(const GgufTensorInfo& info) {
  return info.shape.element_count() / tensor::dtype_block_elements(info.dtype) *
         static_cast<std::int64_t>(tensor::dtype_block_size(info.dtype));
}

ModelSizes sizes_of(const LlamaShape& s, std::span<const GgufTensorInfo> tensors) {
  ModelSizes sizes;
  const std::int64_t head_size = s.hidden / s.heads;
  for (const GgufTensorInfo& info : tensors) {
    sizes.file_bytes += bytes_of(info);
    if (info.shape.rank() == 1) continue;
    const bool embedding = info.name == "token_embd.weight";
    if (!embedding || s.tied) sizes.step_bytes += bytes_of(info);
    if (!embedding && info.name != "output.weight") {
      sizes.layer_parameters += info.shape.element_count();
    }
  }
  sizes.head_parameters = s.hidden * s.vocab;
  sizes.attention_width = s.heads * head_size * s.layers;
  sizes.kv_bytes_per_token = 2 * s.kv_heads * head_size * s.layers * 2;
  return sizes;
}

}  // namespace

Result<LlamaShape> llama_shape(std::string_view name) {
  const auto* const found = std::ranges::find(kShapes, name, &LlamaShape::name);
  if (found != kShapes.end()) return *found;
  return invalid_argument(str("there is no shape '", printable(name), "'"))
      .with_hint(str("shapes: ", names_of<LlamaShape>(kShapes)));
}

Result<TypeMix> TypeMix::create(std::string_view name) {
  const auto* const found = std::ranges::find(kMixes, name, &NamedMix::name);
  if (found == kMixes.end()) {
    return invalid_argument(str("there is no type '", printable(name), "'"))
        .with_hint(str("types: ", names_of<NamedMix>(kMixes)));
  }
  TypeMix mix;
  mix.base_ = found->base;
  mix.better_ = found->better;
  mix.head_ = found->head;
  mix.file_type_ = found->file_type;
  return mix;
}

DType TypeMix::layer_matrix(std::string_view tensor,
                            std::int64_t layer,
                            std::int64_t layers,
                            std::int64_t row) const {
  const bool sensitive = tensor == "attn_v" || tensor == "ffn_down";
  return fitting(sensitive && gets_more_bits(layer, layers) ? better_ : base_, row);
}

DType TypeMix::embedding(std::int64_t row) const { return fitting(base_, row); }

DType TypeMix::head(std::int64_t row) const { return fitting(head_, row); }

Result<ModelSizes> write_random_llama(const std::string& path,
                                      const LlamaShape& shape,
                                      const TypeMix& mix,
                                      std::uint64_t seed) {
  const std::vector<GgufTensorInfo> tensors = tensors_of(shape, mix);
  ASSIGN_OR_RETURN(formats::GgufWriter writer,
                   formats::GgufWriter::create(path, metadata_of(shape, mix), tensors));
  BlockPools pools(seed);
  for (const GgufTensorInfo& info : tensors) RETURN_IF_ERROR(pools.write(writer, info));
  RETURN_IF_ERROR(writer.finish());
  return sizes_of(shape, tensors);
}

}  // namespace inferneo::bench
