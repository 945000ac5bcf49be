#include "runtimes/native/weight_image.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <semaphore>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "base/anonymous_memory.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/version.h"
#include "runtimes/native/packed_cache.h"

namespace inferneo::runtimes::native {
namespace {

using graph::MatrixPlan;
using tensor::TensorView;

constexpr std::string_view kLogName = "packed_cache";
// How long the end of a model waits for its image to be written.
constexpr std::chrono::seconds kWriteWait{5};
// A source is hashed in pieces of this size, side by side.
constexpr std::size_t kSourceChunkSize = 256 * 1024;

// Advice about the whole pages of a range; a refusal changes nothing.
void advise(std::span<const std::byte> bytes, int advice) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(bytes.data()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(bytes.data()) + bytes.size()) / page * page;
  if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, advice);
}

std::span<const std::byte> bytes_of(const TensorView& view) {
  return {view.data, view.byte_size()};
}

// "3+4096" for byte 4096 of the fourth file; empty for what lies in memory.
std::string place_of(const WeightStore& store, const std::byte* data) {
  for (std::size_t i = 0; i < store.files.size(); ++i) {
    const auto bytes = store.files[i].bytes();
    if (data >= bytes.data() && data < bytes.data() + bytes.size()) {
      return str(i, '+', data - bytes.data());
    }
  }
  return {};
}

// Of scales that lie apart, their place too.
std::string place_of(const WeightStore& store, const TensorView& view) {
  const std::string place = place_of(store, view.data);
  if (view.scales == nullptr || place.empty()) return place;
  const std::string scales = place_of(store, view.scales);
  return scales.empty() ? scales : str(place, ' ', scales);
}

// Everything that the bytes of an image depend on besides those of its sources.
Digest plan_digest(const ModelPlan& plan) {
  std::string text = str("inferneo ", version(), '\n');
  for (std::size_t i = 0; i < plan.matrices.matrices.size(); ++i) {
    const MatrixPlan& matrix = plan.matrices.matrices[i];
    const graph::MatrixSource& source = plan.built.program.matrices[i];
    const TensorView& view = source.view;
    const char* layout = matrix.form == MatrixPlan::Form::kInPlace ? "in place" : "f32";
    if (matrix.ops != nullptr) layout = matrix.ops->layout;
    text += str(tensor::dtype_name(view.dtype),
                view.shape.to_string(),
                layout,
                ' ',
                source.row_stride,
                ' ',
                source.column_stride,
                ' ',
                matrix.offset,
                ' ',
                matrix.size,
                '\n');
  }
  return content_digest(std::as_bytes(std::span(text)), {});
}

}  // namespace

struct WeightImage::Storage {
  ~Storage() {
    if (writer.joinable() && !written.try_acquire_for(kWriteWait)) writer.request_stop();
  }
  AnonymousMemory memory;
  std::optional<MappedFile> file;
  std::binary_semaphore written{0};
  std::jthread writer;  // reads memory
};

WeightImage::WeightImage() = default;
WeightImage::WeightImage(WeightImage&&) noexcept = default;
WeightImage& WeightImage::operator=(WeightImage&&) noexcept = default;
WeightImage::~WeightImage() = default;

bool is_aligned(const TensorView& view) {
  if (tensor::is_quantized(view.dtype)) return true;  // read byte by byte
  return reinterpret_cast<std::uintptr_t>(view.data) % tensor::dtype_size(view.dtype) == 0;
}

std::vector<TensorView> views_in_place(const ModelPlan& plan) {
  const graph::Program& program = plan.built.program;
  std::vector<TensorView> views;
  std::set<const std::byte*> seen;
  const auto add = [&](const TensorView& view) {
    if (seen.insert(view.data).second) views.push_back(view);
  };
  for (const graph::Op& op : program.ops) {
    if (const auto* embed = std::get_if<graph::EmbedOp>(&op)) add(embed->table);
    if (const auto* positions = std::get_if<graph::PositionOp>(&op)) add(positions->table);
  }
  for (std::size_t i = 0; i < program.matrices.size(); ++i) {
    if (plan.matrices.matrices[i].form == MatrixPlan::Form::kInPlace) add(program.matrices[i].view);
  }
  return views;
}

