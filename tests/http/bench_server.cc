// Serves the test routes until end of input, so that load generators can measure the HTTP layer
// alone: http_bench_server PORT [IO_THREADS [FRONT_THREADS]]
#include <cstdio>
#include <cstdlib>

#include "gateway/http/server.h"
#include "routes.h"

int main(int argc, char** argv) {
  inferneo::gateway::http::ServerOptions options;
  options.port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
  if (argc > 2) options.io_thread_count = std::atoi(argv[2]);
  if (argc > 3) options.front_thread_count = std::atoi(argv[3]);
  inferneo::observe::ServerMetrics metrics;
  inferneo::http_test::Routes routes;
  auto server = inferneo::gateway::http::Server::start(options, routes, metrics);
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().to_string().c_str());
    return 1;
  }
  std::printf("port %d\n", (*server)->port());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
