#include "runtimes/native/native_runtime.h"

#include <filesystem>
#include <string>
#include <utility>

#include "base/str.h"
#include "formats/checkpoint.h"
#include "formats/model_config.h"
#include "runtimes/native/native_model.h"

namespace inferneo::runtimes::native {
namespace {

struct Artifact {
  formats::ModelMeta meta;
  WeightStore store;
};

Result<Artifact> open_artifact(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) {
    return not_found(str(path, " is not a directory"))
        .with_hint("give the directory that holds config.json and model.safetensors");
  }
  Artifact artifact;
  ASSIGN_OR_RETURN(artifact.meta, formats::read_model_config(path));
  // Asked before the weights: a model of another kind is refused by its name, not by its files.
  RETURN_IF_ERROR(arch::find_arch(artifact.meta).status());
  ASSIGN_OR_RETURN(formats::Checkpoint checkpoint, formats::Checkpoint::open(path));
  artifact.store.weights = checkpoint.weights();
  artifact.store.files = std::move(checkpoint).take_files();
  return artifact;
}

class NativeRuntime final : public runtime::Runtime {
 public:
  explicit NativeRuntime(device::CpuDevice& device) : device_(device) {}

  [[nodiscard]] std::string_view name() const override { return "native"; }

  [[nodiscard]] int probe(const std::string& path) const override {
    std::error_code error;
    const bool has_config = std::filesystem::is_regular_file(path + "/config.json", error);
    return has_config && formats::has_safetensors(path) ? 100 : 0;
  }

  Result<runtime::MemoryPlan> plan(const std::string& path,
                                   const runtime::LoadOptions& options) const override {
    ASSIGN_OR_RETURN(const Artifact artifact, open_artifact(path));
    ASSIGN_OR_RETURN(const ModelPlan plan,
                     plan_model(artifact.meta, artifact.store.weights, options, device_.kernels()));
    return plan.memory;
  }

  Result<std::shared_ptr<const runtime::Model>> load(const std::string& path,
                                                     const runtime::LoadOptions& options,
                                                     runtime::Progress progress) const override {
    ASSIGN_OR_RETURN(Artifact artifact, open_artifact(path));
    return make_model(
        artifact.meta, std::move(artifact.store), path, options, device_, std::move(progress));
  }

 private:
  device::CpuDevice& device_;
};

}  // namespace

std::unique_ptr<runtime::Runtime> make_runtime(device::CpuDevice& device) {
  return std::make_unique<NativeRuntime>(device);
}

}  // namespace inferneo::runtimes::native
