// Measurements that another program asks for, one line on stdin at a time, in a process that has
// loaded its model: bench/compare drives us and a peer with the same lines, so that neither pays
// for loading and both run the same work. Lines and answers: docs/benchmarks.md.
// Thread: main; blocks until the input ends.
#pragma once

#include <istream>
#include <memory>

#include "base/clock.h"
#include "runtime/runtime.h"

namespace inferneo::app {

// Answers on stdout; the first line tells that the model is loaded. Returns false when any line
// failed. `clock` must outlive the call.
bool measure_lines(std::istream& in,
                   std::shared_ptr<const runtime::Model> model,
                   const Clock& clock);

}  // namespace inferneo::app
