// Who can reach an address: the program refuses to listen beyond this machine without saying so,
// because there is no authentication yet.
// Thread: any.
#pragma once

#include <string_view>

#include "base/config.h"
#include "base/status.h"

namespace inferneo::app {

// "localhost", 127.0.0.0/8 and ::1.
bool is_loopback(std::string_view host);

// failed_precondition when the host is not loopback and allow_unauthenticated is off.
Status check_exposure(const Config& config);

// "http://127.0.0.1:8000", "http://[::1]:8000"
std::string base_url(std::string_view host, std::uint16_t port);

}  // namespace inferneo::app
