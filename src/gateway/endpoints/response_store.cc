#include "gateway/endpoints/response_store.h"

#include <utility>

namespace inferneo::gateway::endpoints {
namespace {

using text::Value;

// Names of erased entries that may wait in the order of age.
constexpr std::size_t kErasedNameCountMax = 64;

std::size_t size_of(const Value& value) {
  std::size_t size = sizeof(Value);
  if (const std::string* text = value.as_string()) size += text->size();
  if (const Value::List* list = value.as_list()) {
    for (const Value& item : *list) size += size_of(item);
  }
  if (const Value::Dict* dict = value.as_dict()) {
    for (const auto& [name, member] : *dict) size += sizeof(name) + name.size() + size_of(member);
  }
  return size;
}

std::size_t size_of(const StoredResponse& response) {
  std::size_t size = sizeof(StoredResponse) + response.id.size() + response.body.size();
  for (const std::string& item : response.input_items) size += sizeof(item) + item.size();
  for (const std::string& id : response.input_item_ids) size += sizeof(id) + id.size();
  // Why with all turns before it: these live as long as the last response that continues them.
  if (response.turn != nullptr) size += response.turn->size_bytes();
  return size;
}

}  // namespace

ResponseTurn::ResponseTurn(std::shared_ptr<const ResponseTurn> before, Value::List messages)
    : before_(std::move(before)), messages_(std::move(messages)) {
  for (const Value& message : messages_) size_bytes_ += size_of(message);
  message_count_ = messages_.size();
  if (before_ == nullptr) return;
  size_bytes_ += before_->size_bytes_;
  message_count_ += before_->message_count_;
}

Value::List ResponseTurn::conversation() const {
  std::vector<const ResponseTurn*> turns;
  for (const ResponseTurn* turn = this; turn != nullptr; turn = turn->before_.get()) {
    turns.push_back(turn);
  }
  Value::List messages;
  messages.reserve(message_count_);
  for (auto turn = turns.rbegin(); turn != turns.rend(); ++turn) {
    messages.insert(messages.end(), (*turn)->messages_.begin(), (*turn)->messages_.end());
  }
  return messages;
}

ResponseStore::ResponseStore(ResponseStoreLimits limits,
                             const Clock& clock,
                             std::shared_ptr<ResponseStore> parent)
    : limits_(limits), clock_(clock), parent_(std::move(parent)) {}

void ResponseStore::put(StoredResponse response, bool store) {
  if (parent_ != nullptr && store) return parent_->put(std::move(response), true);
  if (parent_ == nullptr && !store) return;
  UniqueFunction<void()> dropped;  // destroyed outside the lock: it may own what calls us
  const std::lock_guard lock(mutex_);
  if (response.is_final) {
    const auto cancel = cancels_.find(response.id);
    if (cancel != cancels_.end()) {
      dropped = std::move(cancel->second);
      cancels_.erase(cancel);
    }
  }
  put_locked(std::move(response));
}

void ResponseStore::put_locked(StoredResponse response) {
  const std::string id = response.id;
  const auto before = entries_.find(id);
  // A response that was cancelled stays so, whatever comes late.
  if (before != entries_.end() && before->second.response->is_final) return;
  if (before != entries_.end()) erase_locked(id);
  Entry entry;
  entry.size_bytes = size_of(response);
  if (entry.size_bytes > limits_.bytes_max) return;
  entry.stored_at = clock_.now();
  entry.sequence = ++sequence_;
  bytes_ += entry.size_bytes;
  entry.response = std::make_shared<const StoredResponse>(std::move(response));
  order_.emplace_back(id, entry.sequence);
  entries_.emplace(id, std::move(entry));
  trim_locked();
}

void ResponseStore::erase_locked(const std::string& id) {
  const auto entry = entries_.find(id);
  if (entry == entries_.end()) return;
  bytes_ -= entry->second.size_bytes;
  entries_.erase(entry);
}

void ResponseStore::trim_locked() {
  const TimePoint now = clock_.now();
  while (!order_.empty()) {
    const auto& [id, sequence] = order_.front();
    const auto entry = entries_.find(id);
    const bool is_gone = entry == entries_.end() || entry->second.sequence != sequence;
    const bool is_over = entries_.size() > limits_.count_max || bytes_ > limits_.bytes_max ||
                         (!is_gone && now - entry->second.stored_at > limits_.age_max);
    if (!is_gone && !is_over) break;
    if (!is_gone) erase_locked(std::string(id));
    order_.pop_front();
  }
  // Entries that clients deleted leave their names behind one that stays.
  if (order_.size() <= 2 * entries_.size() + kErasedNameCountMax) return;
  std::erase_if(order_, [&](const auto& name) {
    const auto entry = entries_.find(name.first);
    return entry == entries_.end() || entry->second.sequence != name.second;
  });
}

std::shared_ptr<const StoredResponse> ResponseStore::find(std::string_view id) {
  {
    const std::lock_guard lock(mutex_);
    trim_locked();
    const auto entry = entries_.find(std::string(id));
    if (entry != entries_.end()) return entry->second.response;
  }
  return parent_ == nullptr ? nullptr : parent_->find(id);
}

bool ResponseStore::erase(std::string_view id) {
  {
    const std::lock_guard lock(mutex_);
    const std::string key(id);
    if (entries_.contains(key)) {
      erase_locked(key);
      return true;
    }
  }
  return parent_ != nullptr && parent_->erase(id);
}

void ResponseStore::set_cancel(const std::string& id, UniqueFunction<void()> cancel) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(id);
  // Already over, or gone: nothing to stop by this name.
  if (entry == entries_.end() || entry->second.response->is_final) return;
  cancels_[id] = std::move(cancel);
}

UniqueFunction<void()> ResponseStore::take_cancel(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto found = cancels_.find(std::string(id));
  if (found == cancels_.end()) return {};
  UniqueFunction<void()> cancel = std::move(found->second);
  cancels_.erase(found);
  return cancel;
}

std::size_t ResponseStore::count() {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

std::size_t ResponseStore::order_size() {
  const std::lock_guard lock(mutex_);
  return order_.size();
}

std::size_t ResponseStore::bytes() {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace inferneo::gateway::endpoints
