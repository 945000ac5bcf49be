// The answers of generate and generate_stream: text_output, whole or in pieces.
// Thread: one at a time. Ownership: by value.
#pragma once

#include <memory>
#include <string>

#include "gateway/endpoints/answer.h"

namespace inferneo::gateway::endpoints::kserve {

struct TextOutputOptions {
  std::string id;       // of the request, told back; may be empty
  std::string version;  // as the path names it; empty: "1"
  std::string prefix;   // what the text begins with: the prompt, or nothing
};

std::unique_ptr<Answer> make_text_output(AnswerOptions options,
                                         TextOutputOptions output,
                                         bool stream);

}  // namespace inferneo::gateway::endpoints::kserve
