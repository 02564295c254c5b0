// The page of `gpunn train --live`: asks the program how far it is, which answers twice a second.
import { percent } from "./answers.js";
import { drawCurves } from "./charts.js";

const PAUSE = 2000; // milliseconds before a question that failed is asked again

const at = (id) => document.getElementById(id);
const decimals = (digits) => (value) => (value == null ? "" : value.toFixed(digits));
const whole = (value) => Math.round(value).toLocaleString("en");

// The columns of the table: a key of an epoch's line, a title, how it is written. Those without a value are left out.
const COLUMNS = [
  ["epoch", "epoch", String],
  ["train_loss", "loss", decimals(4)],
  ["train_accuracy", "accuracy", percent],
  ["train_exact_match", "exact match", percent],
  ["val_loss", "validation loss", decimals(4)],
  ["val_accuracy", "validation accuracy", percent],
  ["val_exact_match", "validation exact match", percent],
  ["val_map", "validation mAP", percent],
  ["val_psnr", "validation PSNR in dB", decimals(2)],
  ["lr", "learning rate", (value) => value.toPrecision(3)],
  ["images_per_second", "images/s", whole],
  ["seconds", "seconds", decimals(1)],
];
// What the second plot shows: the first of these that there is. The last word is the axis' end; none stands for the largest value.
const FIGURES = [
  ["accuracy", "train_accuracy", "val_accuracy", 1],
  ["mAP", "val_map", "val_map", 1],
  ["PSNR in dB", "val_psnr", "val_psnr", undefined],
];

let run, lines = [];
let notes = 0; // that the program has
let wish; // what the user asked for, until it is done: a sentence, and the notes that there were

/** Screen readers say what changes, so the same sentence is not set again. */
function say(text, count = "") {
  if (at("status").textContent !== text) at("status").textContent = text;
  at("count").textContent = count;
}

function showLines(epochs) {
  const columns = COLUMNS.filter(([key]) => lines.some((line) => line[key] != null));
  const cell = (tag, text) => Object.assign(document.createElement(tag), { textContent: text, className: "n" });
  at("head").replaceChildren(...columns.map(([, title]) => cell("th", title)));
  at("rows").replaceChildren(
    ...lines.map((line) => {
      const row = document.createElement("tr");
      row.append(...columns.map(([key, , write]) => cell("td", line[key] == null ? "" : write(line[key]))));
      return row;
    }),
  );
  const largest = (keys) => Math.max(0.01, ...lines.flatMap((line) => keys.map((key) => line[key] ?? 0)));
  const losses = ["train_loss", "val_loss"];
  drawCurves(at("losses"), "loss", lines, epochs, [[losses[0], "train"], [losses[1], "val"]], largest(losses));
  const figure = FIGURES.find(([, , key]) => lines.some((line) => line[key] != null)) ?? FIGURES[0];
  const [title, train, val, top] = figure;
  const keys = train === val ? [[val, "val"]] : [[train, "train"], [val, "val"]];
  at("figures").setAttribute("aria-label", `${title} by epoch`);
  drawCurves(at("figures"), title, lines, epochs, keys, top ?? largest([val]));
}

function showTiles(state) {
  const last = lines.at(-1);
  const tiles = {
    device: state.device,
    parameters: state.parameters.toLocaleString("en"),
    "planned memory": `${(state.planned_bytes / 2 ** 20).toFixed(1)} MiB`,
    ...(last ? { "images/s": whole(last.images_per_second) } : {}),
    ...(last?.val_accuracy != null ? { "validation accuracy": percent(last.val_accuracy) } : {}),
    ...(last?.val_map != null ? { "validation mAP": percent(last.val_map) } : {}),
    ...(last?.val_psnr != null ? { "validation PSNR": `${last.val_psnr.toFixed(2)} dB` } : {}),
  };
  at("tiles").replaceChildren(
    ...Object.entries(tiles).map(([term, text]) => {
      const [box, dt, dd] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
      [dt.textContent, dd.textContent] = [term, text];
      box.append(dt, dd);
      return box;
    }),
  );
}

/** How much of an epoch is done: its validation comes after all its steps, other parts before them. */
function share({ part, done, of }) {
  if (part === "training") return of ? done / of : 0;
  return part.startsWith("evaluating") ? 1 : 0;
}

function show(state) {
  if (state.run !== run) [run, lines] = [state.run, []];
  const from = state.lines[0]?.epoch ?? state.last + 1;
  lines = [...lines.filter((line) => line.epoch < from), ...state.lines];
  document.documentElement.dataset.phase = state.phase; // for tests
  const is = (...phases) => phases.includes(state.phase);
  at("stop").disabled = at("save").disabled = !is("training");
  if (run) {
    document.title = at("title").textContent = run;
    at("about").textContent = `recipe ${state.recipe}: ${state.model} on ${state.dataset}, ${state.epochs} epochs`;
    showTiles(state);
    showLines(state.epochs);
  }
  if (is("training")) at("progress").value = Math.min(1, (state.epoch - 1 + share(state)) / state.epochs);
  if (is("reporting", "done")) at("progress").value = 1;
  if (!is("training") || state.notes.length !== wish?.notes) wish = undefined;
  const epoch = `Epoch ${state.epoch} of ${Math.ceil(state.epochs)}: ${state.part || "the first steps"}`;
  if (is("training")) say(wish?.text ?? epoch, `${state.done} of ${state.of}`);
  else say({ preparing: "The program prepares the training…", reporting: "The training is done. The report is being written…" }[state.phase] ?? state.end);
  at("notes").hidden = !state.notes.length;
  at("list").replaceChildren(...state.notes.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  notes = state.notes.length;
}

/** Shows the end, and tells the program that it need not wait any longer. */
async function end(state) {
  if (state.has_report) {
    at("report").hidden = false;
    await new Promise((shown) => {
      at("report").addEventListener("load", shown);
      at("report").src = "report";
    });
  }
  await fetch("seen", { method: "POST" }).catch(() => {});
}

async function ask() {
  for (let first = true; ; first = false) {
    try {
      const answer = await fetch(`state?after=${lines.at(-1)?.epoch ?? 0}${first ? "" : "&wait=true"}`);
      const state = await answer.json();
      if (!answer.ok) throw new Error(state.error);
      show(state);
      if (state.end) return end(state);
    } catch {
      say("The program does not answer; it may have ended.");
      at("stop").disabled = at("save").disabled = true;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}
ask();

const WISHES = { stop: "Stopping after the steps that are under way…", save: "Saving…" };
for (const [name, text] of Object.entries(WISHES)) {
  at(name).addEventListener("click", async () => {
    wish = { text, notes };
    say(text);
    await fetch(name, { method: "POST" }).catch(() => {});
  });
}
