// What `serve` says when it is ready: the address, the models, the processor, the memory, and a
// request to try.
// Thread: any (makes text).
#pragma once

#include <memory>
#include <span>
#include <string>

#include "base/clock.h"
#include "manager/manager.h"

namespace inferneo::app {

// "llama, 7.3 million parameters, bf16 weights, bf16 arithmetic, 2048 tokens of context"
std::string model_line(const manager::ServedModel& served);
// "weights 14.0 MiB (13.9 MiB packed in 9 ms); KV cache 512.0 MiB = 65536 tokens"
std::string memory_line(const manager::ServedModel& served);

// `waiting_count`: models that are registered and will be loaded at their first request.
std::string banner(const std::string& url,
                   std::span<const std::shared_ptr<const manager::ServedModel>> models,
                   std::size_t waiting_count,
                   int thread_count,
                   Duration start_time);

}  // namespace inferneo::app