// Why: kernels read elements at their natural alignment, which the format does not promise.
Status align_weights(const ModelPlan& plan, WeightStore& store) {
  std::set<const std::byte*> wanted;
  for (const TensorView& view : views_in_place(plan)) wanted.insert(view.data);
  for (const graph::ConstantSource& source : plan.built.program.constants) {
    for (const TensorView& part : source.parts) wanted.insert(part.data);
  }
  for (auto& [name, view] : store.weights.entries()) {
    if (is_aligned(view) || !wanted.contains(view.data)) continue;
    ASSIGN_OR_RETURN(AnonymousMemory copy, AnonymousMemory::allocate(view.byte_size(), name));
    std::memcpy(copy.data(), view.data, view.byte_size());
    view.data = copy.data();
    store.memory.push_back(std::move(copy));
  }
  return ok_status();
}

// Makes one image.
class ImageMaker {
 public:
  ImageMaker(const ModelPlan& plan,
             const WeightStore& store,
             device::CpuDevice& device,
             runtime::Progress& progress)
      : plan_(plan), store_(store), device_(device), progress_(progress) {
    for (const TensorView& view : views_in_place(plan)) kept_.insert(view.data);
  }

  Result<WeightImage> make(const runtime::PackedCacheOptions& options) {
    const auto start = std::chrono::steady_clock::now();
    image_.storage_ = std::make_unique<WeightImage::Storage>();
    open_cache(options);
    if (!map_from_cache()) {
      RETURN_IF_ERROR(pack_all());
      start_writing();
    }
    image_.elapsed_ = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::steady_clock::now() - start);
    report();
    return std::move(image_);
  }

 private:
  [[nodiscard]] bool is_held(std::size_t matrix) const {
    return plan_.matrices.matrices[matrix].form != MatrixPlan::Form::kInPlace;
  }
  [[nodiscard]] const std::vector<graph::MatrixSource>& sources() const {
    return plan_.built.program.matrices;
  }

  void open_cache(const runtime::PackedCacheOptions& options) {
    if (!options.enabled || plan_.matrices.packed_size == 0 ||
        plan_.matrices.image_size < options.image_size_min) {
      return;
    }
    identity_ = to_hex(plan_digest(plan_));
    for (const MappedFile& file : store_.files) identity_ += "\n" + file.identity().to_string();
    for (std::size_t i = 0; i < sources().size(); ++i) {
      if (!is_held(i)) continue;
      const std::string place = place_of(store_, sources()[i].view);
      if (place.empty()) return;  // weights that are in no file cannot come back
      identity_ += "\n" + place;
    }
    settled_ = std::all_of(store_.files.begin(), store_.files.end(), [](const MappedFile& file) {
      return is_settled(file.identity());
    });
    const std::string directory =
        options.directory.empty() ? default_packed_cache_directory() : options.directory;
    Result<PackedCache> cache = PackedCache::open(directory, options.bytes_max);
    if (cache) {
      cache_ = *std::move(cache);
    } else {
      log::warning(kLogName, cache.error().message());
    }
  }

  void add_to_digest(std::size_t matrix) {
    const graph::MatrixSource& source = sources()[matrix];
    for (const std::span<const std::byte> bytes : {source.bytes(), source.scale_bytes()}) {
      const auto hashes = chunk_hashes(bytes, kSourceChunkSize, cache_->key(), device_);
      source_hashes_.insert(source_hashes_.end(), hashes.begin(), hashes.end());
    }
  }
  void finish_digest() {
    source_ = content_digest(std::as_bytes(std::span(source_hashes_)), cache_->key());
  }

  // Reads all sources; only worth it when there is an image that they may have made.
  void find_digest() {
    const Digest plan = plan_digest(plan_);
    source_ = cache_->find_source(identity_);
    if (source_ || !cache_->has_plan(plan)) return;
    for (std::size_t i = 0; i < sources().size(); ++i) {
      if (!is_held(i)) continue;
      add_to_digest(i);
      let_go_of(sources()[i]);
    }
    finish_digest();
  }

  bool map_from_cache() {
    if (!cache_) return false;
    find_digest();
    if (!source_) return false;
    auto found = cache_->find(plan_digest(plan_), *source_, plan_.matrices.image_size, device_);
    if (!found) return false;
    if (settled_ && !source_hashes_.empty()) cache_->remember_source(identity_, *source_);
    advise(found->image, MADV_WILLNEED);
    image_.data_ = found->image.data();
    image_.storage_->file = std::move(found->file);
    image_.from_ = runtime::PackedFrom::kCache;
    return true;
  }

  // Pages of a file come back when they are read again; those of memory would come back empty.
  void let_go_of(const graph::MatrixSource& source) const {
    // Why: what lies between the rows belongs to matrices that are still to be packed.
    if (!source.is_plain()) return;
    const TensorView& view = source.view;
    if (!kept_.contains(view.data) || !place_of(store_, view).empty()) {
      advise(bytes_of(view), MADV_DONTNEED);
    }
  }

  Status pack_all() {
    const graph::MatricesPlan& matrices = plan_.matrices;
    for (const MappedFile& file : store_.files) advise(file.bytes(), MADV_WILLNEED);
    AnonymousMemory& memory = image_.storage_->memory;
    ASSIGN_OR_RETURN(memory, AnonymousMemory::allocate(matrices.image_size, "packed weights"));
    ASSIGN_OR_RETURN(graph::MatrixPacker packer,
                     graph::MatrixPacker::create(plan_.built.program, matrices, device_));
    const bool hashes = cache_ && !source_;
    std::uint64_t done = plan_.memory.weight_bytes - matrices.image_size;
    for (std::size_t i = 0; i < sources().size(); ++i) {
      if (!is_held(i)) continue;
      if (hashes) add_to_digest(i);
      packer.pack(static_cast<graph::MatrixId>(i), memory.data());
      let_go_of(sources()[i]);
      done += matrices.matrices[i].size;
      if (progress_) progress_(done, plan_.memory.weight_bytes);
    }
    image_.data_ = memory.data();
    image_.from_ =
        matrices.packed_size > 0 ? runtime::PackedFrom::kWeights : runtime::PackedFrom::kNothing;
    return ok_status();
  }

  // What was packed is what the digest says unless a file changed in between.
  [[nodiscard]] bool sources_are_unchanged() const {
    return std::all_of(store_.files.begin(), store_.files.end(), [](const MappedFile& file) {
      const Result<MappedFile> now = MappedFile::open(file.path());
      return now && now->identity() == file.identity();
    });
  }

  void start_writing() {
    if (!cache_ || !sources_are_unchanged()) return;
    if (!source_) finish_digest();
    WeightImage::Storage& storage = *image_.storage_;
    storage.writer = std::jthread(
        [cache = *cache_,
         plan = plan_digest(plan_),
         source = *source_,
         identity = settled_ ? identity_ : std::string(),
         image = std::span<const std::byte>(storage.memory.data(), plan_.matrices.image_size),
         &storage](const std::stop_token& stop) {
          set_thread_name("packed-cache");
          const Status status = cache.store(plan, source, image, stop);
          if (!status.ok()) {
            log::warning(kLogName,
                         str("packed weights are not kept for the next start: ", status.message()));
          } else if (!identity.empty()) {
            cache.remember_source(identity, source);
          }
          storage.written.release();
        });
  }

  void report() const {
    if (image_.from_ == runtime::PackedFrom::kNothing) return;
    const bool mapped = image_.from_ == runtime::PackedFrom::kCache;
    log::debug("native",
               str(mapped ? "mapped " : "packed ",
                   plan_.matrices.packed_size,
                   " bytes of weights for ",
                   device_.kernels().name,
                   mapped ? " from the cache in " : " in ",
                   image_.elapsed_.count(),
                   " ms"));
  }

  const ModelPlan& plan_;
  const WeightStore& store_;
  device::CpuDevice& device_;
  runtime::Progress& progress_;
  std::set<const std::byte*> kept_;  // where weights are read in place
  std::optional<PackedCache> cache_;
  std::string identity_;  // of the sources, for the cache
  bool settled_ = false;
  std::vector<std::uint64_t> source_hashes_;
  std::optional<Digest> source_;
  WeightImage image_;
};

void let_go_of_files(std::span<const MappedFile> files) {
  for (const MappedFile& file : files) advise(file.bytes(), MADV_DONTNEED);
}

Result<WeightImage> make_weight_image(const ModelPlan& plan,
                                      const WeightStore& store,
                                      const runtime::PackedCacheOptions& cache,
                                      device::CpuDevice& device,
                                      runtime::Progress& progress) {
  WeightImage image;
  if (plan.matrices.image_size > 0) {
    ASSIGN_OR_RETURN(WeightImage made, ImageMaker(plan, store, device, progress).make(cache));
    image = std::move(made);
  }
  // Starts reading ahead; the first steps then wait less for the disk.
  for (const TensorView& view : views_in_place(plan)) advise(bytes_of(view), MADV_WILLNEED);
  if (progress) progress(plan.memory.weight_bytes, plan.memory.weight_bytes);
  return image;
}

}  // namespace inferneo::runtimes::native
