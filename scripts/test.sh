#!/usr/bin/env bash
# Checks a change: format, lints, documentation, tests, and the program as a user runs it.
# If no adapter is found, installs a software Vulkan driver on Debian and Ubuntu.
# Usage: scripts/test.sh [--slow] [--pytorch]
#   --slow     also opens reports in a browser, trains some recipes for all their epochs, and runs every kernel variant with shader
#              checks and watches its memory, tests the kernels on other drivers (scripts/drivers.sh), runs the program on DX12 under
#              Wine (scripts/dx12.sh), kills trainings, and trains longer in several processes (scripts/test_mpi.sh)
#   --pytorch  also compares a training step, and networks that PyTorch exports, with PyTorch; `python3` must have torch, torchvision,
#              onnxscript, onnxruntime and safetensors, which this script does not install
# Runs in bash on Linux and macOS, and in Git's bash on Windows. If the environment variable CI is set, a skipped part is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

slow=false pytorch=false
for word in "$@"; do
  case $word in
    --slow) slow=true ;;
    --pytorch) pytorch=true ;;
    *) echo "usage: scripts/test.sh [--slow] [--pytorch]" >&2; exit 2 ;;
  esac
done

# Without a display, Mesa's device-selection layer prints warnings to standard error.
[[ -n ${XDG_RUNTIME_DIR:-} ]] || export NODEVICE_SELECT=1

started=$SECONDS
stage() { echo; echo "== $* (after $((SECONDS - started)) s)"; }

# Windows does not understand the paths of Git's bash, so they are converted before the program gets them.
native() { if command -v cygpath >/dev/null; then cygpath -m "$1"; else echo "$1"; fi; }
work=$(native "$(mktemp -d)")
trap 'rm -rf "$work"' EXIT

# Skipped tests and skipped parts of this script are listed in this file: name, tab, reason. libtest counts a skipped test as passed.
export GPUNN_SKIPPED=$work/skipped
: > "$GPUNN_SKIPPED"
if [[ -n ${CI:-} ]]; then
  export GPUNN_REQUIRE_ALL=1
  # Users get crates of one unit, which are smaller but take longer to compile.
  export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
  # Optimising across these units takes longer than the tests gain by it.
  export CARGO_PROFILE_RELEASE_LTO=off
fi
# What needs a large tool of others may be left out in CI too.
noted() { echo "skipped: $*"; printf 'test.sh\t%s\n' "$*" >> "$GPUNN_SKIPPED"; }
skipped() {
  noted "$*"
  [[ -z ${CI:-} ]] || { echo "in CI nothing may be skipped" >&2; exit 1; }
}
# may_lack noted|skipped REASON COMMAND...: runs a command, whose exit code 3 says that something is not there.
may_lack() {
  local how=$1 reason=$2 code=0
  shift 2
  "$@" || code=$?
  case $code in
    0) ;;
    3) "$how" "$reason" ;;
    *) exit "$code" ;;
  esac
}

# Some developers have the datasets beside the checkout. Without datasets, the tests that need them are skipped.
unpack=$PWD/../shared/data/unpack
if [[ -z ${GPUNN_DATA:-} && -f $unpack ]]; then
  stage "data"
  GPUNN_DATA=$(native "${XDG_CACHE_HOME:-$HOME/.cache}/gpunn-test-data")
  export GPUNN_DATA
  bash "$unpack" "$GPUNN_DATA"
fi

stage "build"
cargo build --release --workspace --all-targets
gpunn=$(native "${CARGO_TARGET_DIR:-target}")/release/gpunn

as_root=$([[ $(id -u) == 0 ]] || echo "sudo -n")
may_install() { command -v apt-get >/dev/null && $as_root true 2>/dev/null; }
has_adapter() { ! "$gpunn" devices --json | grep -q '"devices":\[\]'; }
stage "adapters"
if ! has_adapter; then
  if may_install; then
    $as_root apt-get update -qq
    $as_root apt-get install -y -qq mesa-vulkan-drivers >/dev/null
  else
    echo "No GPU adapter was found, so the tests on a GPU are skipped. To run them without a GPU, install a software Vulkan"
    echo "driver: mesa-vulkan-drivers on Debian and Ubuntu, vulkan-swrast on Arch, mesa-vulkan-drivers on Fedora."
  fi
fi
"$gpunn" devices
if [[ -n ${CI:-} ]]; then
  has_adapter || { echo "CI needs an adapter" >&2; exit 1; }
