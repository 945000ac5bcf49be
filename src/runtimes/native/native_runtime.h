// The runtime for models that this program executes itself: Hugging Face directories with
// safetensors weights, through the architectures of arch/ on a CPU device.
// Thread: any. Ownership: the device is borrowed and must outlive the runtime, its models and their
// runners.
#pragma once

#include <memory>

#include "device/cpu.h"
#include "runtime/runtime.h"

namespace inferneo::runtimes::native {

std::unique_ptr<runtime::Runtime> make_runtime(device::CpuDevice& device);

}  // namespace inferneo::runtimes::native
