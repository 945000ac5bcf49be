// What the load generator does and what it saw: requests that were planned before the run, so that
// a slow server does not slow their arrival down.
// Thread: any (values).
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

namespace inferneo::bench {

// Requests of one client run one after the other, each not before its time.
struct PlannedRequest {
  std::int32_t client = 0;
  double at_s = 0;                 // since the start of the run
  std::int32_t shared_tokens = 0;  // the same ids in all prompts
  std::int32_t own_tokens = 0;     // ids of this prompt alone
  std::int32_t output_tokens = 0;
};

// One request a line: CLIENT AT_SECONDS SHARED OWN OUTPUT. Returns false and names the line in
// `error` when one is malformed.
bool read_plan(std::istream& in, std::vector<PlannedRequest>& plan, std::string& error);

// A streamed completion request with token ids in place of text, which takes no tokenizer on either
// side; end tokens are ignored so that every server does the same work. Another `seed` gives other
// ids, which no prefix cache has seen.
std::string request_bytes(const PlannedRequest& request,
                          std::size_t index,
                          std::uint64_t seed,
                          const std::string& host,
                          const std::string& model,
                          std::int32_t vocab_size);

}  // namespace inferneo::bench
