#!/usr/bin/env bash
# Tests DX12 on Linux, under Wine, with Microsoft's shader compilers. No GPU is needed.
#
# Usage: scripts/dx12.sh compile        writes each kernel variant in HLSL, and compiles it with FXC and DXC: as a training has it
#                                       (plain), and with bounds checks (checked), which `gpunn check` has
#        scripts/dx12.sh compile quick  the plain ones only, and at most eight variants of a kernel with FXC, which is slow
#        scripts/dx12.sh run            builds the program for Windows, and runs `gpunn check` and a short training on DX12
# `compile` needs wine or wine64, x86_64-w64-mingw32-gcc and npm. `run` needs debootstrap, root and rustup too: the Wine of Debian 12
# has no bcryptprimitives.dll, which programs of Rust load, so Debian sid's is put into a folder of its own, with Mesa's lavapipe.
# This tests wgpu's DX12 code, naga's HLSL and Microsoft's compilers; not Microsoft's runtime, nor a driver for Windows.
# Microsoft's compilers are fetched by npm and kept, like the folder of Wine (2.4 GB), in the cache folder gpunn-dx12.
# By their processor time, on two cores `compile` takes a quarter of an hour and `compile quick` two minutes; `run` takes ten minutes
# and the build.
# How far both have been tried is in docs/reliability.md.
# Exits with 1 if something fails, with 3 if something is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gpunn-dx12
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The most processor time that a compiler may take for a variant, in seconds.
most_seconds=20
export WINEDEBUG=-all WINEDLLOVERRIDES='mscoree,mshtml=;d3dcompiler_47=n,b'

absent() { echo "scripts/dx12.sh: $*" >&2; exit 3; }
need() { local name; for name in "$@"; do command -v "$name" >/dev/null || absent "there is no $name"; done; }

# FXC 10.0.22621 and DXC 1.9 come with Dawn for Node. The archive is checked before anything of it is used.
package=webgpu@0.6.2 archive=webgpu-0.6.2.tgz
sha256=77a6be6513b9f7c2e94425620ce603efb38cdc5d0393e1b31a1b0c8479330ffd
compilers() {
  need npm tar sha256sum
  mkdir -p "$cache"
  [[ -f $cache/$archive ]] || (cd "$work" && npm pack --silent "$package" >/dev/null && mv "$archive" "$cache") ||
    absent "npm cannot fetch $package"
  echo "$sha256  $cache/$archive" | sha256sum --check --quiet || { rm -f "$cache/$archive"; exit 1; }
  tar xzf "$cache/$archive" -C "$work" --strip-components=3 package/dist/win32-x64/d3dcompiler_47.dll \
    package/dist/win32-x64/dxcompiler.dll
}

# batch COMPILER KIND PROFILE [VARIANTS]: compiles all files of a kind and profile, or so many of each kernel, and says how that went.
batch() {
  local compiler=$1 kind=$2 profile=$3 variants=${4:-1000000} files results=$work/$1-$2-$3
  # By their hashes, so that the slow ones of a kernel are spread over the processes.
  files=$(cd "$work" && find hlsl -name "*-$kind-$profile.hlsl" | sort | awk -F - -v most="$variants" '++seen[$2] <= most')
  [[ -n $files ]] || { echo "there is no HLSL for $kind, $profile" >&2; return 1; }
  # A compiler that crashes leaves out results; they are counted below.
  (cd "$work" && xargs -P "$(nproc)" -n 20 "$wine" dx12_compile.exe "$compiler" "$profile" <<<"$files" > "$results") || true
  awk -F '\t' -v name="$compiler, $profile, $kind" -v of="$(wc -l <<<"$files")" -v most="$most_seconds" '
    { sub(/\r$/, "") }
    $1 == "ok" { ok++ }
    $1 == "FAIL" { print "failed: " $3 ": " $4 }
    $2 > slowest { slowest = $2; file = $3 }
    { total += $2 }
    END {
      printf "%s: %d of %d compile; %d s of processor time, the slowest %.1f s (%s)\n", name, ok, of, total / 1000, slowest / 1000, file
      if (NR < of) print "the compiler ended early: " of - NR " files have no result"
      if (slowest > 1000 * most) printf "the slowest took more than %d s\n", most
      exit ok != of || slowest > 1000 * most
    }' "$results"
}

