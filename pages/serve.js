// The page of `gpunn serve`: images are sent to the server, and its answers shown.
import { percent, showBars } from "./answers.js";
import { Camera } from "./camera.js";

const SHOWN = 20; // answers at a time
const CLASSES = 200; // whose examples are shown

const at = (id) => document.getElementById(id);
let about;

function say(text) {
  at("status").textContent = text;
}

/** Sends an image, and throws the server's sentence if it refuses. */
async function send(path, image) {
  const answer = await fetch(path, { method: "POST", body: image }).catch(() => {
    throw new Error("The server does not answer; it may have been stopped.");
  });
  if (!answer.ok) throw new Error((await answer.json()).error);
  return answer;
}

/** What an answer says in words. */
function sentence(answer) {
  if (!answer.labels) return `${answer.class} (${percent(answer.confidence)})`;
  return answer.labels.map((label) => `${label.class} (${percent(label.confidence)})`).join(", ") || "no label";
}

/** Shows the bytes of an image in an element, and lets go of those that it showed before. */
function picture(element, blob) {
  if (element.src) URL.revokeObjectURL(element.src);
  if (blob) element.src = URL.createObjectURL(blob);
}

let watched; // the figure of the camera

/** A figure for an image: the picture, the answer, the bars. Screen readers say the answer if it `isSpoken`. */
function newFigure(image, name, isSpoken) {
  const made = document.createElement("article");
  made.className = "tried columns";
  const [shown, side, title, bars] = ["img", "div", "p", "ol"].map((tag) => document.createElement(tag));
  picture(shown, image);
  [shown.alt, title.className, bars.className] = [name, "answer", "bars"];
  title.textContent = "…";
  if (isSpoken) title.ariaLive = "polite";
  side.append(title, bars);
  made.append(shown, side);
  at("answers").prepend(made);
  const old = [...at("answers").children].slice(SHOWN).filter((other) => other !== watched?.made);
  old.forEach((other) => {
    other.querySelectorAll("img").forEach((image) => picture(image));
    other.remove();
  });
  return { made, title, bars, shown };
}

/** Classifies an image and shows the answer in a figure; true if there is one. */
async function classify(image, figure) {
  try {
    if (image.size > about.max_upload_bytes) {
      throw new Error(`the image has ${(image.size / 1e6).toFixed(1)} MB, but the server takes ${about.max_upload_bytes / 1e6} MB at most (--max-upload).`);
    }
    const { predictions: [answer] } = await (await send("predict?top=5", image)).json();
    figure.title.textContent = sentence(answer);
    showBars(figure.bars, answer.likeliest);
    if (at("map").checked && about.can_explain) {
      const shown = encodeURIComponent(answer.likeliest[0].class);
      const map = await (await send(`explain?class=${shown}`, image)).blob();
      figure.map ??= Object.assign(document.createElement("img"), { className: "map", alt: "the places that decided, light for the class" });
      picture(figure.map, map);
      figure.shown.after(figure.map);
    } else if (figure.map) {
      picture(figure.map);
      figure.map.remove();
      figure.map = undefined;
    }
    return true;
  } catch (error) {
    figure.title.textContent = `Error: ${error.message}`;
    return false;
  }
}

async function take(files) {
  let done = 0;
  for (const file of files) {
    say(`Image ${done + 1} of ${files.length}.`);
    done += Number(await classify(file, newFigure(file, file.name || "pasted image", true)));
  }
  say(files.length ? `${done} of ${files.length} images classified.` : "These are no files.");
}

at("files").addEventListener("change", () => {
  const files = [...at("files").files];
  at("files").value = ""; // so that the same file can be chosen again
  take(files);
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  at("drop").addEventListener(kind, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take([...event.dataTransfer.files]);
  });
}
addEventListener("paste", (event) => {
  const files = [...event.clipboardData.files];
  if (files.length) take(files);
});

// The camera: one image after the other, each when the last is answered.
const camera = new Camera();
async function watch() {
  watched = newFigure(await camera.image(), "the camera's last image", false);
  while (camera.on) {
    const image = await camera.image();
    picture(watched.shown, image);
    if (!(await classify(image, watched))) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
at("camera").addEventListener("click", async () => {
  // The loop ends, and after it the first call of this function.
  if (camera.on) return camera.stop();
  at("camera").disabled = true;
  try {
    await camera.start(at("video"));
    [at("video").hidden, at("camera").textContent, at("camera").disabled] = [false, "Stop the camera", false];
    await watch();
  } catch (error) {
    say(`Error: ${error.message}`);
  }
  camera.stop();
  watched = undefined;
  [at("video").hidden, at("camera").textContent, at("camera").disabled] = [true, "Use the camera", false];
});

/** Shows the classes, with examples where there are some. */
function showClasses() {
  const { classes, examples, no_examples: why } = about;
  const many = classes.length > CLASSES ? ` The first ${CLASSES} are shown.` : "";
  const loading = examples ? "" : " Example images are being loaded.";
  at("known").textContent = `${classes.length} classes.${many}${loading}${why ? ` There are no example images: ${why}` : ""}`;
  at("classes").replaceChildren(
    ...classes.slice(0, CLASSES).map((name, number) => {
      const [box, title] = [document.createElement("figure"), document.createElement("figcaption")];
      title.textContent = name;
      const images = Array.from({ length: examples?.[number] ?? 0 }, (_, place) =>
        Object.assign(document.createElement("img"), { src: `examples/${number}/${place}`, alt: `example of ${name}`, loading: "lazy" }),
      );
      box.append(title, ...images);
      return box;
    }),
  );
}

async function begin() {
  about = await (await fetch("about")).json();
  const [channels, height, width] = about.input;
  document.title = `${about.run}: gpunn serve`;
  at("title").textContent = about.run;
  at("about").textContent =
    `${about.model}, trained on ${about.dataset}, ${about.classes.length} classes, ${channels} x ${height} x ${width}; computed on ${about.device}.`;
  at("map-label").hidden = !about.can_explain;
  const token = about.needs_token ? "-H 'Authorization: Bearer TOKEN' " : "";
  at("curl").textContent = `curl ${token}--data-binary @photo.jpg ${location.origin}/predict\ncurl ${token}-F image=@a.jpg -F image=@b.jpg ${location.origin}/predict`;
  showClasses();
  if (about.examples === null) setTimeout(begin, 1000);
}
begin().catch((error) => say(`Error: ${error.message}`));
