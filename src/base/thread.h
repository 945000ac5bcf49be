// Names for threads, so that profilers and debuggers show "engine-starter" and not "inferneo".
// Thread: the one being named.
#pragma once

#include <string_view>

namespace inferneo {

// Bound: the kernel keeps 15 bytes; longer names are cut.
void set_thread_name(std::string_view name);

}  // namespace inferneo