compile() {
  need x86_64-w64-mingw32-gcc cargo
  # Debian's `wine` complains if the part for 32 bits is not there.
  local name
  wine=
  for name in wine wine64 /usr/lib/wine/wine64; do ! command -v "$name" >/dev/null || wine=$name; done
  [[ -n $wine ]] || absent "there is no wine"
  compilers
  export WINEPREFIX=$cache/prefix
  x86_64-w64-mingw32-gcc -O1 -Wall -Wextra -o "$work/dx12_compile.exe" scripts/dx12_compile.c
  # It complains of parts that no compiler needs. Without a prefix, the compilers fail.
  "$wine" wineboot --init >/dev/null 2>&1 || true
  GPUNN_HLSL_DIR=$work/hlsl cargo test --release -p kernels-tests --test kernels every_variant_is_valid_everywhere 2>&1 | tail -3
  local failed=0 kind kinds=(plain checked) variants=()
  [[ ${1:-} != quick ]] || kinds=(plain) variants=(8)
  for kind in "${kinds[@]}"; do
    batch fxc "$kind" cs_5_1 ${variants[@]+"${variants[@]}"} || failed=1
    batch dxc "$kind" cs_6_0 || failed=1
    # Half precision needs 6.2.
    batch dxc "$kind" cs_6_2 || failed=1
  done
  return $failed
}

# Debian's sid in a folder, with Wine and lavapipe.
root=$cache/sid
windows() {
  need debootstrap unshare
  [[ $(id -u) == 0 ]] || absent "only root can make and enter a folder with Debian sid"
  [[ -x $root/usr/bin/wine ]] && return
  local mirror
  mirror=$(sed -n 's/^URIs: *\(http[^ ]*\/debian\)\/* *$/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
  [[ -n $mirror ]] || absent "no mirror of Debian is in /etc/apt/sources.list.d/debian.sources"
  rm -rf "$root" "$root.part"
  debootstrap --variant=minbase --include=ca-certificates,wine,wine64,libvulkan1,mesa-vulkan-drivers,xvfb,xauth sid "$root.part" \
    "$mirror" > "$cache/debootstrap.log" || absent "no Debian sid: see $cache/debootstrap.log"
  mv "$root.part" "$root"
}

# Runs the program in it. The mounts go with the namespace.
gpunn() {
  unshare --mount bash -c 'mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$@"' - "$root" \
    env -i PATH=/usr/bin:/bin HOME=/gpunn XDG_RUNTIME_DIR=/gpunn WINEPREFIX=/gpunn/prefix WINEDEBUG=-all \
    WINEDLLOVERRIDES="$WINEDLLOVERRIDES" VK_DRIVER_FILES=/usr/share/vulkan/icd.d/lvp_icd.json NODEVICE_SELECT=1 \
    xvfb-run -a wine /gpunn/gpunn.exe "$@" | tr -d '\r'
}

# The number after a name in JSON of one line.
number() { sed -n "s/.*\"$1\":\([0-9.e-]*\).*/\1/p"; }

run() {
  need cargo rustup x86_64-w64-mingw32-gcc
  local target=x86_64-pc-windows-gnu
  rustup target list --installed | grep -qx "$target" || rustup target add "$target" || absent "rustup has no $target"
  windows
  compilers
  # An own folder, as in wasm_cargo.sh: another profile would throw away what the tests use.
  CARGO_PROFILE_RELEASE_DEBUG=0 CC_x86_64_pc_windows_gnu=x86_64-w64-mingw32-gcc \
    CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc \
    cargo build --release --target "$target" --target-dir "${CARGO_TARGET_DIR:-target}/dx12" --bin gpunn
  mkdir -p "$root/gpunn"
  cp "${CARGO_TARGET_DIR:-target}/dx12/$target/release/gpunn.exe" "$work/d3dcompiler_47.dll" "$root/gpunn"

  local devices index failed=0
  devices=$(gpunn devices --json)
  index=$(python3 -c '
import json, sys
print(next((device["index"] for device in json.loads(sys.argv[1])["devices"] if device["backend"].lower() == "dx12"), ""))' "$devices")
  [[ -n $index ]] || { echo "there is no DX12 adapter under Wine: $devices" >&2; return 1; }
  gpunn check --device "$index" || failed=1
  # The same epochs on the CPU, of the same program. Two epochs are too few for rounding to grow.
  local device results=()
  for device in "$index" cpu; do
    results+=("$(gpunn train --epochs 2 --device "$device" --out "Z:/gpunn/run-$device" --force --no-report --quiet --json)") || failed=1
  done
  local name
  for name in train_loss val_loss test_loss test_accuracy; do
    echo "$name: $(number $name <<<"${results[0]}") on DX12, $(number $name <<<"${results[1]}") on the CPU"
    awk -v a="$(number $name <<<"${results[0]}")" -v b="$(number $name <<<"${results[1]}")" \
      'BEGIN { exit !(a != "" && b != "" && a - b < 0.002 && b - a < 0.002) }' || { echo "they differ by more than 0.002"; failed=1; }
  done
  return $failed
}

case ${1:-},${2:-} in
  compile,) compile ;;
  compile,quick) compile quick ;;
  run,) run ;;
  *) echo "usage: scripts/dx12.sh compile [quick] | run" >&2; exit 2 ;;
esac
