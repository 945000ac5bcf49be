// Reads the parts of a form that a client uploads.
// Spec: RFC 7578 (multipart/form-data), RFC 2046 section 5.1.
// Thread: any (pure functions).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace inferneo::gateway::endpoints::batch {

struct FormPart {
  std::string name;
  std::string filename;      // empty: a plain field
  std::string_view content;  // borrowed from the body
};

// `content_type` is the header's value, whose boundary parameter separates the parts.
// Failures: invalid_argument that says what is missing.
Result<std::vector<FormPart>> parse_form(std::string_view content_type, std::string_view body);

}  // namespace inferneo::gateway::endpoints::batch
