# shellcheck shell=bash
# Shared by ./run and ./test (sourced, not executed): packages, configure, build.
# Everything is safe to repeat: a second call does nothing that the first one did.
# All progress goes to stderr, so that stdout stays free for results.

inferneo_root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*" >&2; }
fail() {
  say "error: $*"
  exit 1
}

# Packages of the named sections of tools/packages.txt, one a line.
packages_of() {
  local wanted=" $* " section='' line
  while IFS= read -r line; do
    case $line in
      '' | '#'*) ;;
      '['*) section=${line#[} section=${section%]} ;;
      *) [[ $wanted == *" $section "* ]] && printf '%s\n' "$line" ;;
    esac
  done <"$inferneo_root/tools/packages.txt"
}

# Of the packages on stdin, those that are not installed.
missing_packages() {
  local packages installed
  mapfile -t packages
  # Why `|| true`: dpkg-query fails when it has never heard of one of them.
  installed=$({ dpkg-query -W -f='${db:Status-Abbrev} ${Package}\n' "${packages[@]}" 2>/dev/null ||
    true; } | sed -n 's/^ii *//p')
  printf '%s\n' "${packages[@]}" | grep -vxF -f <(printf '%s\n' "$installed") || true
}

# Installs what is missing of the named sections, or says which command would.
ensure_packages() {
  command -v dpkg-query >/dev/null || {
    say "note: this is not a Debian system; the packages of tools/packages.txt are not checked"
    return 0
  }
  local missing
  mapfile -t missing < <(packages_of "$@" | missing_packages)
  [[ ${#missing[@]} -gt 0 ]] || return 0
  local install=(apt-get install -y --no-install-recommends "${missing[@]}")
  if [[ $EUID -ne 0 ]]; then
    say "These Debian packages are missing: ${missing[*]}"
    say "Install them with"
    say ""
    say "    sudo apt-get update && sudo ${install[*]}"
    say ""
    fail "missing packages (not root, so nothing was installed)"
  fi
  say "Installing ${#missing[@]} Debian packages: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Why not always update: the lists are mostly fresh enough, and a name server is not always near.
  if ! apt-get install -s --no-install-recommends "${missing[@]}" >/dev/null 2>&1; then
    apt-get update -q >&2 || fail "apt-get update failed; is the network reachable?"
  fi
  if ! "${install[@]}" -q >&2 </dev/null; then
    say "Retrying with fresh package lists"
    apt-get update -q >&2 && "${install[@]}" -q >&2 </dev/null ||
      fail "apt-get could not install: ${missing[*]}"
  fi
}

# configure PRESET [cmake arguments]: only when the build folder has not been configured, or an
# argument has another value there. Ninja repeats the step by itself when a CMake file changes.
configure() {
  local preset=$1 cache=$inferneo_root/build/$1/CMakeCache.txt argument name
  shift
  local needed=0
  [[ -f $cache && -f ${cache%/*}/build.ninja ]] || needed=1
  for argument in "$@"; do
    name=${argument#-D} name=${name%%[:=]*}
    grep -qs "^$name:[A-Z]*=${argument#*=}\$" "$cache" || needed=1
  done
  [[ $needed -eq 1 ]] || return 0
  if [[ -z ${CMAKE_CXX_COMPILER_LAUNCHER:-} ]] && command -v ccache >/dev/null; then
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache
  fi
  say "Configuring build/$preset"
  (cd "$inferneo_root" && cmake --preset "$preset" "$@") >&2 ||
    fail "cmake could not configure the preset '$preset' (see above)"
}

# build PRESET [targets]
build() {
  local preset=$1
  shift
  local targets=()
  [[ $# -eq 0 ]] || targets=(--target "$@")
  # Ninja is silent when nothing is to be done; its own status line shows progress otherwise.
  (cd "$inferneo_root" && cmake --build "build/$preset" -j "$(nproc)" "${targets[@]}") >&2 ||
    fail "the build of preset '$preset' failed (see above)"
}
