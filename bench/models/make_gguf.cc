// make_gguf --shape NAME --type NAME [--seed N] FILE.gguf
// Writes a random model and prints its sizes as one JSON object.
//
// make_gguf --from OTHER.gguf --type NAME FILE.gguf
// Writes the model of another file with matrices of an element type.
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/str.h"
#include "random_llama.h"
#include "requantize.h"

namespace inferneo::bench {
namespace {

constexpr const char* kUse =
    "use: make_gguf --shape NAME --type NAME [--seed N] FILE.gguf, or make_gguf --from OTHER.gguf "
    "--type NAME FILE.gguf";

struct Flags {
  std::string from;  // empty: a random model
  std::string shape = "1.1b";
  std::string type = "q8_0";
  std::uint64_t seed = 1;
  std::string path;
};

Result<Flags> parse_flags(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--shape" && has_value) {
      flags.shape = argv[++i];
    } else if (argument == "--from" && has_value) {
      flags.from = argv[++i];
    } else if (argument == "--type" && has_value) {
      flags.type = argv[++i];
    } else if (argument == "--seed" && has_value) {
      flags.seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (!argument.starts_with("-") && flags.path.empty()) {
      flags.path = argument;
    } else {
      return invalid_argument(str("unexpected argument '", printable(argument), "'"));
    }
  }
  if (flags.path.empty()) return invalid_argument(kUse);
  return flags;
}

Status make_random(const Flags& flags) {
  ASSIGN_OR_RETURN(const LlamaShape shape, llama_shape(flags.shape));
  ASSIGN_OR_RETURN(const TypeMix mix, TypeMix::create(flags.type));
  ASSIGN_OR_RETURN(const ModelSizes sizes, write_random_llama(flags.path, shape, mix, flags.seed));
  std::printf("{\"shape\": \"%s\", \"type\": \"%s\", \"file_bytes\": %" PRId64
              ", \"step_bytes\": %" PRId64 ", \"layer_parameters\": %" PRId64
              ", \"head_parameters\": %" PRId64 ", \"attention_width\": %" PRId64
              ", \"kv_bytes_per_token\": %" PRId64 ", \"vocab\": %" PRId64 "}\n",
              flags.shape.c_str(),
              flags.type.c_str(),
              sizes.file_bytes,
              sizes.step_bytes,
              sizes.layer_parameters,
              sizes.head_parameters,
              sizes.attention_width,
              sizes.kv_bytes_per_token,
              shape.vocab);
  return ok_status();
}

Status make(int argc, char** argv) {
  ASSIGN_OR_RETURN(const Flags flags, parse_flags(argc, argv));
  if (flags.from.empty()) return make_random(flags);
  ASSIGN_OR_RETURN(const tensor::DType dtype, matrix_type(flags.type));
  return requantize(flags.from, flags.path, dtype);
}

}  // namespace
}  // namespace inferneo::bench

int main(int argc, char** argv) {
  const inferneo::Status status = inferneo::bench::make(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr,
               "make_gguf: %s%s%s\n",
               status.message().c_str(),
               status.hint().empty() ? "" : "; ",
               status.hint().c_str());
  return 1;
}
