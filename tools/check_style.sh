#!/usr/bin/env bash
# Fails when a source file is not formatted as .clang-format says, or when clang-tidy (with the short
# list of .clang-tidy) finds something. `tools/check_style.sh --fix` formats in place.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

mapfile -t files < <(find src fuzz tests bench -name '*.h' -o -name '*.cc' 2>/dev/null | sort)
if [[ ${1:-} == --fix ]]; then
  clang-format -i "${files[@]}"
  exit 0
fi
clang-format --dry-run -Werror "${files[@]}"
echo "format: ${#files[@]} files are clean"

[[ -f build/release/compile_commands.json ]] || cmake --preset release >/dev/null
mapfile -t sources < <(find src -name '*.cc' ! -path '*/isa/*' | sort)
printf '%s\0' "${sources[@]}" |
  xargs -0 -n 4 -P "$(nproc)" clang-tidy --quiet -p build/release
echo "tidy: ${#sources[@]} files are clean"
