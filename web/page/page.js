// The page that trains.
import { percent } from "./answers.js";
import { Engine } from "./calls.js";
import { drawConfusion, drawCurves, drawWeights } from "./charts.js";
import { FolderImages, dropped } from "./folder.js";
import { Recorder } from "./recorder.js";
import { keep, weightsOf } from "./saved.js";
import { Reader } from "./try.js";

const at = (id) => document.getElementById(id);

let known; // what the worker said of the session, or of the opened network
let lines = [];
let training = false;
let own; // the images of the user's folder
let redraw = () => {}; // what has the colours of the page
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());

const engine = new Engine(({ step, batches, of }) => {
  if (!training) return;
  at("progress").value = (lines.length + step / known.steps) / known.epochs;
  say(of ? `Features of the images: ${batches} of ${of} batches.` : `Epoch ${lines.length + 1} of ${known.epochs}: ${step} of ${known.steps} steps.`);
});
const recorder = new Recorder(
  at("kinds"), at("video"),
  (text) => (at("camera-status").textContent = text),
  (on) => {
    at("camera-start").textContent = on ? "Stop the camera" : "Start the camera";
    at("camera-status").textContent = on ? "The camera is on." : "The camera is off.";
  },
);
const reader = new Reader(engine, recorder);

function say(text) {
  at("status").textContent = text;
}

