// The runtime for models that this program executes itself: GGUF files, and Hugging Face
// directories with safetensors weights, through the architectures of arch/ on a CPU device. Thread:
// any. Ownership: the device is borrowed and must outlive the runtime, its models and their
// runners.
#pragma once

#include <memory>
#include <string>

#include "device/cpu.h"
#include "formats/model_meta.h"
#include "runtime/runtime.h"
#include "text/model_text.h"

namespace inferneo::runtimes::native {

std::unique_ptr<runtime::Runtime> make_runtime(device::CpuDevice& device);

// What Runtime::text of this runtime answers; needs no device, and no weights in the file.
Result<text::ModelText> open_model_text(const std::string& path);
// What a model says about itself. Failures: those of reading it, unsupported (architecture).
Result<formats::ModelMeta> read_model_meta(const std::string& path);

}  // namespace inferneo::runtimes::native
