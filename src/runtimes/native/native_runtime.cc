#include "runtimes/native/native_runtime.h"

#include <filesystem>
#include <string>
#include <utility>

#include "base/str.h"
#include "formats/checkpoint.h"
#include "formats/gguf.h"
#include "formats/gguf_model.h"
#include "formats/model_config.h"
#include "formats/mxfp4_tensors.h"
#include "runtimes/native/gguf_text.h"
#include "runtimes/native/native_model.h"

namespace inferneo::runtimes::native {
namespace {

struct Artifact {
  formats::ModelMeta meta;
  WeightStore store;
};

bool is_directory(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error);
}

Result<Artifact> open_gguf(const std::string& path) {
  ASSIGN_OR_RETURN(formats::GgufFile file, formats::GgufFile::open(path));
  Artifact artifact;
  // Asked first: a model of another kind is refused by its name, not by a key that it lacks.
  ASSIGN_OR_RETURN(artifact.meta.gguf_architecture, formats::gguf_architecture(file.metadata()));
  RETURN_IF_ERROR(arch::find_arch(artifact.meta).status());
  ASSIGN_OR_RETURN(artifact.meta, formats::read_gguf_model(file.metadata(), file.weights()));
  artifact.store.weights = file.weights();
  artifact.store.files = std::move(file).take_files();
  return artifact;
}

Result<Artifact> open_directory(const std::string& path) {
  Artifact artifact;
  ASSIGN_OR_RETURN(artifact.meta, formats::read_model_config(path));
  // Asked before the weights: a model of another kind is refused by its name, not by its files.
  RETURN_IF_ERROR(arch::find_arch(artifact.meta).status());
  ASSIGN_OR_RETURN(formats::Checkpoint checkpoint, formats::Checkpoint::open(path));
  artifact.store.weights = checkpoint.weights();
  if (artifact.meta.quantization == "mxfp4") {
    RETURN_IF_ERROR(formats::join_mxfp4_tensors(artifact.store.weights));
  }
  artifact.store.files = std::move(checkpoint).take_files();
  return artifact;
}

Result<Artifact> open_artifact(const std::string& path) {
  if (is_directory(path)) return open_directory(path);
  auto artifact = open_gguf(path);
  if (!artifact) return std::move(artifact).error().with_context(path);
  return artifact;
}

class NativeRuntime final : public runtime::Runtime {
 public:
  explicit NativeRuntime(device::CpuDevice& device) : device_(device) {}

  [[nodiscard]] std::string_view name() const override { return "native"; }

  [[nodiscard]] int probe(const std::string& path) const override {
    if (!is_directory(path)) return formats::is_gguf(path) ? 100 : 0;
    std::error_code error;
    const bool has_config = std::filesystem::is_regular_file(path + "/config.json", error);
    return has_config && formats::has_safetensors(path) ? 100 : 0;
  }

  [[nodiscard]] Result<text::ModelText> text(const std::string& path) const override {
    return open_model_text(path);
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

Result<text::ModelText> open_model_text(const std::string& path) {
  text::ModelText text;
  if (is_directory(path)) {
    text.directory = path;
    return text;
  }
  ASSIGN_OR_RETURN(formats::GgufFile file, formats::GgufFile::open(path));
  auto found = read_gguf_text(file.metadata());
  if (!found) return std::move(found).error().with_context(path);
  text = *std::move(found);
  text.files = std::move(file).take_files();
  return text;
}

Result<formats::ModelMeta> read_model_meta(const std::string& path) {
  ASSIGN_OR_RETURN(Artifact artifact, open_artifact(path));
  return std::move(artifact.meta);
}

std::unique_ptr<runtime::Runtime> make_runtime(device::CpuDevice& device) {
  return std::make_unique<NativeRuntime>(device);
}

}  // namespace inferneo::runtimes::native
