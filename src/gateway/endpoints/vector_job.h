// Vectors of many texts: submits a few at a time, so that a list of thousands neither fills the
// model's queue nor keeps others out of it, and hands over all of them at once.
// Thread: any; `use` runs once, on the model's output thread, or on the caller's when the first
// request is refused.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"
#include "gateway/endpoints/endpoint.h"
#include "request/pooling.h"

namespace inferneo::gateway::endpoints {

struct VectorJob {
  manager::Lease lease;
  std::vector<std::vector<TokenId>> texts;
  // Of texts that are pairs, where the second segment begins (GenerateRequest::second_begin); none
  // or one for each text.
  std::vector<std::int32_t> second_begins;
  // Where a failure of text i belongs: "input[3]".
  std::vector<std::string> fields;
  request::Pooling pooling = request::Pooling::kLast;
};

struct Vectors {
  std::vector<std::vector<float>> values;  // by text, as the model gives them
  std::int32_t token_count = 0;
};

using UseVectors = UniqueFunction<void(Result<Vectors>)>;

// The exchange's disconnect cancels what is still to be done; `use` is then not called.
void compute_vectors(const Services& services,
                     const std::shared_ptr<http::Exchange>& exchange,
                     VectorJob job,
                     UseVectors use);

// Brings a vector to length 1; one of zeros stays.
void normalize(std::span<float> values);

}  // namespace inferneo::gateway::endpoints
