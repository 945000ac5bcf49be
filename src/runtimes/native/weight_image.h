// How the weights of a model get from their files to where steps read them: some in place, the
// matrices packed into one image, which the next start may map from the cache.
// Thread: the loading thread; the image itself: any. Ownership: the image owns its memory.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/result.h"
#include "device/cpu.h"
#include "runtime/runtime.h"
#include "runtimes/native/native_model.h"
#include "tensor/tensor_view.h"

namespace inferneo::runtimes::native {

// The packed and converted matrices of a model. Destruction waits a few seconds for a copy of it
// that is being written to the cache, so that a short run leaves one behind.
class WeightImage {
 public:
  WeightImage();
  WeightImage(WeightImage&&) noexcept;
  WeightImage& operator=(WeightImage&&) noexcept;
  ~WeightImage();

  // Null when no matrix is packed or converted.
  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] runtime::PackedFrom from() const { return from_; }
  [[nodiscard]] std::chrono::milliseconds elapsed() const { return elapsed_; }

 private:
  friend class ImageMaker;
  struct Storage;

  std::unique_ptr<Storage> storage_;
  const std::byte* data_ = nullptr;
  runtime::PackedFrom from_ = runtime::PackedFrom::kNothing;
  std::chrono::milliseconds elapsed_{0};
};

// Embedding tables and matrices that steps read where they lie, each once.
std::vector<tensor::TensorView> views_in_place(const ModelPlan& plan);

// Whether kernels can read the elements where they are.
bool is_aligned(const tensor::TensorView& view);

// Copies what is read in place and not aligned; the plan's views are then to be made anew.
// Failures: resource_exhausted.
Status align_weights(const ModelPlan& plan, WeightStore& store);

// Maps the image from the cache, or packs all matrices, letting go of the memory of their sources
// matrix by matrix, so that both are never resident together, and has the cache written in the
// background. A cache that does not work costs a line in the log and nothing else.
// `progress` gets bytes done of plan.memory.weight_bytes, and may be empty.
// Failures: resource_exhausted.
Result<WeightImage> make_weight_image(const ModelPlan& plan,
                                      const WeightStore& store,
                                      const runtime::PackedCacheOptions& cache,
                                      device::CpuDevice& device,
                                      runtime::Progress& progress);

// Drops the pages of files that this process has mapped: what was read once, to pack, to hash or to
// copy, and the neighbours that each page fault maps as well. What is read again comes back.
void let_go_of_files(std::span<const MappedFile> files);

}  // namespace inferneo::runtimes::native
