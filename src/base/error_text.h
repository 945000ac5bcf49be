// What an error number of the operating system means, in words.
// Thread: any. Why not strerror: it may share one buffer between threads.
#pragma once

#include <string>

namespace inferneo {

std::string error_text(int error_number);

}  // namespace inferneo
