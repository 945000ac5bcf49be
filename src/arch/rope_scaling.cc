#include "arch/rope_scaling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/str.h"

namespace inferneo::arch {
namespace {

using formats::RopeMeta;
using graph::Rope;

constexpr double kTau = 2 * std::numbers::pi;

// What the kinds of scaling start from, defaults filled in.
struct Base {
  double theta = 0;
  std::int64_t dim = 0;      // elements that are rotated
  std::int64_t context = 0;  // positions of the model
};

Status missing(const RopeMeta& meta, std::string_view key) {
  return invalid_argument(str("rope_scaling of type ", meta.type, " needs ", key))
      .with_where(str("rope_scaling.", key));
}

// theta^(2i / dim). Why through float: torch computes the exponent and the power in f32.
std::vector<float> position_frequencies(double theta, std::int64_t dim) {
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < dim; i += 2) {
    const float exponent = static_cast<float>(i) / static_cast<float>(dim);
    frequencies.push_back(std::pow(static_cast<float>(theta), exponent));
  }
  return frequencies;
}

std::vector<float> default_frequencies(double theta, std::int64_t dim) {
  std::vector<float> frequencies = position_frequencies(theta, dim);
  for (float& frequency : frequencies) frequency = 1.0F / frequency;
  return frequencies;
}

Result<Rope> make_linear(const RopeMeta& meta, const Base& base) {
  if (!meta.factor) return missing(meta, "factor");
  Rope rope{default_frequencies(base.theta, base.dim), 1};
  for (float& frequency : rope.inverse_frequencies) frequency /= static_cast<float>(*meta.factor);
  return rope;
}

Result<Rope> make_default(const RopeMeta&, const Base& base) {
  return Rope{default_frequencies(base.theta, base.dim), 1};
}

// Dynamic scaling changes nothing up to max_position_embeddings, which is where our contexts end.
Result<Rope> make_dynamic(const RopeMeta& meta, const Base& base) {
  if (!meta.factor) return missing(meta, "factor");
  return make_default(meta, base);
}

Result<Rope> make_llama3(const RopeMeta& meta, const Base& base) {
  if (!meta.factor) return missing(meta, "factor");
  if (!meta.low_freq_factor) return missing(meta, "low_freq_factor");
  if (!meta.high_freq_factor) return missing(meta, "high_freq_factor");
  const auto factor = static_cast<float>(*meta.factor);
  const double low = *meta.low_freq_factor;
  const double high = *meta.high_freq_factor;
  if (high <= low) {
    return invalid_argument(str("rope_scaling.high_freq_factor is ",
                                high,
                                ", but must be above low_freq_factor ",
                                low))
        .with_where("rope_scaling.high_freq_factor");
  }
  const auto original = static_cast<double>(meta.original_context_tokens.value_or(base.context));
  Rope rope{default_frequencies(base.theta, base.dim), 1};
  for (float& frequency : rope.inverse_frequencies) {
    const float wavelength = static_cast<float>(kTau) / frequency;
    const bool is_long = wavelength > static_cast<float>(original / low);
    const bool is_short = wavelength < static_cast<float>(original / high);
    if (is_long) {
      frequency /= factor;
    } else if (!is_short) {
      const float smooth = (static_cast<float>(original) / wavelength - static_cast<float>(low)) /
                           static_cast<float>(high - low);
      frequency = (1.0F - smooth) * frequency / factor + smooth * frequency;
    }
  }
  return rope;
}

double yarn_mscale(double scale, double mscale) {
  return scale <= 1 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0;
}

double yarn_attention_factor(const RopeMeta& meta, double factor) {
  if (meta.attention_factor) return *meta.attention_factor;
  const double mscale = meta.mscale.value_or(0);
  const double mscale_all_dim = meta.mscale_all_dim.value_or(0);
  if (mscale > 0 && mscale_all_dim > 0) {
    return yarn_mscale(factor, mscale) / yarn_mscale(factor, mscale_all_dim);
  }
  return yarn_mscale(factor, 1);
}

// The first and last pair between which YaRN goes over from keeping to interpolating.
std::pair<double, double> yarn_range(const RopeMeta& meta, const Base& base, double original) {
  // Why zero means the default: transformers writes `value or default`.
  const double fast = meta.beta_fast.value_or(0) > 0 ? *meta.beta_fast : 32.0;
  const double slow = meta.beta_slow.value_or(0) > 0 ? *meta.beta_slow : 1.0;
  const auto pair_of = [&](double rotations) {
    return static_cast<double>(base.dim) * std::log(original / (rotations * kTau)) /
           (2 * std::log(base.theta));
  };
  double low = pair_of(fast);
  double high = pair_of(slow);
  if (meta.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(base.dim - 1));
  if (low == high) high += 0.001;
  return {low, high};
}

Result<Rope> make_yarn(const RopeMeta& meta, const Base& base) {
  const auto original = static_cast<double>(meta.original_context_tokens.value_or(base.context));
  const double factor = meta.factor.value_or(static_cast<double>(base.context) / original);
  if (base.theta <= 1) {
    return invalid_argument(str("rope_theta is ", base.theta, ", but yarn needs more than 1"))
        .with_where("rope_theta");
  }
  const auto [low, high] = yarn_range(meta, base, original);
  Rope rope{position_frequencies(base.theta, base.dim),
            static_cast<float>(yarn_attention_factor(meta, factor))};
  for (std::size_t i = 0; i < rope.inverse_frequencies.size(); ++i) {
    float& frequency = rope.inverse_frequencies[i];
    const float kept = 1.0F / frequency;
    const float interpolated = 1.0F / (static_cast<float>(factor) * frequency);
    const float ramp = std::clamp(
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low),
        0.0F,
        1.0F);
    const float keep = 1.0F - ramp;
    frequency = interpolated * (1.0F - keep) + kept * keep;
  }
  return rope;
}

