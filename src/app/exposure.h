// Who can reach an address: the program refuses to listen beyond this machine without saying so,
// because there is no authentication yet.
// Thread: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/config.h"
#include "base/status.h"

namespace inferneo::app {

// "localhost", 127.0.0.0/8 and ::1.
bool is_loopback(std::string_view host);

// failed_precondition when the host is not loopback and allow_unauthenticated is off.
Status check_exposure(const Config& config);

// What clients may do to models. Why not everything on any address: requests are not authenticated,
// and a change takes a model away from everyone.
enum class ManagementPolicy : std::uint8_t { kOff, kReadOnly, kOn };
ManagementPolicy management_policy(const Config& config);

// The address by which this machine reaches a server bound to `host`.
std::string connectable(std::string_view host);

// "http://127.0.0.1:8000", "http://[::1]:8000"
std::string base_url(std::string_view host, std::uint16_t port);

}  // namespace inferneo::app
