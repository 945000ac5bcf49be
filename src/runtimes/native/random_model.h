// Models of random weights for benchmarks and tests that need a size and no file. Built in memory
// and then loaded through the same architecture code as a model from disk.
// Thread: any.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "device/cpu.h"
#include "runtime/runtime.h"

namespace inferneo::runtimes::native {

// The shape of TinyLlama 1.1B unless changed.
struct RandomModelShape {
  std::int64_t hidden_size = 2048;
  std::int64_t layer_count = 22;
  std::int64_t head_count = 32;
  std::int64_t kv_head_count = 4;
  std::int64_t head_dim = 64;
  std::int64_t ffn_size = 5632;
  std::int64_t vocab_size = 32000;
  std::int64_t context_tokens_max = 2048;
  bool tied = false;
  // Where set, a Mixtral: experts as wide as ffn_size, and those that a token goes through.
  std::int64_t expert_count = 0;
  std::int64_t chosen_count = 1;
  // Where set, a DeepSeek without experts: sizes of the latent vector and of a head with and
  // without position; values of heads are as wide as the latter.
  std::int64_t latent_rank = 0;
  std::int64_t rope_dim = 0;
  std::int64_t nope_dim = 0;
};

// A model of bf16 weights, a Llama unless the shape says otherwise: normally distributed with
// variance 1 / inputs, so that activations stay of order one. Equal seeds give equal weights on
// every machine and for any thread count. Cost: about a second for a billion weights on two cores.
// Failures: invalid_argument (shape), resource_exhausted.
Result<std::shared_ptr<const runtime::Model>> make_random_model(const RandomModelShape& shape,
                                                                std::uint64_t seed,
                                                                const runtime::LoadOptions& options,
                                                                device::CpuDevice& device);

}  // namespace inferneo::runtimes::native
