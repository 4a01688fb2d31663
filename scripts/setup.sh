#!/usr/bin/env bash
# Makes a machine ready to build. Idempotent; says what it will install and why
# before it does.
#   setup.sh [plan] [demo|test]   `plan` only says it; `test` adds what the services need
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
only_plan=false
wanted=demo
for argument in "$@"; do
  case "$argument" in
    plan) only_plan=true ;;
    demo | test) wanted=$argument ;;
    *) echo "usage: setup.sh [plan] [demo|test]" >&2; exit 2 ;;
  esac
done

packages=()
reasons=()
need() { # Debian package, why
  packages+=("$1")
  reasons+=("$2")
}
has() { command -v "$1" >/dev/null 2>&1; }

find_missing() {
  has cc || need gcc "C compiler and linker, for librdkafka, SQLite and Rust itself"
  has c++ || need g++ "C++ compiler, for librdkafka"
  has make || need make "builds librdkafka and runs this file's targets"
  has pkg-config || need pkg-config "finds OpenSSL"
  openssl_headers || need libssl-dev "OpenSSL headers: Kafka over TLS"
  header zlib.h || need zlib1g-dev "zlib headers, for librdkafka"
  has npm || need npm "fetches DuckDB's prebuilt library"
  has openssl || need openssl "checks it"
  [ "$wanted" = test ] && [ "${SPRINGTIDE_TEST_SERVICES:-}" != none ] || return 0
  java_is_17 || need openjdk-17-jre-headless "runs Apache Kafka in the tests"
  has mvn || need maven "fetches Apache Kafka for the tests"
  has python3 || need python3 "runs the independent Iceberg reader in the tests"
  has flock || need util-linux "one fetch at a time"
  python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || need python3-venv "its virtual environment"
}

openssl_headers() { pkg-config --exists openssl 2>/dev/null || header openssl/ssl.h; }
header() { printf '#include <%s>\n' "$1" | cc -E - >/dev/null 2>&1; }
java_is_17() {
  local major
  major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
  [ -n "$major" ] && [ "$major" -ge 17 ]
}

say_plan() {
  if [ ${#packages[@]} -gt 0 ]; then
    echo "springtide set-up will install these system packages:"
    for i in "${!packages[@]}"; do echo "  - ${packages[$i]}: ${reasons[$i]}"; done
  fi
  local library
  library=$(bash "$here/duckdb.sh" plan)
  if [ -n "$library" ]; then
    echo "springtide set-up will fetch:"
    echo "$library"
  fi
  if [ "$wanted" = test ] && [ "${SPRINGTIDE_TEST_SERVICES:-}" != none ]; then
    echo "the tests fetch, once, into ${XDG_CACHE_HOME:-$HOME/.cache}/springtide/services: Apache Kafka 4.3.0 (Maven, 54 MB) and pyiceberg (PyPI); SPRINGTIDE_TEST_SERVICES=none leaves those tests out"
  fi
  if [ ${#packages[@]} -eq 0 ] && [ -z "$library" ]; then
    echo "springtide set-up: nothing to install"
  fi
}

install_packages() {
  [ ${#packages[@]} -gt 0 ] || return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if has sudo && sudo -n true 2>/dev/null; then
      as_root=(sudo)
    elif has sudo && [ -t 0 ]; then
      as_root=(sudo)
    else
      give_names "this user may not install packages"
    fi
  fi
  has apt-get || give_names "this system has no apt-get"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >&2
}

give_names() {
  {
    echo "springtide set-up: $1. Please install, by these or their equivalent names:"
    echo "  Debian, Ubuntu: apt-get install ${packages[*]}"
    echo "  Fedora:         dnf install gcc gcc-c++ make pkgconf openssl openssl-devel zlib-devel npm$([ "$wanted" = test ] && echo ' java-17-openjdk-headless maven python3')"
    echo "  macOS:          xcode-select --install; brew install openssl@3 pkg-config node$([ "$wanted" = test ] && echo ' openjdk@17 maven python')"
    echo "then start again."
  } >&2
  exit 1
}

check_rust() {
  has cargo && return 0
  cat >&2 <<'TEXT'
springtide set-up: `cargo` is missing. Rust comes from https://rustup.rs:
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --default-toolchain none
  . "$HOME/.cargo/env"
then start again (the toolchain itself, pinned in rust-toolchain.toml, follows by itself).
TEXT
  exit 1
}

find_missing
say_plan
if $only_plan; then
  exit 0
fi
check_rust
install_packages
bash "$here/duckdb.sh"
if [ "$wanted" = test ] && [ "${SPRINGTIDE_TEST_SERVICES:-}" != none ]; then
  "$here/../tests/services/kafka.sh" fetch
  "$here/../tests/services/python.sh" >/dev/null
fi
