// The arguments of one call in Python's words, behind its opening bracket: key="value", n=1,
// flag=True, list=[1, 2], map={"a": None}) . An argument is passed on as JSON when it is complete.
// Thread: one owner.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "text/reply.h"

namespace inferneo::text {

class PythonCall {
 public:
  // Takes what it can from the front of `pending`; true when the closing bracket was read.
  bool push(std::string& pending, ReplyWriter& writer);

 private:
  bool has_arguments_ = false;
};

// A literal of Python (string, number, True, False, None, list, tuple, dict) as JSON text.
// Failures: invalid_argument.
Result<std::string> python_literal_json(std::string_view literal);

}  // namespace inferneo::text
