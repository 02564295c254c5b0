#!/usr/bin/env bash
# Builds the core for the browser: the library without default features, for wasm32-unknown-unknown, with wgpu's WebGPU backend.
# Uses rustup's target where it is installed; else Debian's rustc with its library's source, from which the standard library is
# built too. Usage: scripts/build_wasm.sh      Exit code 3: this machine has neither, and none may be installed.
set -euo pipefail
cd "$(dirname "$0")/.."

target=wasm32-unknown-unknown
# Unoptimised: it shows that the core builds, and takes a third of the time.
export CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=false
build=(cargo build --lib --no-default-features --target "$target" --config 'profile.dev.package."*".opt-level=0')

if rustup target list --installed 2>/dev/null | grep -q "$target"; then
  exec "${build[@]}"
fi

packages=(rustc-web rust-web-src lld)
if ! dpkg -s "${packages[@]}" >/dev/null 2>&1; then
  as_root=$([[ $(id -u) == 0 ]] || echo "sudo -n")
  if ! command -v apt-get >/dev/null || ! $as_root true 2>/dev/null; then
    echo "wasm32 needs \`rustup target add $target\`, or Debian's packages ${packages[*]}" >&2
    exit 3
  fi
  $as_root apt-get update -qq
  $as_root apt-get install -y -qq "${packages[@]}" >/dev/null
fi
# Another compiler has a target folder of its own: the two would throw away one another's work.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/web
export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld
exec "${build[@]}" -Zbuild-std=std,panic_abort
