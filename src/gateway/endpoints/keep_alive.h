// How long a model stays in memory after a request, as Ollama's clients write it.
// Thread: any (pure).
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

// Seconds as a number, or a text of numbers with units ("5m", "1h30m", "90"; ms, s, m, h). Negative
// means forever (manager::kKeepForever), as does anything beyond a year. Failures:
// invalid_argument.
Result<Duration> read_keep_alive(const text::Value& value);

}  // namespace inferneo::gateway::endpoints
