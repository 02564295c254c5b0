#!/usr/bin/env bash
# Everything that has to hold before a change lands: format, lints, documentation, tests, and the program run as a user would.
# Installs what the tests need: a software Vulkan driver where no adapter is found.
# Usage: scripts/test.sh [--slow] [--pytorch]
#   --slow     also looks at reports in a browser, and trains the recipes for their full number of epochs
#   --pytorch  also holds a training step against PyTorch, which this Python then has to have: it is too large to install here
# Runs in bash on Linux and macOS, and in the bash of Git on Windows. Where CI is set, what would be skipped is a failure.
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

# Mesa's device-selection layer complains on standard error where a machine has no display.
[[ -n ${XDG_RUNTIME_DIR:-} ]] || export NODEVICE_SELECT=1

started=$SECONDS
stage() { echo; echo "== $* (after $((SECONDS - started)) s)"; }

# The program is given paths that its system understands: those of the bash of Git mean nothing to Windows.
native() { if command -v cygpath >/dev/null; then cygpath -m "$1"; else echo "$1"; fi; }
work=$(native "$(mktemp -d)")
trap 'rm -rf "$work"' EXIT

# Tests and parts of this script that are skipped are noted here: who, a tab, why. To libtest they have passed.
export GPUNN_SKIPPED=$work/skipped
: > "$GPUNN_SKIPPED"
[[ -z ${CI:-} ]] || export GPUNN_REQUIRE_ALL=1
skipped() {
  echo "skipped: $*"
  printf 'test.sh\t%s\n' "$*" >> "$GPUNN_SKIPPED"
  [[ -z ${CI:-} ]] || { echo "CI skips nothing" >&2; exit 1; }
}

# The data sets for development stand beside the checkout where they are; tests that need them are skipped without.
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
    echo "No GPU adapter was found. The tests on a GPU are skipped; to run them without a GPU, install a software Vulkan"
    echo "driver: mesa-vulkan-drivers on Debian and Ubuntu, vulkan-swrast on Arch, mesa-vulkan-drivers on Fedora."
  fi
fi
"$gpunn" devices
if [[ -n ${CI:-} ]]; then
  has_adapter || { echo "CI needs an adapter" >&2; exit 1; }
fi

stage "format"
cargo fmt --all -- --check
stage "lints"
cargo clippy --release --workspace --all-targets -- -D warnings
stage "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps
# Not yet: the tree does not obey the layers of ARCHITECTURE.md so far.
# python3 scripts/check_layers.py

stage "tests"
cargo test --release --workspace 2>&1 | tee "$work/tests.log"

stage "the program"
# The whole of a command's output is read before it is searched: a closed pipe must not look like a failure.
holds() { local what=$1; shift; local out; out=$("$@"); grep -q -- "$what" <<<"$out" || { echo "'$what' is not in the output of: $*" >&2; exit 1; }; }
holds '"weights_hash"' "$gpunn" train --epochs 2 --out "$work/run" --json
holds '"accuracy"' "$gpunn" eval "$work/run" --json
holds 'fc1' "$gpunn" summary --model mlp
holds 'preview.png' "$gpunn" data preview glyphs --out "$work/preview.png" --per-class 3
examples=$(dirname "$gpunn")/examples
for example in one_kernel own_op train_mlp; do "$examples/$example"; done
"$examples/dump_step" "$work/step.safetensors"
if $pytorch; then python3 scripts/compare_pytorch_step.py "$work/step.safetensors"; fi
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
  "$gpunn" bench matmul --device gpu --seconds 0.02 --repeats 3
else
  skipped "the program on a GPU, there is no adapter"
fi

if $slow; then
  stage "reports in a browser"
  common=(results curves weights recipe device timings memory repeat)
  has_browser() { command -v chromium chromium-browser google-chrome >/dev/null; }
  has_browser || { may_install && { $as_root apt-get update -qq; $as_root apt-get install -y -qq chromium >/dev/null; }; } || true
  if ! has_browser; then
    skipped "reports in a browser, there is no Chromium, and none may be installed"
  else
    for model in mlp cnn autoencoder; do
      own=(confusion pairs examples)
      [[ $model == autoencoder ]] && own=(reconstructions)
      "$gpunn" train --model "$model" --dataset glyphs --epochs 2 --limit-train 720 --device cpu --out "$work/page-$model" --quiet
      scripts/check_report.sh "$work/page-$model/report.html" "${common[@]}" "${own[@]}"
    done
    "$gpunn" report --compare "$work"/page-{mlp,cnn,autoencoder} --out "$work/compare.html"
    scripts/check_report.sh "$work/compare.html" results curves differences
  fi
  stage "recipes in full"
  for recipe in glyphs-mlp nist36-mlp nist36-mlp-momentum; do
    dataset=()
    [[ $recipe == nist36-* ]] && dataset=(--dataset emnist36)
    [[ $recipe == nist36-* && -z ${GPUNN_DATA:-} ]] && { skipped "$recipe, GPUNN_DATA is not set"; continue; }
    "$gpunn" train --recipe "$recipe" ${dataset[@]+"${dataset[@]}"} --device cpu --out "$work/$recipe" --quiet --json
  done
fi

stage "done"
sort -u "$GPUNN_SKIPPED" | awk -F '\t' '{ print "skipped: " $1 ": " $2 }'
# A test that noted something, perhaps several times, has not passed whole: it counts as skipped alone.
awk -F '\t' '
  FILENAME == ARGV[1] { if ($1 == "test.sh") parts++; else if (!seen[$1]++) tests++; next }
  /^test result:/ { split($0, word, " "); passed += word[4]; failed += word[6] }
  END { printf "%d passed, %d failed, %d skipped\n", passed - tests, failed, tests + parts }
' "$GPUNN_SKIPPED" "$work/tests.log"
