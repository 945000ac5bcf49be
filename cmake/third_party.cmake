# Third-party libraries, all from Debian bookworm main. src/LAYERS says which folder may use which.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
# Why 1.81: the default Boost of bookworm (1.74) lacks the coroutine support that the server uses.
find_package(Boost 1.81 REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(SIMDJSON REQUIRED IMPORTED_TARGET simdjson)
pkg_check_modules(SQLITE3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET openssl)
add_library(rapidjson INTERFACE)  # header-only; its Debian package exports no usable target
