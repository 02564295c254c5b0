#!/usr/bin/env bash
# Reads photos and generated pages with gpunn and with Tesseract, and prints how much of the text each reads correctly.
#
#     scripts/compare_tesseract.sh DATA [PAGES]      DATA holds emnist36/ and ocr/*.jpg with ocr/*.txt; PAGES is the number of generated pages (25)
#
# Tesseract has to be installed (Debian: tesseract-ocr). It is limited to capitals and digits in a block of text.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${1:?usage: scripts/compare_tesseract.sh DATA [PAGES]}
pages=${2:-25}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo build --release --quiet --bin gpunn --example read_rates
built=${CARGO_TARGET_DIR:-target}/release
rates=$built/examples/read_rates
"$rates" --data-dir "$data" --pages "$pages" --write "$work"

both() { # IMAGE TRUTH
    "$built/gpunn" read --quiet "$1" > "$work/gpunn.read"
    tesseract "$1" "$work/tesseract" --psm 6 \
        -c tessedit_char_whitelist=ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 > /dev/null 2>&1
    for reader in gpunn.read tesseract.txt; do
        "$rates" --text "$work/$reader" "$2" | sed "s|^[^:]*|$(basename "$1") ${reader%.*}|"
    done
}

for photo in "$data"/ocr/*.jpg; do both "$photo" "${photo%.jpg}.txt"; done
for page in "$work"/page-*.png; do both "$page" "${page%.png}.txt"; done > "$work/all"
for reader in gpunn tesseract; do
    awk -v reader=$reader '$2 == reader ":" { letters += $3; spaces += $9; n++ }
        END { printf "%d generated pages, %s: %.2f %% of letters and digits, %.2f %% with spaces\n", n, reader, letters / n, spaces / n }' "$work/all"
done
