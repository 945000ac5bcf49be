// The request that opens a WebSocket connection: is it one, and is it allowed.
// Thread: any. Spec: RFC 6455 section 4.2.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/http/head_scanner.h"
#include "gateway/http/message.h"

namespace inferneo::gateway::http {

// Whether the head asks to become a WebSocket connection.
bool wants_websocket(const RequestHead& head);

// Refuses a handshake that is not valid: 400, or 426 for another version.
Refusal check_websocket_handshake(const RequestHead& head, bool is_http_1_0);

// Pages of which origins may connect. A browser sends the origin of the page and lets any page
// open connections; other clients send none. Same host and port as the Host header are allowed, and
// what the configuration lists ("https://chat.example.org"; "*" is all). Refuses with 403.
Refusal check_origin(const RequestHead& head, const std::vector<std::string>& allowed_origins);

// The value of Sec-WebSocket-Accept for a key.
std::string websocket_accept_value(std::string_view key);

}  // namespace inferneo::gateway::http
