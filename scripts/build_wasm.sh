#!/usr/bin/env bash
# Builds the core for the browser: the library with the feature `formats` alone, for wasm32-unknown-unknown, with wgpu's WebGPU backend, and
# the crate of the page. Usage: scripts/build_wasm.sh      Exit code 3: see scripts/wasm_cargo.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

# Unoptimised: it shows that the core builds, and takes a third of the time.
export CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=false
source scripts/wasm_cargo.sh
wasm_cargo build --lib -p gpunn-web --config 'profile.dev.package."*".opt-level=0'
