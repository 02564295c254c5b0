// The page that checks kernels.
import { Engine } from "./calls.js";

const at = (id) => document.getElementById(id);
const engine = new Engine();

async function check() {
  const cpu = new URLSearchParams(location.hash.slice(1)).get("device") === "cpu";
  const { device, reason, count } = await engine.call("check", { cpu });
  const failed = [];
  const ops = new Set();
  for (let done = 0; ; done++) {
    const found = await engine.call("checkNext");
    if (!found) break;
    ops.add(found.op);
    if (!found.passed) failed.push(...found.sentences);
    at("progress").value = (done + 1) / count;
    if (done % 10 === 0) at("status").textContent = `${done + 1} of ${count} cases, now ${found.op}.`;
  }
  const verdict = failed.length ? `${failed.length} FAILED` : "all passed";
  at("status").textContent = `${verdict}: ${count} cases of ${ops.size} ops on ${device}.`;
  at("result").hidden = false;
  at("result").textContent = [
    `gpunn check: ${verdict}, ${count} cases of ${ops.size} ops`,
    `device: ${device}${reason ? ` (${reason})` : ""}`,
    `browser: ${navigator.userAgent}`,
    ...failed,
  ].join("\n");
  at("copy").disabled = false;
}

at("start").addEventListener("click", async () => {
  at("start").disabled = true;
  try {
    await check();
    document.documentElement.dataset.state = "done";
  } catch (error) {
    at("status").textContent = `Error: ${error.message}`;
    document.documentElement.dataset.state = "error";
  }
  at("start").disabled = false;
});
at("copy").addEventListener("click", () => navigator.clipboard?.writeText(at("result").textContent));
if (location.hash.includes("start")) at("start").click();
