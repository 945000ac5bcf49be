#include "operations.h"

#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp

#include <cstdlib>
#include <filesystem>
#include <random>
#include <string_view>

#include "base/check.h"
#include "base/str.h"
#include "manager/catalog_json.h"

namespace inferneo::catalog_test {
namespace {

using manager::Actor;
using manager::Catalog;

const Actor kActor = {.principal = "test", .address = "127.0.0.1"};

// Results are not looked at: a refusal is part of the sequence, and a failure of the disk shows in
// what the store holds.
void ignore(const Status&) {}

void register_one(Catalog& catalog, std::mt19937_64& random, std::string name) {
  manager::ModelRegistration registration;
  registration.name = std::move(name);
  registration.version = str(random() % 3 + 1);
  registration.path = str("/models/", random() % 1000);
  registration.pinned = random() % 4 == 0;
  if (random() % 2 == 0) registration.settings = {{"context_tokens_max", str(random() % 4096)}};
  for (std::uint64_t i = 0, count = random() % 6; i < count; ++i) {
    registration.files.push_back(
        {.name = str("file-", i), .size = random() >> 2, .sha256 = std::string(64, 'a')});
  }
  ignore(catalog.register_model(registration, kActor).status());
}

}  // namespace

void apply_operation(Catalog& catalog, std::uint64_t seed, std::uint64_t index) {
  std::mt19937_64 random(seed * 1'000'003 + index);
  const std::string name = str("group/model-", random() % 8);
  const std::string version = str(random() % 3 + 1);
  switch (random() % 9) {
    case 0:
    case 1:
    case 2:
      return register_one(catalog, random, name);
    case 3: {
      manager::ModelChange change;
      change.pinned = random() % 2 == 0;
      change.tags = std::vector<std::string>(random() % 4, str("tag-", random() % 5));
      return ignore(catalog.change_model(name, version, change, kActor).status());
    }
    case 4:
      return ignore(catalog.set_live_version(name, version, kActor));
    case 5:
      return ignore(catalog.remove_model(name, random() % 3 == 0 ? "" : version, kActor));
    case 6:
      return ignore(random() % 3 == 0
                        ? catalog.remove_alias(str("alias-", random() % 4), kActor)
                        : catalog.set_alias(str("alias-", random() % 4), name, kActor));
    case 7: {
      const std::string key = str("key-", random() % 6);
      // Large enough that the log is moved into the database now and then.
      if (random() % 3 == 0) return ignore(catalog.remove_state("test", key));
      return ignore(catalog.save_state("test", key, std::string(random() % 20'000, 's')));
    }
    default:
      return ignore(catalog.append_audit({.actor = kActor, .action = "load", .subject = name}));
  }
}

std::string contents(const Catalog& catalog) {
  const auto snapshot = catalog.snapshot();
  std::string out = str("revision ", snapshot->revision(), "\n");
  for (const auto& model : snapshot->models()) {
    out += str(model->sequence,
               " ",
               manager::model_id(model->name, model->version),
               " ",
               model->path,
               " ");
    out += str(manager::settings_json(model->settings), manager::tags_json(model->tags));
    out += str(manager::files_json(model->files), model->pinned, " ");
    out += str(snapshot->live_version(model->name), "\n");
  }
  for (const auto& alias : snapshot->aliases()) {
    out += str(alias.alias, " -> ", manager::model_id(alias.name, alias.version), "\n");
  }
  const auto states = catalog.states("test");
  CHECK(states.has_value());
  for (const auto& [key, text] : *states) out += str(key, " ", text.size(), "\n");
  const auto audit = catalog.audit({.count_max = 1'000'000});
  CHECK(audit.has_value());
  for (const auto& record : *audit) {
    out += str(record.id, " ", record.action, " ", record.subject, " ", record.result, "\n");
  }
  return out;
}

Oracle::Oracle(std::uint64_t seed) : seed_(seed), catalog_(Catalog::open({}).value()) {}

std::string Oracle::after(std::uint64_t count) {
  CHECK(count >= applied_);
  for (; applied_ < count; ++applied_) apply_operation(*catalog_, seed_, applied_);
  return contents(*catalog_);
}

StoreDirectory::StoreDirectory() {
  std::error_code error;
  const bool has_shm = std::filesystem::is_directory("/dev/shm", error);
  const std::filesystem::path parent =
      has_shm ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
  std::string pattern = (parent / "catalog-XXXXXX").string();
  CHECK(::mkdtemp(pattern.data()) != nullptr);
  path_ = std::filesystem::canonical(pattern).string();
}

StoreDirectory::~StoreDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

void StoreDirectory::clear() const {
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    std::filesystem::remove_all(entry.path());
  }
}

bool is_full_size() {
  const char* size = std::getenv("INFERNEO_CATALOG_TEST");
  return size != nullptr && std::string_view(size) == "full";
}

}  // namespace inferneo::catalog_test