/** Takes over what the worker says of a network; nothing while there is none. */
function take(description) {
  known = description;
  reader.show(known, at("images").value);
  [at("save").disabled, at("save-onnx").disabled] = [!known, !known];
  const rows = known && {
    device: known.reason ? `${known.device}, because ${known.reason}` : known.device,
    network: `${known.model}, ${known.parameters.toLocaleString("en")} parameters`,
    images: `${known.opened ? "" : `${known.images.toLocaleString("en")} of `}${known.dataset}, ${known.classes.length} classes, ${known.input.slice(1).join(" x ")} pixels`,
    ...(known.opened
      ? { trained: `${known.epoch} epochs of ${known.recipe}` }
      : { memory: `${(known.planned_bytes / 2 ** 20).toFixed(1)} MiB, planned before the start` }),
  };
  at("facts").replaceChildren(
    ...Object.entries(rows ?? {}).flatMap(([term, text]) => {
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
  // small-images learns longer from fewer images, and the others as their recipe says.
  const usual = Number(at("epochs").placeholder) || 0;
  return {
    recipe: isText ? at("text").value + "\n" : at("recipe").value,
    seed: Number(at("seed").value) || 0,
    epochs: Number(at("epochs").value) || usual,
    cpu: at("device").value === "cpu",
  };
}

/** The user's images in the size of the recipe; nothing for the glyphs. */
async function images(recipe) {
  const source = { glyphs: undefined, folder: own, camera: recorder }[at("images").value];
  if (at("images").value === "glyphs") return undefined;
  if (!source) throw new Error("Choose a folder of images first.");
  const side = await engine.call("side", { recipe });
  const found = await source.read(side, (done, all) => say(`${done} of ${all} images read.`));
  if (source === own) showFolder(found.broken);
  return found;
}

async function train() {
  lines = [];
  const memory = [];
  at("epochs-table").tBodies[0].replaceChildren();
  showRecipe();
  const asked = settings();
  const given = await images(asked.recipe);
  const weights = at("recipe").value === "squeezenet" ? await weightsOf(at("weights-file").files[0]) : undefined;
  say("Opening the device…");
  take(undefined);
  take(await engine.call("begin", { ...asked, images: given, weights }));
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
    reader.read();
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

// Saving and opening.
async function save(call, ending) {
  try {
    if (training) say("The network is saved after this epoch.");
    keep(await engine.call(call), `${known.recipe}.${ending}`);
    if (!training) say("Saved.");
  } catch (error) {
    say(`Error: ${error.message}`);
  }
}
at("save").addEventListener("click", () => save("save", "safetensors"));
at("save-onnx").addEventListener("click", () => save("onnx", "onnx"));
async function open(file) {
  if (!file) return;
  if (training) return say("Stop the training first, then open a network.");
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    take(await engine.call("open", { bytes, name: file.name, cpu: at("device").value === "cpu" }));
    say(`${file.name} is open: ${known.model} for ${known.classes.length} classes.`);
    at("answer").textContent = "";
    at("bars").replaceChildren();
    await reader.read();
  } catch (error) {
    say(`Error: ${error.message}`);
    at("answer").textContent = `Error: ${error.message}`;
  }
}
at("open").addEventListener("change", () => open(at("open").files[0]));

// The user's own images.
function showSource() {
  const source = at("images").value;
  [at("drop").hidden, at("camera-box").hidden] = [source !== "folder", source !== "camera"];
  if (source !== "camera" && recorder.on && !reader.live) recorder.stop();
  showRecipe();
  reader.show(known, source);
}
/** Shows what the recipe needs, and how long small-images trains. */
function showRecipe() {
  const recipe = at("recipe").value;
  [at("text-label").hidden, at("weights-label").hidden] = [recipe !== "own", recipe !== "squeezenet"];
  const count = { glyphs: 0, folder: own?.files.length ?? 0, camera: recorder.count() }[at("images").value];
  // As many images in all epochs together as `gpunn train` takes.
  const epochs = Math.min(60, Math.max(8, Math.round(60_000 / (0.85 * count))));
  at("epochs").placeholder = recipe === "small-images" && count ? String(epochs) : "of the recipe";
}
at("images").addEventListener("change", () => {
  const isGlyphs = at("images").value === "glyphs";
  if (isGlyphs !== ["glyphs-mlp", "nist36-cnn"].includes(at("recipe").value) && at("recipe").value !== "own") {
    at("recipe").value = isGlyphs ? "glyphs-mlp" : "small-images";
  }
  showSource();
});
at("recipe").addEventListener("change", showRecipe);

function showFolder(broken = []) {
  const loose = own.loose ? `, ${own.loose} left out because they are in no class folder` : "";
  const bad = broken.length ? `, ${broken.length} could not be read: ${broken.slice(0, 3).join(", ")}` : "";
  at("found").textContent = `${own.files.length - broken.length} images of ${own.classes.length} classes: ${own.classes.join(", ")}${loose}${bad}.`;
}
function choose(files) {
  own = undefined;
  try {
    own = new FolderImages(files);
    showFolder();
  } catch (error) {
    at("found").textContent = `Error: ${error.message}`;
  }
  showRecipe();
}
at("folder").addEventListener("change", () => choose([...at("folder").files].map((file) => ({ path: file.webkitRelativePath, file }))));
function takesDrops(box, take) {
  box.addEventListener("dragover", (event) => {
    event.preventDefault();
    box.classList.add("over");
  });
  box.addEventListener("dragleave", () => box.classList.remove("over"));
  box.addEventListener("drop", (event) => {
    event.preventDefault();
    box.classList.remove("over");
    take(event.dataTransfer);
  });
}
takesDrops(at("drop"), async ({ items }) => choose(await dropped(items)));
takesDrops(at("open-box"), ({ files }) => open(files[0]));

// The camera.
at("camera-start").addEventListener("click", async () => {
  try {
    recorder.on ? recorder.stop() : await recorder.start();
  } catch (error) {
    at("camera-status").textContent = `Error: ${error.message}`;
  }
});
at("add-kind").addEventListener("click", () => recorder.add().name.focus());

// A link holds the settings.
at("link").addEventListener("click", async () => {
  const { recipe, seed, epochs, cpu } = settings();
  const words = new URLSearchParams({ images: at("images").value, recipe, seed, ...(epochs ? { epochs } : {}), ...(cpu ? { device: "cpu" } : {}) });
  const link = `${location.origin}${location.pathname}#${words}`;
  await navigator.clipboard?.writeText(link).catch(() => {});
  history.replaceState(null, "", link);
  say("The link is copied, and stands in the address bar.");
});
const words = new URLSearchParams(location.hash.slice(1));
if (["folder", "camera"].includes(words.get("images"))) {
  at("images").value = words.get("images");
  at("images").dispatchEvent(new Event("change"));
}
if (words.has("recipe")) {
  const recipe = words.get("recipe");
  const listed = [...at("recipe").options].some((option) => option.value === recipe);
  at("recipe").value = listed ? recipe : "own";
  if (!listed) at("text").value = recipe.trimEnd();
  showRecipe();
}
for (const id of ["seed", "epochs", "device"]) if (words.has(id)) at(id).value = words.get(id);
addEventListener("hashchange", () => location.reload());
if (words.has("start")) at("settings").requestSubmit();
if (!navigator.gpu) {
  at("device").value = "cpu";
  say("This browser has no WebGPU, so the CPU computes. Chromium, Firefox 141 and Safari 26 or newer have it on most systems.");
}
