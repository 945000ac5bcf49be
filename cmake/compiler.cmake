# Compiler flags shared by all of our targets, as the interface target inferneo_options.
set(INFERNEO_SANITIZE "" CACHE STRING "Comma-separated sanitizers (address,undefined or thread)")
option(INFERNEO_COVERAGE "Instrument for gcov" OFF)

set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
# Why -O1: the sanitizer presets run whole models; -O0 makes that minutes instead of seconds.
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g1")

add_library(inferneo_options INTERFACE)
target_include_directories(inferneo_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(inferneo_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Werror
  -fno-math-errno -fstack-protector-strong -fno-omit-frame-pointer)
target_link_options(inferneo_options INTERFACE -pie -Wl,-z,relro,-z,now -Wl,--as-needed)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(inferneo_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
    -ffunction-sections -fdata-sections)
  target_link_options(inferneo_options INTERFACE -Wl,--gc-sections)
endif()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  target_compile_options(inferneo_options INTERFACE -fcf-protection)
endif()

find_program(MOLD_LINKER mold)
if(MOLD_LINKER)
  target_link_options(inferneo_options INTERFACE -fuse-ld=mold)
endif()

# Sanitizers and coverage instrument third-party templates too, so they are global.
if(INFERNEO_SANITIZE)
  add_compile_options(-fsanitize=${INFERNEO_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${INFERNEO_SANITIZE})
  # Why: instrumented code hides from gcc 12 which member of a variant is alive.
  if(INFERNEO_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(inferneo_options INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()
if(INFERNEO_COVERAGE)
  add_compile_options(--coverage)
  add_link_options(--coverage)
endif()
if(INFERNEO_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_compile_definitions(INFERNEO_DCHECK)
endif()
