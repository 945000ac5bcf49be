// The subject of a request (routing/subject.h), found in its headers and body: what keeps a
// conversation with one version while a name is split. For bodies of all dialects, since each names
// its parts a little differently.
//
// An id counts before the opening of the conversation. From the headers x-conversation-id,
// x-session-id, x-user-id; from the body conversation (a text or {"id"}), session_id,
// prompt_cache_key, user, safety_identifier, metadata.session_id, metadata.user_id, in this order.
// A turn that only points to an earlier one (previous_response_id) needs one of these to stay.
// Thread: any. Ownership: borrows the request.
#pragma once

#include "gateway/http/message.h"
#include "routing/subject.h"

namespace inferneo::gateway::endpoints {

class ExchangeSubject final : public routing::SubjectSource {
 public:
  explicit ExchangeSubject(const http::Request& request) : request_(request) {}
  // Parses the body: it is asked only while the name is split.
  [[nodiscard]] routing::Subject subject() const override;

 private:
  const http::Request& request_;
};

}  // namespace inferneo::gateway::endpoints
