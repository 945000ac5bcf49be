// A loaded model: its weights (mapped files or memory), its program, and the runners made from it.
// Thread: any; immutable after creation. Ownership: owns mappings and copies; borrows the device.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "base/anonymous_memory.h"
#include "base/mapped_file.h"
#include "base/result.h"
#include "device/cpu.h"
#include "formats/model_meta.h"
#include "graph/matrices.h"
#include "kernels/kernel_table.h"
#include "runtime/runtime.h"
#include "tensor/weight_map.h"

namespace inferneo::runtimes::native {

// Weights by name together with whatever keeps their bytes alive.
struct WeightStore {
  tensor::WeightMap weights;
  std::vector<MappedFile> files;
  std::vector<AnonymousMemory> memory;
};

// What the file and the options amount to, known without reading a weight.
struct ModelPlan {
  arch::BuiltModel built;
  graph::MatricesPlan matrices;
  const arch::ArchSpec* spec = nullptr;
  runtime::Arithmetic arithmetic = runtime::Arithmetic::kF32;
  runtime::MemoryPlan memory;
};
// Failures: those of find_arch and ArchSpec::build.
Result<ModelPlan> plan_model(const formats::ModelMeta& meta,
                             const tensor::WeightMap& weights,
                             const runtime::LoadOptions& options,
                             const kernels::KernelTable& table);

// `path` is kept for ModelInfo. Packs the matrices, and copies other weights that their file does
// not align to their element size. Failures: those of plan_model, resource_exhausted.
Result<std::shared_ptr<const runtime::Model>> make_model(const formats::ModelMeta& meta,
                                                         WeightStore store,
                                                         std::string path,
                                                         const runtime::LoadOptions& options,
                                                         device::CpuDevice& device,
                                                         runtime::Progress progress = {});

}  // namespace inferneo::runtimes::native
