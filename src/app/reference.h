// The generated references of docs/: architectures, configuration, endpoints and metrics, written
// from the same tables that the program runs on. A test compares them with the files in docs/.
// Thread: any.
#pragma once

#include <string>

namespace inferneo::app {

std::string architecture_reference();   // docs/architectures.md
std::string configuration_reference();  // docs/configuration.md
std::string endpoint_reference();       // docs/endpoints.md
std::string metric_reference();         // docs/metrics.md

}  // namespace inferneo::app
