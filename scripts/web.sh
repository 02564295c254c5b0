#!/usr/bin/env bash
# Builds the page that trains in the browser (web/), and serves it.
# Usage: scripts/web.sh [build]      into target/page
#        scripts/web.sh serve [PORT] builds it and serves it on this machine, at http://localhost:8000/ by default
#        scripts/web.sh size         what it weighs, compressed
# Needs `rustup target add wasm32-unknown-unknown` (or Debian's rustc-web), and installs wasm-bindgen's program into target/tools if there is
# none of the version in Cargo.lock. wasm-opt, of Debian's binaryen, makes the page a quarter smaller where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
page=target/page

version=$(grep -A1 '^name = "wasm-bindgen"$' Cargo.lock | sed -n 's/^version = "\(.*\)"$/\1/p')
bindgen=$(command -v wasm-bindgen || true)
if [[ -z $bindgen || $("$bindgen" --version) != "wasm-bindgen $version" ]]; then
  bindgen=target/tools/bin/wasm-bindgen
  if [[ ! -x $bindgen || $("$bindgen" --version) != "wasm-bindgen $version" ]]; then
    cargo install wasm-bindgen-cli --version "$version" --root target/tools --locked
  fi
fi

build() {
  source scripts/wasm_cargo.sh
  # One unit, optimised as a whole: the page is loaded more often than it is built. Fixed-width SIMD is in all browsers with WebGPU.
  CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_PANIC=abort RUSTFLAGS="-C target-feature=+simd128" \
    wasm_cargo build --release --lib -p gpunn-web
  rm -rf "$page"
  mkdir -p "$page"
  cp web/page/* "$page"
  "$bindgen" --target web --no-typescript --out-dir "$page/pkg" "$wasm_output/release/gpunn_web.wasm"
  if command -v wasm-opt >/dev/null; then
    wasm-opt -O3 --enable-simd --enable-bulk-memory --enable-nontrapping-float-to-int --enable-sign-ext --enable-mutable-globals \
      --enable-reference-types --enable-multivalue "$page/pkg/gpunn_web_bg.wasm" -o "$page/pkg/smaller.wasm" 2>/dev/null &&
      mv "$page/pkg/smaller.wasm" "$page/pkg/gpunn_web_bg.wasm" || rm -f "$page/pkg/smaller.wasm"
  fi
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
