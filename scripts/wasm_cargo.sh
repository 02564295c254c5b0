# Sourced by scripts that build for the browser: defines `wasm_cargo`, which is cargo for wasm32-unknown-unknown. It uses rustup's target
# where that is installed; else Debian's rustc with its library's source, from which the standard library is built too.
# Ends the script with exit code 3 if this machine has neither, and none may be installed.

wasm_target=wasm32-unknown-unknown

if rustup target list --installed 2>/dev/null | grep -q "$wasm_target"; then
  wasm_cargo() { cargo "$@" --target "$wasm_target"; }
else
  wasm_packages=(rustc-web rust-web-src lld)
  if ! dpkg -s "${wasm_packages[@]}" >/dev/null 2>&1; then
    as_root=$([[ $(id -u) == 0 ]] || echo "sudo -n")
    if ! command -v apt-get >/dev/null || ! $as_root true 2>/dev/null; then
      echo "wasm32 needs \`rustup target add $wasm_target\`, or Debian's packages ${wasm_packages[*]}" >&2
      exit 3
    fi
    $as_root apt-get update -qq
    $as_root apt-get install -y -qq "${wasm_packages[@]}" >/dev/null
  fi
  # Another compiler has a target folder of its own: the two would throw away one another's work.
  export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/web
  wasm_cargo() {
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld \
      cargo "$@" --target "$wasm_target" -Zbuild-std=std,panic_abort
  }
fi
wasm_output=${CARGO_TARGET_DIR:-target}/$wasm_target
