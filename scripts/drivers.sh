#!/usr/bin/env bash
# Tests the kernels on more Vulkan drivers than the machine's own: lavapipe of Mesa 25 and 26, whose matrix units the machine's own
# driver may lack, and SwiftShader, whose subgroups have 4 lanes. No GPU is needed.
#
# Usage: scripts/drivers.sh LAB        LAB is the folder of the laboratory (gpu-lab/setup makes it); SwiftShader is Chromium's
# Exits with 1 if a test fails, with 3 if a driver is not there.
set -uo pipefail
cd "$(dirname "$0")/.."
lab=${1:?usage: scripts/drivers.sh LAB}

cargo test --release -p kernels-tests --test kernels --no-run 2>&1 | tail -1
kernels=$(cargo test --release -p kernels-tests --test kernels --no-run 2>&1 | sed -n 's/.*(\(.*\)).*/\1/p' | tail -1)
tests=(limits:: half:: parity::gpu_as_shipped parity::choice::discrete parity::choice::half memory::)
failed=0 absent=0

# on NAME FILE COMMAND...: runs the tests, if the driver's file is there.
on() {
  local name=$1 file=$2; shift 2
  if [[ ! -e $file ]]; then
    echo "$name is not there: $file"
    absent=1
    return
  fi
  echo "== $name"
  "$@" "$kernels" "${tests[@]}" || failed=1
}
on "lavapipe of Mesa 25" "$lab/mesa25/lavapipe.json" env "VK_DRIVER_FILES=$lab/mesa25/lavapipe.json"
on "lavapipe of Mesa 26" "$lab/lavapipe26" "$lab/lavapipe26"
swiftshader=/usr/lib/chromium/vk_swiftshader_icd.json
on "SwiftShader" "$swiftshader" env "VK_DRIVER_FILES=$swiftshader"
((failed)) && exit 1
((absent)) && exit 3
exit 0
