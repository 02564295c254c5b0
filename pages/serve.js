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

/** A figure for an image: the picture, the answer, the bars. */
function newFigure(image, name) {
  const made = document.createElement("article");
  made.className = "tried columns";
  const [shown, side, title, bars] = ["img", "div", "p", "ol"].map((tag) => document.createElement(tag));
  picture(shown, image);
  [shown.alt, title.className, bars.className] = [name, "answer", "bars"];
  title.textContent = "…";
  side.append(title, bars);
  made.append(shown, side);
  at("answers").prepend(made);
  while (at("answers").children.length > SHOWN) {
    at("answers").lastChild.querySelectorAll("img").forEach((old) => picture(old));
    at("answers").lastChild.remove();
  }
  return { title, bars, shown };
}

/** Classifies an image and shows the answer in a figure; true if there is one. */
async function classify(image, figure) {
  try {
    const { predictions: [answer] } = await (await send("predict?top=5", image)).json();
    figure.title.textContent = sentence(answer);
    showBars(figure.bars, answer.likeliest);
    if (at("map").checked && about.can_explain) {
      const map = await (await send("explain", image)).blob();
      figure.map ??= Object.assign(document.createElement("img"), { className: "map", alt: "the places that decided, light for the class" });
      picture(figure.map, map);
      figure.shown.after(figure.map);
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
    done += Number(await classify(file, newFigure(file, file.name || "pasted image")));
  }
  say(files.length ? `${done} of ${files.length} images classified.` : "These are no files.");
}

at("files").addEventListener("change", () => take([...at("files").files]));
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
let watching = false;
async function watch() {
  const figure = newFigure(await camera.image(), "the camera's last image");
  while (watching) {
    const image = await camera.image();
    picture(figure.shown, image);
    if (!(await classify(image, figure))) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
at("camera").addEventListener("click", async () => {
  watching = !watching;
  try {
    if (watching) {
      await camera.start(at("video"));
      [at("video").hidden, at("camera").textContent] = [false, "Stop the camera"];
      await watch();
    }
  } catch (error) {
    say(`Error: ${error.message}`);
  }
  camera.stop();
  watching = false;
  [at("video").hidden, at("camera").textContent] = [true, "Use the camera"];
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
  at("curl").textContent = `curl --data-binary @photo.jpg ${location.origin}/predict\ncurl -F image=@a.jpg -F image=@b.jpg ${location.origin}/predict`;
  showClasses();
  if (about.examples === null) setTimeout(begin, 1000);
}
begin().catch((error) => say(`Error: ${error.message}`));
