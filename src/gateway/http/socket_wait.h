// Waiting for a socket that does not block. Thread: any.
#pragma once

#include <chrono>

#include "base/status.h"

namespace inferneo::gateway::http {

// `events` as poll(2) has them. Failures: deadline_exceeded, unavailable.
Status wait_for_socket(int fd, short events, std::chrono::steady_clock::time_point deadline);

}  // namespace inferneo::gateway::http
