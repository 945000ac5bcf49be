#include "base/error_text.h"

#include <system_error>

namespace inferneo {

std::string error_text(int error_number) { return std::generic_category().message(error_number); }

}  // namespace inferneo
