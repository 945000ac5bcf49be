// Reads a conversation file (format in README.md) into steps.
// Thread: any.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace inferneo::http_test {

struct Step {
  enum class Kind {
    kSend,
    kPause,
    kShutdown,
    kExpect,
    kExpectHead,
    kHeader,
    kNoHeader,
    kBody,
    kCut,
    kOpen,
    kClosed,
  };
  Kind kind;
  int line = 0;
  int number = 0;    // status of kExpect, milliseconds of kPause
  std::string name;  // header name
  std::string text;  // bytes to send, or a regular expression
};

// Failures: not_found, invalid_argument naming the line.
Result<std::vector<Step>> read_case(const std::string& path);

}  // namespace inferneo::http_test
