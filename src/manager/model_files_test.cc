#include "manager/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/sha256.h"
#include "base/str.h"

namespace inferneo::manager {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ModelFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "models-XXXXXX").string();
    root_ = fs::canonical(::mkdtemp(pattern.data())).string();
    fs::create_directory(root_ + "/hf");
    put("hf/config.json", "{}");
    put("hf/model.safetensors", "weights");
    put("hf/README.md", "words");
    put("one.gguf", "GGUF\x03");
  }
  void TearDown() override { fs::remove_all(root_); }

  void put(const std::string& name, const std::string& content) {
    std::ofstream(root_ + "/" + name, std::ios::binary) << content;
  }
  Status failure(const std::string& name, const std::string& root = {}) {
    const auto found = find_model_files(root_ + "/" + name, root);
    EXPECT_FALSE(found.has_value()) << name;
    EXPECT_EQ(found.status().where(), "path") << found.status().to_string();
    return found.status();
  }
  FoundModel found(const std::string& name, const std::string& root = {}) {
    auto result = find_model_files(root_ + "/" + name, root);
    EXPECT_TRUE(result.has_value()) << result.status().to_string();
    return result.has_value() ? *result : FoundModel();
  }
  static std::vector<std::string> names(const FoundModel& model) {
    std::vector<std::string> out;
    for (const ModelFile& file : model.files) out.push_back(file.name);
    return out;
  }
  std::string root_;
};

TEST_F(ModelFilesTest, formats_are_found_from_content) {
  const FoundModel hf = found("hf");
  EXPECT_EQ(hf.format, ModelFormat::kHuggingFace);
  EXPECT_EQ(hf.path, root_ + "/hf");
  EXPECT_THAT(names(hf), ElementsAre("config.json", "model.safetensors"));
  const FoundModel gguf = found("one.gguf");
  EXPECT_EQ(gguf.format, ModelFormat::kGguf);
  EXPECT_THAT(names(gguf), ElementsAre("one.gguf"));
  // A directory with one GGUF file and no config.json stands for the file.
  fs::create_directory(root_ + "/dir");
  put("dir/m-00001-of-00002.gguf", "GGUF\x03");
  put("dir/m-00002-of-00002.gguf", "GGUF\x03");
  const FoundModel shards = found("dir");
  EXPECT_EQ(shards.path, root_ + "/dir/m-00001-of-00002.gguf");
  EXPECT_THAT(names(shards), ElementsAre("m-00001-of-00002.gguf", "m-00002-of-00002.gguf"));
  fs::remove(root_ + "/dir/m-00002-of-00002.gguf");
  EXPECT_EQ(failure("dir").code(), StatusCode::kNotFound);
}

TEST_F(ModelFilesTest, other_formats_are_refused_by_name) {
  const auto refused = [&](const std::string& name, const std::string& content) {
    put(name, content);
    const Status status = failure(name);
    EXPECT_EQ(status.code(), StatusCode::kUnsupported);
    return status.message();
  };
  EXPECT_THAT(refused("m.pt", "PK\x03\x04zzzz"), HasSubstr("PyTorch or TorchScript"));
  EXPECT_THAT(refused("m.onnx", "\x08\x07"), HasSubstr("ONNX"));
  EXPECT_THAT(refused("m.engine", "ftrt"), HasSubstr("TensorRT"));
  EXPECT_THAT(refused("m.safetensors", "x"), HasSubstr("without its directory"));
  EXPECT_THAT(refused("m.pkl", "\x80\x04"), HasSubstr("pickle"));
  EXPECT_THAT(refused("m.tgz", "\x1f\x8b"), HasSubstr("gzip"));
  EXPECT_THAT(refused("m.bin", ""), HasSubstr("empty"));
  EXPECT_THAT(refused("notes", "hello"), HasSubstr("no known format"));
  fs::create_directory(root_ + "/torch");
  put("torch/config.json", "{}");
  put("torch/pytorch_model.bin", "PK");
  EXPECT_THAT(failure("torch").message(), HasSubstr("PyTorch checkpoint"));
  fs::create_directory(root_ + "/empty");
  EXPECT_THAT(failure("empty").message(), HasSubstr("no config.json"));
  put("two.gguf", "GGUF\x03");
  EXPECT_THAT(failure(".").message(), HasSubstr("2 GGUF models"));
}

TEST_F(ModelFilesTest, nothing_outside_the_root_is_taken) {
  fs::create_directory(root_ + "/root");
  fs::copy(root_ + "/hf", root_ + "/root/hf");
  const std::string root = root_ + "/root";
  EXPECT_EQ(found("root/hf", root).path, root + "/hf");
  EXPECT_THAT(failure("hf", root).message(), HasSubstr("is outside the model root"));
  EXPECT_EQ(failure("root/../hf", root).code(), StatusCode::kPermissionDenied);
  fs::copy(root_ + "/hf", root_ + "/root-of-others");
  EXPECT_EQ(failure("root-of-others", root).code(), StatusCode::kPermissionDenied);
  // A link to the directory, and one to a file within.
  fs::create_directory_symlink(root_ + "/hf", root + "/link");
  EXPECT_THAT(failure("root/link", root).message(), HasSubstr("through a symbolic link"));
  EXPECT_EQ(found("root/link").path, root_ + "/hf");
  fs::remove(root + "/hf/model.safetensors");
  fs::create_symlink(root_ + "/hf/model.safetensors", root + "/hf/model.safetensors");
  EXPECT_THAT(failure("root/hf", root).message(), HasSubstr("through a symbolic link"));
  // A link that stays inside is how download caches look.
  put("root/blob", "weights");
  fs::remove(root + "/hf/model.safetensors");
  fs::create_symlink("../blob", root + "/hf/model.safetensors");
  EXPECT_EQ(found("root/hf", root).files.size(), 2u);
}

