// Answers of the Responses API that may be asked for again, and the conversations that they
// continue. Bounded by count, bytes and age; the oldest go first. A store can have a parent: that
// of a connection remembers what it was told not to store, and looks further in its parent.
// Thread: any. Ownership: entries are shared with who reads them, the store with answers that are
// still being made, which may outlive the server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/unique_function.h"
#include "text/value.h"

namespace inferneo::gateway::endpoints {

// What one response added to a conversation: at least one message. Earlier turns are shared by all
// that continue them.
// Bound: limits::kMessageCountMax turns in a row, so that their end may nest that many calls.
class ResponseTurn {
 public:
  ResponseTurn(std::shared_ptr<const ResponseTurn> before, text::Value::List messages);
  ResponseTurn(const ResponseTurn&) = delete;
  ResponseTurn& operator=(const ResponseTurn&) = delete;

  // The conversation up to and with this turn, in the shape of chat completions.
  [[nodiscard]] text::Value::List conversation() const;
  // Bytes of this turn and those before it.
  [[nodiscard]] std::size_t size_bytes() const { return size_bytes_; }
  [[nodiscard]] std::size_t message_count() const { return message_count_; }

 private:
  const std::shared_ptr<const ResponseTurn> before_;
  const text::Value::List messages_;
  std::size_t size_bytes_ = 0;
  std::size_t message_count_ = 0;
};

struct StoredResponse {
  std::string id;
  std::string body;                      // the response object
  std::vector<std::string> input_items;  // with their ids, as the list shows them
  std::vector<std::string> input_item_ids;
  std::shared_ptr<const ResponseTurn> turn;
  bool in_background = false;
  bool is_final = true;
};

struct ResponseStoreLimits {
  std::size_t count_max;
  std::size_t bytes_max;
  Duration age_max;
};

class ResponseStore {
 public:
  // `clock` outlives the store. With a parent, only what is not to be stored is kept here.
  ResponseStore(ResponseStoreLimits limits,
                const Clock& clock,
                std::shared_ptr<ResponseStore> parent = nullptr);

  // Adds or replaces. `store` false: kept by the store of a connection only.
  void put(StoredResponse response, bool store);
  // Null when there is none (any more).
  [[nodiscard]] std::shared_ptr<const StoredResponse> find(std::string_view id);
  // False when there is none.
  bool erase(std::string_view id);

  // How to stop a response that is made in the background; dropped when it becomes final.
  void set_cancel(const std::string& id, UniqueFunction<void()> cancel);
  // Takes it out; empty when there is none.
  UniqueFunction<void()> take_cancel(std::string_view id);

  [[nodiscard]] std::size_t count();
  // Names kept for the order of age, those of erased entries included.
  [[nodiscard]] std::size_t order_size();
  [[nodiscard]] std::size_t bytes();

 private:
  struct Entry {
    std::shared_ptr<const StoredResponse> response;
    std::size_t size_bytes = 0;
    TimePoint stored_at;
    std::uint64_t sequence = 0;
  };

  void put_locked(StoredResponse response);
  void erase_locked(const std::string& id);
  void trim_locked();

  const ResponseStoreLimits limits_;
  const Clock& clock_;
  const std::shared_ptr<ResponseStore> parent_;
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::unordered_map<std::string, UniqueFunction<void()>> cancels_;
  std::deque<std::pair<std::string, std::uint64_t>> order_;  // oldest first; may name erased ones
  std::uint64_t sequence_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace inferneo::gateway::endpoints
