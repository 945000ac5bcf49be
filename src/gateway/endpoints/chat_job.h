// From a bound conversation to a job: the prompt, the formats of the reply, the answer. What every
// dialect with messages shares; a dialect binds its own body to a ChatRequest and brings the maker
// of its answer.
// Thread: front.
#pragma once

#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/generation.h"

namespace inferneo::gateway::endpoints {

using MakeAnswer = UniqueFunction<std::unique_ptr<Answer>(AnswerOptions)>;

// `id_prefix` begins the answer's id ("chatcmpl-"). Failures: as render_chat, encode and
// make_generate_request; their where() names the fields of chat completions.
Result<GenerationJob> make_chat_job(const Services& services,
                                    ChatRequest chat,
                                    manager::Lease lease,
                                    TimePoint started_at,
                                    std::string_view id_prefix,
                                    MakeAnswer make_answer);

}  // namespace inferneo::gateway::endpoints
