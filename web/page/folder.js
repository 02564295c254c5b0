// A folder of the user's images, one folder for each class.
import { pixelsOf } from "./pixels.js";

const MOST_PIXELS = 20_000 * 32 * 32; // of all images together, for the sake of memory

/** The number of images of `side` x `side` pixels that the page takes. */
export const most = (side) => Math.floor(MOST_PIXELS / side ** 2);

/** All files of what was dropped, with their paths. */
export async function dropped(items) {
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [];
  async function walk(entry, path) {
    if (entry.isFile) {
      files.push({ path, file: await new Promise((done, failed) => entry.file(done, failed)) });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      // A reader gives at most 100 entries at a time.
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (some.length === 0) break;
      for (const one of some) await walk(one, `${path}/${one.name}`);
    }
  }
  // Several class folders may be dropped together.
  for (const entry of entries) await walk(entry, entries.length > 1 ? `dropped/${entry.name}` : entry.name);
  return files;
}

// As the program sorts: by the numbers of the characters, folder by folder.
function inOrder({ path: a }, { path: b }) {
  const [left, right] = [a.split("/"), b.split("/")];
  const at = left.findIndex((part, i) => part !== right[i]);
  return at < 0 ? 0 : left[at] < (right[at] ?? "") ? -1 : 1;
}

/** Images of files {path, file}: the class of each is the folder below the chosen one. */
export class FolderImages {
  constructor(files) {
    const images = files.filter(({ file }) => file.type.startsWith("image/"));
    // The names of the folders below the chosen one. Of deeper ones, the first is the class.
    const classOf = ({ path }) => path.split("/").slice(1, -1)[0];
    this.files = images.filter(classOf).sort(inOrder);
    this.loose = images.length - this.files.length;
    const classes = [...new Set(this.files.map(classOf))].sort();
    if (classes.length < 2) {
      throw new Error("The folder needs at least two folders of images in it, one for each class.");
    }
    if (classes.some((name) => /^(train|training|val|valid|validation|dev|eval|test|testing)$/i.test(name))) {
      throw new Error(`The folder has the folders ${classes.join(", ")}: choose one with the class folders, such as the training split.`);
    }
    this.classes = classes;
    this.labels = this.files.map((image) => classes.indexOf(classOf(image)));
  }

  /** The images as pixels, `side` wide and high. `progress` gets the number of those that are read, and of all. */
  async read(side, progress) {
    if (this.read_?.side === side) return this.read_;
    const all = this.files.length;
    if (all > most(side)) {
      throw new Error(`The folder has ${all} images; with ${side} x ${side} pixels the page takes ${most(side)} at most.`);
    }
    const list = [], broken = [];
    for (const [number, { path, file }] of this.files.entries()) {
      try {
        list.push({ pixels: await pixelsOf(file, [side, side]), label: this.labels[number] });
      } catch {
        broken.push(path);
      }
      progress(number + 1, all);
    }
    return (this.read_ = { side, classes: this.classes, list, broken });
  }
}
