// A listening socket for tests that are called by a client of ours. No product code includes this.
// Thread: any. Ownership: the caller closes the socket.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/check.h"

namespace inferneo::gateway::http {

// On a free port at all addresses of this machine; tells the port.
inline int listen_anywhere(int& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  CHECK(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  CHECK(::listen(listener, 8) == 0);
  socklen_t size = sizeof(address);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return listener;
}

}  // namespace inferneo::gateway::http
