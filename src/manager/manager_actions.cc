// Carries out what the state machine of lifecycle.h has decided: loads and retirements on threads
// of their own, answers to those who wait.
#include <utility>

#include "base/check.h"
#include "base/str.h"
#include "manager/manager_control.h"

namespace inferneo::manager {

void ManagerControl::carry_out(Action& action) {
  if (const auto* to_plan = std::get_if<PlanVersion>(&action)) return plan(to_plan->version);
  if (const auto* to_load = std::get_if<LoadVersion>(&action)) return read(*to_load);
  if (const auto* to_retire = std::get_if<RetireVersion>(&action)) return retire(*to_retire);
  if (const auto* to_resize = std::get_if<ResizePool>(&action)) return resize_pool(*to_resize);
  if (const auto* to_cancel = std::get_if<CancelRequests>(&action)) {
    return cancel_requests(to_cancel->version);
  }
  if (const auto* to_grant = std::get_if<GrantTicket>(&action)) return grant(*to_grant);
  if (auto* to_refuse = std::get_if<RefuseTicket>(&action)) return refuse(*to_refuse);
  if (const auto* to_forget = std::get_if<ForgetVersion>(&action))
    return forget(to_forget->version);
  if (const auto* state = std::get_if<NoteState>(&action)) return note_state(*state);
  if (const auto* event = std::get_if<NoteEvent>(&action)) return note_event(*event);
}

void ManagerControl::plan(VersionId id) {
  const std::uint64_t budget = lifecycle.ledger().budget_bytes();
  loaders->post([this, id, budget, wanted = records.at(id).options] {
    auto sizes = std::make_shared<Result<VersionSizes>>(loader.plan(wanted, budget));
    loop->post([this, id, sizes] { lifecycle.planned(id, std::move(*sizes), now()); });
  });
}

void ManagerControl::read(const LoadVersion& action) {
  const VersionId id = action.version;
  Record& record = records.at(id);
  if (record.metrics == nullptr) record.metrics = std::make_shared<observe::ModelMetrics>();
  record.meter->done = 0;
  record.meter->total = 0;
  auto job = std::make_shared<LoadJob>();
  job->options = record.options;
  job->created_unix_seconds = record.created_unix_seconds;
  job->metrics = record.metrics;
  job->kept = std::exchange(record.kept, {});
  job->kv_bytes = action.kv_bytes;
  job->kv_bytes_max = action.kv_bytes_max;
  job->bytes_max = action.bytes_max;
  job->beside_bytes = lifecycle.view(id).sizes.beside_bytes;
  job->on_pool_resized = [this, id, bell_copy = bell](std::int32_t block_count) {
    bell_copy->post([this, id, block_count] { pool_resized(id, block_count); });
  };
  job->progress = [meter = record.meter, also = std::exchange(record.progress, {})](
                      std::uint64_t done, std::uint64_t total) mutable {
    meter->done.store(done, std::memory_order_relaxed);
    meter->total.store(total, std::memory_order_relaxed);
    if (also) also(done, total);
  };
  job->on_warming = [this, id] { loop->post([this, id] { lifecycle.warming(id, now()); }); };
  loaders->post([this, id, job] {
    const std::uint64_t before = resident_memory_bytes();
    const std::uint64_t generation = unload_generation.load();
    auto served =
        std::make_shared<Result<std::unique_ptr<ServedModel>>>(loader.load(std::move(*job)));
    const std::uint64_t after = resident_memory_bytes();
    const bool is_alone = loaders->count() == 1 && unload_generation.load() == generation;
    const std::uint64_t measured = is_alone && after > before ? after - before : 0;
    loop->post([this, id, served, measured] { finish_read(id, std::move(*served), measured); });
  });
}

void ManagerControl::finish_read(VersionId id,
                                 Result<std::unique_ptr<ServedModel>> served,
                                 std::uint64_t measured) {
  if (has_ended) return;
  Record& record = records.at(id);
  if (!served.has_value()) {
    record.metrics->kv_bytes.set(0);
    record.metrics->kv_blocks.set(0);
    lifecycle.loaded(id, std::move(served).error(), now());
    return;
  }
  const ModelLoader::Bytes bytes = ModelLoader::bytes_of(**served, record.options);
  record.measured_bytes = measured;
  record.loaded_unix_seconds = unix_milliseconds_now() / 1000;
  record.context_tokens_max = (*served)->context_tokens_max;
  record.served = with_unloader(id, std::shared_ptr<ServedModel>(*std::move(served)));
  record.use->call_when_idle(idle_wanted);
  lifecycle.loaded(
      id,
      LoadedSizes{.fixed_bytes = bytes.fixed, .weight_bytes = bytes.weights, .kv_bytes = bytes.kv},
      now());
}

void ManagerControl::retire(const RetireVersion& action) {
  Record& record = records.at(action.version);
  if (action.keep != Keep::kNothing) {
    record.kept.has_texts = true;
    record.kept.tokenizer = record.served->tokenizer;
    record.kept.chat_template = record.served->chat_template;
    record.kept.files = record.served->model->mapped_files();
    if (action.keep == Keep::kWeights) record.kept.model = record.served->model;
  }
  record.leaving = record.served;
  record.served.reset();
  mark_changed(action.version);
}

void ManagerControl::resize_pool(const ResizePool& action) {
  const Record& record = records.at(action.version);
  CHECK(record.served != nullptr);
  const std::uint64_t block = record.served->model->info().memory.kv_block_bytes;
  record.served->engine->resize_pool(static_cast<std::int32_t>(action.kv_bytes / block));
}

void ManagerControl::pool_resized(VersionId id, std::int32_t block_count) {
  const auto found = records.find(id);
  // Retired meanwhile: whoever holds it still gives all of its memory back together.
  if (has_ended || found == records.end() || found->second.served == nullptr) return;
  const std::uint64_t block = found->second.served->model->info().memory.kv_block_bytes;
  lifecycle.resized(id, static_cast<std::uint64_t>(block_count) * block, now());
  mark_changed(id);
}

// Its last requests are told; their leases come back, and so does the memory.
void ManagerControl::cancel_requests(VersionId id) {
  unloaders->post([leaving = records.at(id).leaving] {
    if (const std::shared_ptr<ServedModel> served = leaving.lock()) {
      served->engine->drain(Duration::zero());
    }
  });
}

void ManagerControl::grant(const GrantTicket& action) {
  const auto found = waiters.find(action.ticket);
  if (found == waiters.end()) return;
  Waiter waiter = std::move(found->second);
  waiters.erase(found);
  const Record& record = records.at(action.version);
  CHECK(record.served != nullptr);
  requests_waited.fetch_add(1);
  metrics.cold_start_wait.observe(to_seconds(now() - waiter.began));
  changed_models.insert(waiter.model);
  answers.emplace_back(std::move(waiter.ready),
                       Lease(record.served, record.use, waiter.keep_alive));
}

void ManagerControl::refuse(RefuseTicket& action) {
  const auto found = waiters.find(action.ticket);
  if (found == waiters.end()) return;
  Waiter waiter = std::move(found->second);
  waiters.erase(found);
  changed_models.insert(waiter.model);
  Status status = std::move(action.status);
  if (action.failed != 0) status = public_failure(action.failed, status);
  answers.emplace_back(std::move(waiter.ready), std::move(status).with_where("model"));
}

// Clients hear why, but not where files lie.
Status ManagerControl::public_failure(VersionId id, const Status& status) const {
  const ModelOptions& wanted = records.at(id).options;
  std::string reason = status.message();
  if (!wanted.path.empty()) {
    for (std::size_t place = reason.find(wanted.path); place != std::string::npos;
         place = reason.find(wanted.path, place + 1)) {
      reason.replace(place, wanted.path.size(), wanted.name);
    }
  }
  const std::string text = str("the model '", wanted.name, "' could not be loaded: ", reason);
  if (status.code() == StatusCode::kResourceExhausted) {
    return resource_exhausted(text).with_hint(status.hint());
  }
  return unavailable(text).with_hint("the server's log has the details; it is tried again later");
}

void ManagerControl::forget(VersionId id) {
  const auto found = records.find(id);
  if (found == records.end()) return;
  requests_forgotten.fetch_add(found->second.use->read().request_count);
  mark_changed(id);
  records.erase(found);
}

}  // namespace inferneo::manager