Status divide_frequencies(const std::vector<float>& divisors, Rope& rope) {
  if (divisors.empty()) return ok_status();
  if (divisors.size() != rope.inverse_frequencies.size()) {
    return corrupt_data(str("the rotary frequencies have ",
                            divisors.size(),
                            " divisors, but there are ",
                            rope.inverse_frequencies.size(),
                            " of them"))
        .with_where("rope_freqs.weight");
  }
  for (std::size_t i = 0; i < divisors.size(); ++i) rope.inverse_frequencies[i] /= divisors[i];
  return ok_status();
}

// Why by the context and not by the length of a sequence: keys in the cache would have to be
// rotated again when a sequence grows beyond the original context. vLLM and llama.cpp choose so,
// too.
Result<Rope> make_longrope(const RopeMeta& meta, const Base& base) {
  const std::int64_t original = meta.original_context_tokens.value_or(base.context);
  const std::int64_t served = meta.served_context_tokens.value_or(base.context);
  const bool is_long = std::min(served, base.context) > original;
  const std::vector<float>& factors = is_long ? meta.long_factors : meta.short_factors;
  const char* key = is_long ? "long_factor" : "short_factor";
  if (factors.empty()) return missing(meta, key);
  if (std::ssize(factors) != base.dim / 2) {
    return invalid_argument(str("rope_scaling.",
                                key,
                                " has ",
                                factors.size(),
                                " numbers, but must have ",
                                base.dim / 2,
                                ", one for each rotated pair"))
        .with_where(str("rope_scaling.", key));
  }
  const double growth = static_cast<double>(base.context) / static_cast<double>(original);
  const double factor = meta.factor.value_or(growth);
  double scale = 1;
  if (factor > 1) scale = std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(original)));
  Rope rope{position_frequencies(base.theta, base.dim),
            static_cast<float>(meta.attention_factor.value_or(scale))};
  for (std::size_t i = 0; i < factors.size(); ++i) {
    float& frequency = rope.inverse_frequencies[i];
    frequency = 1.0F / (factors[i] * frequency);
  }
  return rope;
}

struct Kind {
  std::string_view name;
  Result<Rope> (*make)(const RopeMeta& meta, const Base& base);
};
constexpr std::array<Kind, 7> kKinds = {{
    {"default", make_default},
    {"dynamic", make_dynamic},
    {"linear", make_linear},
    {"llama3", make_llama3},
    {"longrope", make_longrope},
    {"su", make_longrope},
    {"yarn", make_yarn},
}};

Result<std::int64_t> rotary_dim(const RopeMeta& meta, std::int64_t head_dim, double partial) {
  const double share = meta.partial_rotary_factor.value_or(partial);
  const auto dim =
      meta.rotary_dim.value_or(static_cast<std::int64_t>(static_cast<double>(head_dim) * share));
  if (dim > head_dim || dim < 2) {
    return invalid_argument(str("rotary embeddings of ",
                                dim,
                                " elements do not fit heads of ",
                                head_dim,
                                "; there must be 2 or more"))
        .with_where(meta.rotary_dim ? "rotary_dim" : "partial_rotary_factor");
  }
  if (dim % 2 != 0) {
    return invalid_argument(str(dim == head_dim ? "head_dim is " : "the rotary width is ",
                                dim,
                                ", but rotary embeddings need an even number"))
        .with_where("head_dim");
  }
  return dim;
}

}  // namespace

std::span<const std::string_view> rope_types() {
  static constexpr auto kNames = [] {
    std::array<std::string_view, kKinds.size()> names;
    for (std::size_t i = 0; i < names.size(); ++i) names[i] = kKinds[i].name;
    return names;
  }();
  return kNames;
}

Result<Rope> make_rope(const RopeMeta& meta,
                       std::int64_t head_dim,
                       std::int64_t context_tokens_max,
                       const RopeDefaults& defaults) {
  ASSIGN_OR_RETURN(const std::int64_t dim, rotary_dim(meta, head_dim, defaults.partial));
  const Base base = {meta.theta.value_or(defaults.theta), dim, context_tokens_max};
  for (const Kind& kind : kKinds) {
    if (kind.name == meta.type) {
      ASSIGN_OR_RETURN(Rope rope, kind.make(meta, base));
      RETURN_IF_ERROR(divide_frequencies(meta.frequency_divisors, rope));
      return rope;
    }
  }
  const std::string_view nearest = nearest_name(meta.type, rope_types());
  return unsupported(str("rope_scaling of type \"",
                         printable(meta.type),
                         "\" is not supported; the supported types are ",
                         joined(rope_types())))
      .with_hint(nearest.empty() ? "" : str("the nearest supported type is ", nearest))
      .with_where("rope_scaling.rope_type");
}

}  // namespace inferneo::arch
