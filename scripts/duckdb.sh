#!/usr/bin/env bash
# Fetches DuckDB's shared library into the user's cache, once, and checks it
# against scripts/duckdb.lock. `duckdb.sh plan` only says what it would do.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder="${XDG_CACHE_HOME:-$HOME/.cache}/springtide/duckdb-1.5.6"

platform() {
  local system machine
  system=$(uname -s | tr '[:upper:]' '[:lower:]')
  machine=$(uname -m)
  [ "$machine" = arm64 ] && machine=aarch64
  echo "$system-$machine"
}

refuse() {
  printf 'springtide set-up: %s\n' "$*" >&2
  exit 1
}

if [ -f "$folder/libduckdb.so" ] || [ -f "$folder/libduckdb.dylib" ]; then
  exit 0
fi
read -r package version integrity file < <(
  awk -v wanted="$(platform)" '$1 == wanted { print $2, $3, $4, $5 }' "$here/duckdb.lock"
) || refuse "no prebuilt DuckDB is pinned for $(platform) in scripts/duckdb.lock.
  Either put DuckDB 1.5.6's shared library into $folder,
  or build DuckDB from source (about 40 minutes): cargo build --features duckdb-from-source"

if [ "${1:-}" = plan ]; then
  echo "  - DuckDB 1.5.6 ($package $version from npm, 23 MB, checked by sha512) into $folder: the SQL engine; compiling it would take 40 minutes"
  exit 0
fi

for tool in npm openssl tar; do
  command -v "$tool" >/dev/null || refuse "\`$tool\` is missing: it fetches and checks DuckDB's library.
  Install it (Debian: npm openssl tar), or put $file of DuckDB 1.5.6 into $folder yourself."
done

mkdir -p "$(dirname "$folder")"
scratch=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
echo "springtide set-up: fetching $package $version" >&2
archive=$(cd "$scratch" && npm pack --silent --loglevel=error "$package@$version" | tail -n 1)
actual="sha512-$(openssl dgst -sha512 -binary "$scratch/$archive" | openssl base64 -A)"
[ "$actual" = "$integrity" ] || refuse "$package $version is not what scripts/duckdb.lock pins
  expected $integrity
  received $actual
  Nothing was installed. Try again; if it stays so, do not trust the registry that npm is set to."
tar -xzf "$scratch/$archive" -C "$scratch" "package/$file" package/LICENSE
# Into the folder by rename: whoever finds the library finds all of it.
mkdir -p "$folder"
mv "$scratch/package/LICENSE" "$folder/LICENSE.duckdb"
mv "$scratch/package/$file" "$folder/$file"