fi

# A test opens pages with hostile names in it. Where there is none, that test is skipped.
has_browser() { command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; }
stage "browser"
has_browser || { may_install && { $as_root apt-get update -qq; $as_root apt-get install -y -qq chromium >/dev/null; }; } || true
has_browser || echo "There is no Chromium, and it cannot be installed here."

stage "format"
cargo fmt --all -- --check
stage "lints"
cargo clippy --release --workspace --all-targets -- -D warnings
# The core without any feature, and with files; in the slow part each feature alone.
features=("" files)
if $slow; then features+=(images formats threads download reading reports serve); fi
for feature in "${features[@]}"; do
  cargo clippy --release --lib --no-default-features --features "$feature" -- -D warnings
done
stage "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps
RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps --lib --no-default-features
stage "layers"
python3 scripts/check_layers.py
python3 scripts/check_unsafe.py
stage "dependencies"
may_lack noted "licences and versions of crates, there is no cargo-deny" scripts/deny.sh
stage "the page that trains in a browser"
if has_browser; then
  python3 -m venv "$work/playwright"
  "$work/playwright/bin/pip" install -q playwright
fi
# page_in_browser quick|build FLAG: builds the page of web/, and tests it.
page_in_browser() {
  local code=0
  if ! has_browser; then
    skipped "the page in a browser, there is no Chromium, and it cannot be installed here"
    return
  fi
  scripts/web.sh "$1" || code=$?
  if [[ $code == 3 ]]; then
    skipped "the page in a browser, there is no compiler for wasm32"
    return
  fi
  ((code == 0))
  "$work/playwright/bin/python" scripts/web_test.py target/page "$gpunn" "$2"
}
page_in_browser quick --short

stage "tests"
if $slow; then export GPUNN_SLOW=1; fi
cargo test --release --workspace 2>&1 | tee "$work/tests.log"

# DX12 under Wine, where that is. CI has DX12 on a machine of its own.
dx12() { may_lack noted "scripts/dx12.sh $*" scripts/dx12.sh "$@"; }
stage "HLSL with Microsoft's compilers"
if ! $slow; then dx12 compile quick; else dx12 compile; fi

stage "the program"
# Reads the whole output of a command before it searches it: a closed pipe would look like a failure.
holds() { local what=$1; shift; local out; out=$("$@"); grep -q -- "$what" <<<"$out" || { echo "'$what' is not in the output of: $*" >&2; exit 1; }; }
holds '"weights_hash"' "$gpunn" train --epochs 2 --out "$work/run" --json
holds '"accuracy"' "$gpunn" eval "$work/run" --json
holds 'fc1' "$gpunn" summary --model mlp
holds 'preview.png' "$gpunn" data preview glyphs --out "$work/preview.png" --per-class 3
examples=$(dirname "$gpunn")/examples
for example in one_kernel own_op train_mlp; do "$examples/$example"; done
"$examples/dump_step" "$work/step.safetensors"
if $pytorch; then
  python3 scripts/compare_pytorch_step.py "$work/step.safetensors"
  python3 scripts/compare_onnx_import.py
fi
if [[ -n ${GPUNN_DATA:-} ]]; then
  holds '"weights_hash"' "$gpunn" train --model cnn --dataset cifar10 --epochs 1 --limit-train 2000 --device cpu --out "$work/cnn" --json
else
  skipped "a convolutional network on CIFAR-10, GPUNN_DATA is not set"
fi
if has_adapter; then
  if [[ -n ${GPUNN_DATA:-} ]]; then
    holds '"weights_hash"' "$gpunn" train --model cnn --dataset cifar10 --epochs 1 --limit-train 128 --device gpu --out "$work/cnn-gpu" --json
  fi
  "$gpunn" check --device gpu
  # The same seed on the same adapter gives the same bits.
  for run in gpu-1 gpu-2; do
    "$gpunn" train --device "${run%-*}" --epochs 1 --out "$work/$run" --quiet --json > "$work/$run.json"
  done
  hash() { grep -o '"weights_hash":"[0-9a-f]*"' "$work/$1.json"; }
  [[ $(hash gpu-1) == "$(hash gpu-2)" ]] || { echo "two runs on one adapter ended with different weights" >&2; exit 1; }
  "$gpunn" bench matmul --ladder --device gpu --seconds 0.02 --repeats 1
