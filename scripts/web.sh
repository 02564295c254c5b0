#!/usr/bin/env bash
# Builds the page that trains in the browser (web/), and serves it.
# Usage: scripts/web.sh [build]      into target/page
#        scripts/web.sh serve [PORT] builds it and serves it on this machine, at http://localhost:8000/ by default
#        scripts/web.sh size         what it weighs, compressed
# Needs `rustup target add wasm32-unknown-unknown` (or Debian's rustc-web), and installs wasm-bindgen's program into target/tools if there is
# none of the version in Cargo.lock.
set -euo pipefail
cd "$(dirname "$0")/.."
page=target/page

# The program of the version that Cargo.lock has.
find_bindgen() {
  local version
  version=$(grep -A1 '^name = "wasm-bindgen"$' Cargo.lock | sed -n 's/^version = "\(.*\)"$/\1/p')
  for bindgen in "$(command -v wasm-bindgen || true)" target/tools/bin/wasm-bindgen; do
    if [[ -x $bindgen && $("$bindgen" --version) == "wasm-bindgen $version" ]]; then return; fi
  done
  cargo install wasm-bindgen-cli --version "$version" --root target/tools
}

build() {
  find_bindgen
  source scripts/wasm_cargo.sh
  # One unit, optimised as a whole: the page is loaded more often than it is built. Fixed-width SIMD is in all browsers with WebGPU.
  CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_PANIC=abort RUSTFLAGS="-C target-feature=+simd128" \
    wasm_cargo build --release --lib -p gpunn-web
  rm -rf "$page"
  mkdir -p "$page"
  # pages/ has what the pages of the program have, too.
  cp pages/{style.css,controls.css,answers.js,camera.js,charts.js} web/page/* "$page"
  "$bindgen" --target web --no-typescript --out-dir "$page/pkg" "$wasm_output/release/gpunn_web.wasm"
}

size() {
  find "$page" -type f -print0 | xargs -0 cat | gzip -9 | wc -c
}

case ${1:-build} in
  build) build; echo "$page: $(size) bytes compressed" ;;
  serve) build; exec python3 -m http.server --bind 127.0.0.1 --directory "$page" "${2:-8000}" ;;
  size) size ;;
  *) sed -n '3,5s/^# //p' "$0" >&2; exit 2 ;;
esac