TEST_F(ModelFilesTest, what_is_no_plain_file_is_refused_without_waiting) {
  ASSERT_EQ(::mkfifo((root_ + "/fifo").c_str(), 0600), 0);
  EXPECT_THAT(failure("fifo").message(), HasSubstr("is a FIFO"));
  ASSERT_EQ(::mkfifo((root_ + "/hf/b.safetensors").c_str(), 0600), 0);
  const Status status = failure("hf");
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("b.safetensors' is a FIFO"));
  fs::remove(root_ + "/hf/b.safetensors");
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = root_ + "/s.gguf";
  ASSERT_LT(name.size(), sizeof(address.sun_path));
  name.copy(address.sun_path, name.size());
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_THAT(failure("s.gguf").message(), HasSubstr("is a socket"));
  ::close(fd);
  EXPECT_EQ(find_model_files("/dev/null", "").error().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(failure("nothing").code(), StatusCode::kNotFound);
  EXPECT_EQ(find_model_files("relative", "").error().code(), StatusCode::kInvalidArgument);
  fs::create_symlink("loop", root_ + "/loop");
  EXPECT_EQ(failure("loop").code(), StatusCode::kInvalidArgument);
}

TEST_F(ModelFilesTest, a_copy_that_has_not_ended_is_refused) {
  put("hf/model-2.safetensors.part", "x");
  EXPECT_EQ(failure("hf").code(), StatusCode::kFailedPrecondition);
  fs::remove(root_ + "/hf/model-2.safetensors.part");
  put("hf/model.safetensors.index.json",
      R"({"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}})");
  EXPECT_THAT(failure("hf").message(), HasSubstr("'model-2.safetensors' of its index is missing"));
  put("hf/model-2.safetensors", "x");
  EXPECT_EQ(found("hf").files.size(), 4u);
  put("hf/model.safetensors.index.json", "{");
  EXPECT_EQ(failure("hf").code(), StatusCode::kCorruptData);
  fs::remove(root_ + "/hf/model.safetensors.index.json");
  fs::remove(root_ + "/hf/model.safetensors");
  fs::remove(root_ + "/hf/model-2.safetensors");
  EXPECT_EQ(failure("hf").code(), StatusCode::kNotFound);
  fs::create_symlink("../gone", root_ + "/hf/model.safetensors");
  EXPECT_EQ(failure("hf").code(), StatusCode::kNotFound);
}

TEST_F(ModelFilesTest, digests_tell_a_changed_file) {
  FoundModel model = found("hf");
  std::uint64_t last = 0;
  ASSERT_TRUE(compute_digests(model, [&](std::uint64_t done, std::uint64_t total) {
                EXPECT_LE(done, total);
                last = done;
                return true;
              }).ok());
  EXPECT_EQ(last, 9u);
  EXPECT_EQ(model.files[1].sha256, sha256_hex("weights"));
  ModelRecord record{.name = "m", .version = "1", .path = model.path, .files = model.files};
  EXPECT_TRUE(verify_model_files(record, "", DigestCheck::kChanged).ok());
  EXPECT_TRUE(verify_model_files(record, root_, DigestCheck::kAlways).ok());
  // Same content written again: another identity, the same digest.
  put("hf/model.safetensors", "weights");
  EXPECT_TRUE(verify_model_files(record, "", DigestCheck::kChanged).ok());
  put("hf/model.safetensors", "weighty");
  const Status status = verify_model_files(record, "", DigestCheck::kChanged);
  EXPECT_EQ(status.code(), StatusCode::kCorruptData);
  EXPECT_THAT(status.message(),
              HasSubstr("'model.safetensors' of model 'm:1' has another content"));
  EXPECT_TRUE(verify_model_files(record, "", DigestCheck::kNever).ok());
  put("hf/model.safetensors", "longer weights");
  EXPECT_THAT(verify_model_files(record, "", DigestCheck::kChanged).message(),
              HasSubstr("has 14 bytes, but 7"));
  fs::remove(root_ + "/hf/config.json");
  EXPECT_FALSE(verify_model_files(record, "", DigestCheck::kNever).ok());
  EXPECT_EQ(compute_digests(model).code(), StatusCode::kNotFound);
}

TEST_F(ModelFilesTest, digests_can_be_stopped) {
  FoundModel model = found("hf");
  EXPECT_EQ(compute_digests(model, [](std::uint64_t, std::uint64_t) { return false; }).code(),
            StatusCode::kCancelled);
}

}  // namespace
}  // namespace inferneo::manager