else
  skipped "the program on a GPU, there is no adapter"
fi

stage "ONNX Runtime"
onnx=$work/onnx/bin/python3
[[ ${OS:-} != Windows_NT ]] || onnx=$work/onnx/Scripts/python.exe
# The version of onnx decides which cases of operators there are.
if python3 -m venv "$work/onnx" && "$onnx" -m pip install -q --disable-pip-version-check onnx==1.23.2 onnxruntime numpy pillow safetensors; then
  # Some recipes need pretrained weights.
  if $slow && [[ -n ${GPUNN_DATA:-} ]]; then "$onnx" scripts/compare_onnx.py
  else "$onnx" scripts/compare_onnx.py --opsets 13,17,21 layers glyphs-mlp nist36-autoencoder-conv cifar10-fast sun8-cnn; fi
  if [[ -n ${GPUNN_DATA:-} ]]; then "$onnx" scripts/check_onnx_int8.py; else skipped "8-bit integers, GPUNN_DATA is not set"; fi
  if has_adapter; then "$onnx" scripts/onnx_cases.py; else "$onnx" scripts/onnx_cases.py --devices cpu; fi
else
  noted "exported ONNX files in ONNX Runtime, which cannot be installed here"
fi

stage "the Python module"
may_lack noted "the Python module, maturin cannot be installed here, or Python is older than 3.10" scripts/python.sh

if $slow; then
  stage "reports in a browser"
  common=(results curves weights recipe device timings memory repeat)
  if ! has_browser; then
    skipped "reports in a browser, there is no Chromium, and it cannot be installed here"
  else
    for model in mlp cnn autoencoder; do
      own=(measures confusion pairs nearest examples)
      [[ $model == autoencoder ]] && own=(reconstructions)
      "$gpunn" train --model "$model" --dataset glyphs --epochs 2 --limit-train 720 --device cpu --out "$work/page-$model" --quiet
      scripts/check_report.sh "$work/page-$model/report.html" "${common[@]}" "${own[@]}"
    done
    "$gpunn" report --compare "$work"/page-{mlp,cnn,autoencoder} --out "$work/compare.html"
    scripts/check_report.sh "$work/compare.html" results curves differences
  fi
  stage "served pages"
  if has_browser; then
    "$work/playwright/bin/python" scripts/serve_test.py "$gpunn"
  else
    skipped "served pages, there is no Chromium, and it cannot be installed here"
  fi
  stage "the page in a browser"
  page_in_browser build --all
  stage "other drivers"
  lab=$PWD/../shared/gpu-lab/setup
  if [[ -f $lab ]]; then
    bash "$lab" "$work/lab" >/dev/null
    scripts/drivers.sh "$work/lab"
  else
    skipped "other drivers, there is no laboratory"
  fi
  stage "DX12"
  dx12 run
  stage "killed trainings"
  scripts/endure.sh kills 60
  stage "recipes in full"
  for recipe in glyphs-mlp nist36-mlp nist36-mlp-momentum; do
    dataset=()
    [[ $recipe == nist36-* ]] && dataset=(--dataset emnist36)
    [[ $recipe == nist36-* && -z ${GPUNN_DATA:-} ]] && { skipped "$recipe, GPUNN_DATA is not set"; continue; }
    "$gpunn" train --recipe "$recipe" ${dataset[@]+"${dataset[@]}"} --device cpu --out "$work/$recipe" --quiet --json
  done
fi

# Last, because it builds the program with another feature.
stage "several processes"
several() { may_lack noted "trainings of several processes, there is no MPI, and it cannot be installed here" scripts/test_mpi.sh "$@"; }
if ! $slow; then several short; else
  several
  command -v mpicc >/dev/null && cargo clippy --release --lib --bin gpunn --features mpi -- -D warnings
fi

stage "done"
sort -u "$GPUNN_SKIPPED" | awk -F '\t' '{ print "skipped: " $1 ": " $2 }'
# libtest counts a test with a skipped part as passed. Here it counts as skipped, once.
awk -F '\t' '
  FILENAME == ARGV[1] { if ($1 == "test.sh") parts++; else if (!seen[$1]++) tests++; next }
  /^test result:/ { split($0, word, " "); passed += word[4]; failed += word[6] }
  END { printf "%d passed, %d failed, %d skipped\n", passed - tests, failed, tests + parts }
' "$GPUNN_SKIPPED" "$work/tests.log"
