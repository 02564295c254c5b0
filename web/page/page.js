// The page that trains.
import { percent, showBars } from "./answers.js";
import { Engine } from "./calls.js";
import { drawConfusion, drawCurves, drawWeights } from "./charts.js";
import { dropped, pixelsOf, readFolder } from "./folder.js";
import { Pad } from "./pad.js";

const at = (id) => document.getElementById(id);

let known; // what the worker said of the session
let lines = [];
let training = false;
let own; // the user's images
let redraw = () => {}; // what has the colours of the page
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());

const engine = new Engine((step) => {
  const done = lines.length + step / known.steps;
  at("progress").value = done / known.epochs;
  if (training) at("status").textContent = `Epoch ${lines.length + 1} of ${known.epochs}: ${step} of ${known.steps} steps.`;
});

function say(text) {
  at("status").textContent = text;
}

function showFacts() {
  const rows = {
    device: known.reason ? `${known.device}, because ${known.reason}` : known.device,
    network: `${known.model}, ${known.parameters.toLocaleString("en")} parameters`,
    images: `${known.images.toLocaleString("en")} of ${known.dataset}, ${known.classes.length} classes`,
    memory: `${(known.planned_bytes / 2 ** 20).toFixed(1)} MiB, planned before the start`,
  };
  at("facts").replaceChildren(
    ...Object.entries(rows).flatMap(([term, text]) => {
      const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
      [dt.textContent, dd.textContent] = [term, text];
      return [dt, dd];
    }),
  );
}

function addLine(line) {
  lines.push(line);
  const row = at("epochs-table").tBodies[0].insertRow();
  const cells = [
    line.epoch, line.train_loss.toFixed(4), percent(line.train_accuracy), line.val_loss?.toFixed(4) ?? "",
    percent(line.val_accuracy), Math.round(line.images_per_second).toLocaleString("en"),
  ];
  cells.forEach((text) => (row.insertCell().textContent = text));
  const most = Math.max(0.01, ...lines.flatMap((line) => [line.train_loss, line.val_loss ?? 0]));
  drawCurves(at("losses"), "loss", lines, known.epochs, [["train_loss", "train"], ["val_loss", "val"]], most);
  drawCurves(at("accuracies"), "accuracy", lines, known.epochs, [["train_accuracy", "train"], ["val_accuracy", "val"]], 1);
}

function settings() {
  const isText = at("recipe").value === "own";
  return {
    recipe: isText ? at("text").value + "\n" : at("recipe").value,
    seed: Number(at("seed").value) || 0,
    epochs: Number(at("epochs").value) || (at("images").value === "folder" ? Number(at("epochs").placeholder) : 0),
    cpu: at("device").value === "cpu",
    images: at("images").value === "folder" ? own : undefined,
  };
}

async function train() {
  lines = [];
  const memory = [];
  at("epochs-table").tBodies[0].replaceChildren();
  if (at("images").value === "folder" && !own) throw new Error("Choose a folder of images first.");
  say("Opening the device…");
  known = undefined;
  known = await engine.call("begin", settings());
  showFacts();
  drawWeights(at("weights"), await engine.call("weights"));
  if (!training) return say("Stopped.");
  say("The first step compiles the kernels…");
  for (;;) {
    const { line, over } = await engine.call("epoch");
    if (!line) return say("Stopped. Train begins anew.");
    addLine(line);
    memory.push(await engine.call("memory"));
    document.documentElement.dataset.memory = memory.join(" "); // for tests
    drawWeights(at("weights"), await engine.call("weights"));
    read();
    if (over || !training) break;
  }
  const test = await engine.call("test");
  redraw = () => drawConfusion(at("confusion"), test.confusion, known.classes);
  redraw();
  const split = test.split === "test" ? "Test images" : "Images held out for validation";
  at("tested").textContent = `${split}: ${percent(test.accuracy)} right. Rows are the classes, columns the answers.`;
  const last = lines.at(-1);
  say(`Done: ${percent(test.accuracy)} of the ${test.split === "test" ? "test" : "held-out"} images right, ${Math.round(last.images_per_second).toLocaleString("en")} images/s.`);
  document.documentElement.dataset.hash = await engine.call("hash");
}

at("settings").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (training) return;
  training = true;
  [at("start").disabled, at("stop").disabled] = [true, false];
  document.documentElement.dataset.state = "training";
  try {
    await train();
    document.documentElement.dataset.state = "done";
  } catch (error) {
    say(`Error: ${error.message}`);
    document.documentElement.dataset.state = "error";
  }
  training = false;
  [at("start").disabled, at("stop").disabled] = [false, true];
});

at("stop").addEventListener("click", () => {
  training = false;
  engine.stop();
  say("Stopping…");
});

