#!/usr/bin/env bash
# Opens a report in a headless browser. Checks that each section is there, is not empty, and fits into the page's width, with the
# widths of a desktop and of a phone.
# Usage: scripts/check_report.sh PAGE SECTION...
set -euo pipefail
page=$(realpath "${1:?usage: scripts/check_report.sh PAGE SECTION...}")
shift
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || {
  echo "no Chromium was found: install chromium" >&2
  exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The report has no script. A page around it inspects it and writes the result.
cat > "$work/look.html" <<HTML
<pre id="found"></pre>
<iframe id="wide" style="width:1200px;height:900px"></iframe><iframe id="narrow" style="width:390px;height:800px"></iframe>
<script>
const source = decodeURIComponent(escape(atob("$(base64 -w0 "$page")")));
let waiting = 2;
for (const frame of document.querySelectorAll("iframe")) {
  frame.onload = () => {
    const inside = frame.contentDocument, found = [];
    for (const section of inside.querySelectorAll("section"))
      found.push(section.id + (section.getBoundingClientRect().height > 60 ? "" : " is empty"));
    const broken = [...inside.images].filter(image => image.naturalWidth == 0).length;
    const beyond = inside.documentElement.scrollWidth - inside.documentElement.clientWidth;
    document.getElementById("found").textContent += frame.id + ": sections [" + found.join("][") + "] broken images "
      + broken + ", pixels beyond the right edge " + beyond + ".\n";
    if (--waiting == 0) document.title = "looked";
  };
  frame.srcdoc = source;
}
</script>
HTML
found=$(timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$work/profile" --virtual-time-budget=10000 \
  --dump-dom "file://$work/look.html" 2>"$work/browser.log" | grep -oE '(wide|narrow): sections .*') || {
  cat "$work/browser.log" >&2
  echo "the browser did not open $page" >&2
  exit 1
}
echo "$found"
for width in wide narrow; do
  line=$(grep "^$width: " <<<"$found") || { echo "the browser did not show $page ($width)" >&2; exit 1; }
  for section in "$@"; do
    grep -qF "[$section]" <<<"$line" || { echo "$page has no section $section, or it is empty ($width)" >&2; exit 1; }
  done
  grep -qF 'broken images 0, pixels beyond the right edge 0.' <<<"$line" || { echo "$page is broken or too wide ($width)" >&2; exit 1; }
done
