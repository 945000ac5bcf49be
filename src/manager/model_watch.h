// A directory whose models are registered when they appear and removed when they go:
//
//   DIR/NAME/          a model directory: NAME, version 1
//   DIR/NAME/VERSION/  a version of NAME
//   DIR/NAME.gguf      a GGUF file: NAME, version 1
//
// What is half there is not taken. Either a directory is renamed into place (names that begin with
// a dot are not looked at), or it has a manifest (kManifestName) that is written last and says
// which files there are, how large and with which digests; without either, nothing may have been
// written into it for a while, and its own index and headers must be satisfied. Why something is
// not taken is logged and told as an event, once. Thread: any. Ownership: borrows the
// administrator, which must outlive it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "manager/model_admin.h"

namespace inferneo::manager {

// {"files": {"model.safetensors": {"size": 123, "sha256": "..."}}, "tags": [], "config": {},
// "pinned": false, "preload": false}; all but "files" may be left out, and so may each digest.
inline constexpr std::string_view kManifestName = "inferneo-manifest.json";
// Of the records that a watch has made, and may remove.
inline constexpr std::string_view kWatchedTag = "watched";

struct WatchedModel {
  std::string name;
  std::string version;
  std::string path;
};

// What the directory offers, by name and version; nothing is looked into beyond names. Failures:
// those of reading the directory.
Result<std::vector<WatchedModel>> list_watched(const std::string& directory);

class ModelWatch {
 public:
  struct Options {
    std::string directory;
    std::chrono::milliseconds interval{1000};
    // Without a manifest: how long nothing may have been written.
    std::chrono::milliseconds settle{2000};
  };
  ModelWatch(ModelAdmin& admin, Options options);
  ~ModelWatch();
  ModelWatch(const ModelWatch&) = delete;
  ModelWatch& operator=(const ModelWatch&) = delete;

  // Looks now and every interval, in tasks of the administrator. Nothing when it does already.
  void start();
  void stop();
  // One look. In a task of ModelAdmin::run, or before there are any.
  void look();

 private:
  // What was said of a path last, and what it looked like then: what failed is not read again
  // before it changes.
  struct Note {
    std::string seen;
    std::string text;
  };
  void run(const std::stop_token& stop);
  void consider(const WatchedModel& model);
  Status take(const WatchedModel& model, const std::string& path);
  void remove_gone();
  void tell(const std::string& id, const std::string& seen, const Status& status);

  ModelAdmin& admin_;
  const Options options_;
  std::map<std::string, Note> notes_;  // by "name:version"; of what is there
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool is_looking_ = false;  // a task is on its way
  std::jthread thread_;
};

}  // namespace inferneo::manager