// Drawing and reading.
let reading = false, next; // what to read after that: an image, or "pad"
async function read(given) {
  const image = given ?? (known?.input[0] === 1 ? pad.image() : undefined);
  if (!known || !image) return;
  if (reading) {
    next = given ?? "pad";
    return;
  }
  reading = true;
  try {
    const answer = await engine.call("predict", { image });
    at("answer").textContent = `This is ${answer.class} (${percent(answer.confidence)}).`;
    const all = answer.probabilities.map((confidence, index) => ({ class: known.classes[index], confidence }));
    showBars(at("bars"), all.sort((a, b) => b.confidence - a.confidence).slice(0, 5));
  } catch (error) {
    at("answer").textContent = `Error: ${error.message}`;
  }
  reading = false;
  if (next) {
    const image = next === "pad" ? undefined : next;
    next = undefined;
    read(image);
  }
}
const pad = new Pad(at("pad"), () => read());
at("clear").addEventListener("click", () => {
  pad.clear();
  at("answer").textContent = known ? "" : "Train first.";
  at("bars").replaceChildren();
});
at("example").addEventListener("click", async () => {
  if (!known?.test_images) return;
  try {
    pad.show(await engine.call("image", { split: "test", number: Math.floor(known.test_images * Math.random()) }));
    read();
  } catch (error) {
    at("answer").textContent = `Error: ${error.message}`;
  }
});

// The user's own images.
at("images").addEventListener("change", () => {
  const isFolder = at("images").value === "folder";
  for (const id of ["drop", "try-text"]) at(id).hidden = !isFolder;
  for (const id of ["draw-text", "pad-side"]) at(id).hidden = isFolder;
  if (!isFolder) at("epochs").placeholder = "of the recipe";
  if (at("recipe").value !== "own") at("recipe").value = isFolder ? "small-images" : "glyphs-mlp";
});
let taking = 0; // the number of the latest folder: an earlier one that is still being read counts no more
async function take(files) {
  own = undefined;
  const number = ++taking;
  const tell = (text) => number === taking && (at("found").textContent = text);
  try {
    const found = await readFolder(files, (done, all) => tell(`${done} of ${all} images read.`));
    if (number !== taking) return;
    own = found;
    const loose = own.loose ? `, ${own.loose} left out because they are in no class folder` : "";
    const bad = own.broken.length ? `, ${own.broken.length} could not be read: ${own.broken.slice(0, 3).join(", ")}` : "";
    at("found").textContent = `${own.list.length} images of ${own.classes.length} classes: ${own.classes.join(", ")}${loose}${bad}.`;
    // As many images in all epochs together as `gpunn train` takes.
    at("epochs").placeholder = String(Math.min(60, Math.max(8, Math.round(60_000 / (0.85 * own.list.length)))));
  } catch (error) {
    tell(`Error: ${error.message}`);
  }
}
at("folder").addEventListener("change", () => take([...at("folder").files].map((file) => ({ path: file.webkitRelativePath, file }))));
at("drop").addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop").classList.add("over");
});
at("drop").addEventListener("dragleave", () => at("drop").classList.remove("over"));
at("drop").addEventListener("drop", async (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  await take(await dropped(event.dataTransfer.items));
});
at("try").addEventListener("change", async () => {
  const [file] = at("try").files;
  if (!file || !known) return;
  try {
    const rgba = await pixelsOf(file, known.input[1]);
    const plane = rgba.length / 4;
    await read(Float32Array.from({ length: 3 * plane }, (_, i) => rgba[4 * (i % plane) + Math.floor(i / plane)] / 255));
  } catch {
    at("answer").textContent = `Error: ${file.name} is no image that this browser can read.`;
  }
});

// A link holds the settings.
at("recipe").addEventListener("change", () => (at("text-label").hidden = at("recipe").value !== "own"));
at("link").addEventListener("click", async () => {
  const { recipe, seed, epochs, cpu } = settings();
  const words = new URLSearchParams({ images: at("images").value, recipe, seed, ...(epochs ? { epochs } : {}), ...(cpu ? { device: "cpu" } : {}) });
  const link = `${location.origin}${location.pathname}#${words}`;
  await navigator.clipboard?.writeText(link).catch(() => {});
  history.replaceState(null, "", link);
  say("The link is copied, and stands in the address bar.");
});
const words = new URLSearchParams(location.hash.slice(1));
if (words.get("images") === "folder") {
  at("images").value = "folder";
  at("images").dispatchEvent(new Event("change"));
}
if (words.has("recipe")) {
  const recipe = words.get("recipe");
  const listed = [...at("recipe").options].some((option) => option.value === recipe);
  at("recipe").value = listed ? recipe : "own";
  if (!listed) at("text").value = recipe.trimEnd();
  at("text-label").hidden = listed;
}
for (const id of ["seed", "epochs", "device"]) if (words.has(id)) at(id).value = words.get(id);
addEventListener("hashchange", () => location.reload());
if (words.has("start")) at("settings").requestSubmit();
if (!navigator.gpu) {
  at("device").value = "cpu";
  say("This browser has no WebGPU, so the CPU computes. Chromium, Firefox 141 and Safari 26 or newer have it on most systems.");
}
