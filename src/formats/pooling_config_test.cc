#include "formats/pooling_config.h"

#include <gtest/gtest.h>

namespace inferneo::formats {
namespace {

using Kind = PoolingMeta::Kind;

TEST(PoolingConfig, each_known_way_is_read) {
  const std::pair<const char*, Kind> cases[] = {{"pooling_mode_cls_token", Kind::kCls},
                                                {"pooling_mode_mean_tokens", Kind::kMean},
                                                {"pooling_mode_lasttoken", Kind::kLast}};
  for (const auto& [name, kind] : cases) {
    const std::string text =
        std::string(R"({"word_embedding_dimension":8,"include_prompt":true,)") +
        "\"pooling_mode_max_tokens\":false,\"" + name + "\":true}";
    EXPECT_EQ(parse_pooling_config(text, "")->kind, kind) << name;
  }
}

TEST(PoolingConfig, without_files_nothing_is_known) {
  const PoolingMeta meta = parse_pooling_config("", "").value();
  EXPECT_EQ(meta.kind, Kind::kUnknown);
  EXPECT_FALSE(meta.normalize.has_value());
}

TEST(PoolingConfig, modules_say_whether_vectors_are_normalised) {
  EXPECT_EQ(parse_pooling_config(
                "", R"([{"type":"sentence_transformers.models.Normalize","path":"2_Normalize"}])")
                ->normalize,
            true);
  EXPECT_EQ(
      parse_pooling_config("", R"([{"type":"sentence_transformers.models.Pooling"}])")->normalize,
      false);
  EXPECT_EQ(parse_pooling_config("", R"([1,"x",{"type":5}])")->normalize, false);
}

TEST(PoolingConfig, what_is_not_known_is_refused_by_name) {
  const auto unknown = parse_pooling_config(R"({"pooling_mode_max_tokens":true})", "");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code(), StatusCode::kUnsupported);
  EXPECT_NE(unknown.error().message().find("pooling_mode_max_tokens"), std::string::npos);
  EXPECT_FALSE(
      parse_pooling_config(R"({"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true})", "")
          .has_value());
  EXPECT_EQ(parse_pooling_config("{", "").error().code(), StatusCode::kCorruptData);
  EXPECT_EQ(parse_pooling_config("[]", "").error().code(), StatusCode::kCorruptData);
  EXPECT_EQ(parse_pooling_config("", "{}").error().code(), StatusCode::kCorruptData);
}

}  // namespace
}  // namespace inferneo::formats
