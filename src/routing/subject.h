// Who or what a request belongs to, as one number, so that a conversation stays with one version.
// The decision, first match wins:
//   1. an id that the client gives (session, conversation or user): hash_subject(tenant, id);
//   2. the opening of a chat (client, system text, first user text): it is repeated by every later
//      turn of that conversation, over any connection. Two conversations of one client with equal
//      openings share a version, which costs share accuracy and no correctness;
//   3. otherwise the request's own id: a completion has no conversation.
// Why not the connection: behind a proxy many clients share one, and one client uses many.
// Thread: any.
#pragma once

#include <cstdint>
#include <string_view>

#include "routing/split.h"

namespace inferneo::routing {

// Asked for its subject only while the name is split, since finding it may mean reading the body.
class SubjectSource {
 public:
  virtual ~SubjectSource() = default;
  [[nodiscard]] virtual Subject subject() const = 0;
};

// Hash of texts that keeps their borders: ("ab", "c") and ("a", "bc") differ. Stable over
// restarts and machines. Not for adversaries: a client may choose its version, which harms nobody.
class SubjectHash {
 public:
  SubjectHash& add(std::string_view text);
  [[nodiscard]] Subject value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325U;
};

}  // namespace inferneo::routing
