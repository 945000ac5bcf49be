#include "gateway/http/socket_wait.h"

#include <poll.h>

#include <cerrno>

#include "base/error_text.h"

namespace inferneo::gateway::http {

Status wait_for_socket(int fd, short events, std::chrono::steady_clock::time_point deadline) {
  pollfd entry{.fd = fd, .events = events, .revents = 0};
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return deadline_exceeded("no answer in time");
    const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
    if (ready > 0) return ok_status();
    if (ready < 0 && errno != EINTR) return unavailable(error_text(errno));
  }
}

}  // namespace inferneo::gateway::http
