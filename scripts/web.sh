#!/usr/bin/env bash
# Builds the page that trains in the browser (web/), and serves it.
# Usage: scripts/web.sh [build]      into target/page
#        scripts/web.sh quick        the same, compiled sooner and slower to run: for tests
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
  # Unoptimised: it compiles in a quarter of the time, and runs for seconds.
  CARGO_PROFILE_DEV_DEBUG=false cargo install --debug wasm-bindgen-cli --version "$version" --root target/tools
}

# compile quick|whole: the module, whose path is $module then.
compile() {
  source scripts/wasm_cargo.sh
  # Fixed-width SIMD is in all browsers with WebGPU.
  export RUSTFLAGS="-C target-feature=+simd128"
  if [[ $1 == quick ]]; then
    # Most time of a run is in this workspace's crates, most time of a build in the others.
    CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=false \
      wasm_cargo build --lib -p gpunn-web --config 'profile.dev.package."*".opt-level=0'
    module=$wasm_output/debug/gpunn_web.wasm
  else
    # One unit, optimised as a whole: the page is loaded more often than it is built.
    CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_PANIC=abort wasm_cargo build --release --lib -p gpunn-web
    module=$wasm_output/release/gpunn_web.wasm
  fi
}

build() {
  find_bindgen
  compile "$1"
  rm -rf "$page"
  mkdir -p "$page"
  # pages/ has what the pages of the program have, too.
  cp pages/{style.css,controls.css,answers.js,camera.js,charts.js} web/page/* "$page"
  "$bindgen" --target web --no-typescript --out-dir "$page/pkg" "$module"
}

size() {
  find "$page" -type f -print0 | xargs -0 cat | gzip -9 | wc -c
}

case ${1:-build} in
  build) build whole; echo "$page: $(size) bytes compressed" ;;
  quick) build quick ;;
  serve) build whole; exec python3 -m http.server --bind 127.0.0.1 --directory "$page" "${2:-8000}" ;;
  size) size ;;
  *) sed -n '3,6s/^# //p' "$0" >&2; exit 2 ;;
esac
