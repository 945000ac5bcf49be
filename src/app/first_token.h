// How long a fresh process takes to its first token.
// Thread: any; blocks.
#pragma once

#include <string>

#include "base/result.h"

namespace inferneo::app {

// Seconds from starting `inferneo run MODEL` to the first byte of its answer.
// Failures: internal when the process cannot be started or says nothing.
Result<double> start_to_first_token(const std::string& model);

}  // namespace inferneo::app
