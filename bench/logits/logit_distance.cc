// How far logits are from those of a reference, and from the tokens that follow: answers each line
//
//   WANTED FOUND ID...
//
// two files of f32 logits, Shape: [ids][vocab], of the same token ids, with one JSON object of sums
// over the positions; bench/driver/accuracy.py makes figures of them. Divergences are in nats, of
// the found from the reference distribution.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

// Empty where the file cannot be read.
std::vector<float> read_floats(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return {};
  std::vector<float> values(static_cast<std::size_t>(file.tellg()) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(values.data()),
            static_cast<std::streamsize>(values.size() * sizeof(float)));
  return file ? values : std::vector<float>();
}

// Of one position.
struct Row {
  const float* logits;
  std::size_t vocab;

  [[nodiscard]] std::size_t best() const {
    return static_cast<std::size_t>(std::max_element(logits, logits + vocab) - logits);
  }
  // The logarithm of the sum of exponentials.
  [[nodiscard]] double normalizer() const {
    const double largest = logits[best()];
    double sum = 0;
    for (std::size_t i = 0; i < vocab; ++i) sum += std::exp(double{logits[i]} - largest);
    return largest + std::log(sum);
  }
};

struct Sums {
  double squared_difference = 0;
  double squared_reference = 0;
  double loss = 0;  // of the tokens that follow, by the found logits
  double reference_loss = 0;
  std::int64_t predicted = 0;
  std::int64_t same_best = 0;
  std::vector<double> divergences;  // Shape: [positions]
};

void add_row(Sums& sums, const Row& wanted, const Row& found) {
  const double wanted_norm = wanted.normalizer();
  const double found_norm = found.normalizer();
  double divergence = 0;
  for (std::size_t i = 0; i < wanted.vocab; ++i) {
    const double w = wanted.logits[i];
    const double f = found.logits[i];
    sums.squared_difference += (f - w) * (f - w);
    sums.squared_reference += w * w;
    const double log_share = w - wanted_norm;
    divergence += std::exp(log_share) * (log_share - (f - found_norm));
  }
  sums.divergences.push_back(divergence);
  sums.same_best += wanted.best() == found.best() ? 1 : 0;
}

Sums sums_of(const std::vector<float>& wanted,
             const std::vector<float>& found,
             const std::vector<std::size_t>& ids) {
  const std::size_t vocab = wanted.size() / ids.size();
  Sums sums;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const Row w{wanted.data() + i * vocab, vocab};
    const Row f{found.data() + i * vocab, vocab};
    add_row(sums, w, f);
    if (i + 1 == ids.size()) break;
    sums.reference_loss += w.normalizer() - double{w.logits[ids[i + 1]]};
    sums.loss += f.normalizer() - double{f.logits[ids[i + 1]]};
    ++sums.predicted;
  }
  return sums;
}

void print(const Sums& sums) {
  std::printf(
      "{\"squared_difference\": %.17g, \"squared_reference\": %.17g, \"loss\": %.17g, "
      "\"reference_loss\": %.17g, \"predicted\": %lld, \"same_best\": %lld, \"divergences\": [",
      sums.squared_difference,
      sums.squared_reference,
      sums.loss,
      sums.reference_loss,
      static_cast<long long>(sums.predicted),
      static_cast<long long>(sums.same_best));
  for (std::size_t i = 0; i < sums.divergences.size(); ++i) {
    std::printf("%s%.9g", i == 0 ? "" : ", ", sums.divergences[i]);
  }
  std::puts("]}");
}

// What is wrong with a line; null when nothing is.
const char* problem(const std::vector<float>& wanted,
                    const std::vector<float>& found,
                    const std::vector<std::size_t>& ids) {
  if (ids.empty()) return "a line is: WANTED FOUND ID...";
  if (wanted.empty() || found.empty()) return "a file cannot be read or is empty";
  if (wanted.size() != found.size()) return "the files hold different numbers of logits";
  if (wanted.size() % ids.size() != 0) return "the logits are no whole rows for the ids";
  if (std::ranges::max(ids) >= wanted.size() / ids.size()) return "an id has no logit";
  const auto finite = [](float x) { return std::isfinite(x); };
  if (!std::ranges::all_of(wanted, finite)) return "a logit of the reference is not finite";
  return std::ranges::all_of(found, finite) ? nullptr : "a logit is not finite";
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::puts("{\"ready\": true}");
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string wanted_path;
    std::string found_path;
    words >> wanted_path >> found_path;
    std::vector<std::size_t> ids;
    for (std::size_t id = 0; words >> id;) ids.push_back(id);
    const std::vector<float> wanted = read_floats(wanted_path);
    const std::vector<float> found = read_floats(found_path);
    if (const char* what = problem(wanted, found, ids)) {
      std::printf("{\"error\": \"%s\"}\n", what);
    } else {
      print(sums_of(wanted, found, ids));
    }
  }
}
