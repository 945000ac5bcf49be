#include "app/exposure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace inferneo::app {
namespace {

TEST(exposure, loopback_addresses_are_known) {
  for (const char* host : {"127.0.0.1", "127.8.9.1", "localhost", "::1"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host : {"0.0.0.0",
                           "::",
                           "10.0.0.1",
                           "128.0.0.1",
                           "example.org",
                           "",
                           "127.0.0.1.example.org",
                           "::ffff:10.0.0.1"}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

TEST(exposure, an_open_address_needs_an_explicit_word) {
  Config config;
  EXPECT_TRUE(check_exposure(config).ok());
  config.host = "0.0.0.0";
  const Status status = check_exposure(config);
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.hint(), testing::HasSubstr("--allow-unauthenticated"));
  config.allow_unauthenticated = true;
  EXPECT_TRUE(check_exposure(config).ok());
}

TEST(exposure, ipv6_addresses_get_brackets) {
  EXPECT_EQ(base_url("127.0.0.1", 80), "http://127.0.0.1:80");
  EXPECT_EQ(base_url("::1", 80), "http://[::1]:80");
}

TEST(exposure, models_are_managed_from_this_machine_unless_the_configuration_says_else) {
  Config config;
  EXPECT_EQ(management_policy(config), ManagementPolicy::kOn);
  config.host = "0.0.0.0";
  EXPECT_EQ(management_policy(config), ManagementPolicy::kReadOnly);
  config.management = "on";
  EXPECT_EQ(management_policy(config), ManagementPolicy::kOn);
  config.management = "off";
  EXPECT_EQ(management_policy(config), ManagementPolicy::kOff);
  config.host = "127.0.0.1";
  config.management = "read-only";
  EXPECT_EQ(management_policy(config), ManagementPolicy::kReadOnly);
}

}  // namespace
}  // namespace inferneo::app
