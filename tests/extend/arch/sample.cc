// A model architecture that exists only to show that a file is enough: tests/extend/extend_test.py
// puts it into src/arch of a copied tree and looks for it in the table.
#include <array>

#include "arch/arch.h"

namespace inferneo::arch {
namespace {

constexpr std::array<std::string_view, 1> kClassNames = {"SampleForCausalLM"};
constexpr std::array<std::string_view, 1> kModelTypes = {"sample"};

Result<BuiltModel> build(const formats::ModelMeta&,
                         const tensor::WeightMap&,
                         const graph::Arithmetic&) {
  return unsupported("the sample architecture computes nothing");
}

}  // namespace

extern const ArchSpec kSampleArch;
const ArchSpec kSampleArch = {
    .name = "sample", .class_names = kClassNames, .model_types = kModelTypes, .build = build};

}  // namespace inferneo::arch
