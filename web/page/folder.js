// A folder of the user's images, one folder for each class, as pixels of one size.

const SIDE = 32; // of the images of the recipe small-images
const MOST = 20_000;

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

/** An image, cut to a square from its middle and resized: red, green, blue and alpha of its pixels. */
export async function pixelsOf(file, side = SIDE) {
  // Phones say by EXIF how an image is turned; browsers turn it by default.
  const image = await createImageBitmap(file);
  const least = Math.min(image.width, image.height);
  const context = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, (image.width - least) / 2, (image.height - least) / 2, least, least, 0, 0, side, side);
  image.close();
  return new Uint8Array(context.getImageData(0, 0, side, side).data.buffer);
}

/** The images of files {path, file}: the class of each is the folder below the chosen one. `progress` gets the number of images that are read. */
export async function readFolder(files, progress) {
  const images = files.filter(({ file }) => file.type.startsWith("image/"));
  if (images.length > MOST) throw new Error(`The folder has ${images.length} images; the page takes ${MOST} at most.`);
  // The names of the folders below the chosen one. Of deeper ones, the first is the class.
  const classOf = ({ path }) => path.split("/").slice(1, -1)[0];
  const inClasses = images.filter(classOf);
  const classes = [...new Set(inClasses.map(classOf))].sort();
  if (classes.length < 2) {
    throw new Error("The folder needs at least two folders of images in it, one for each class.");
  }
  if (classes.some((name) => /^(train|training|val|valid|validation|dev|eval|test|testing)$/i.test(name))) {
    throw new Error(`The folder has the folders ${classes.join(", ")}: choose one with the class folders, such as the training split.`);
  }
  const list = [], broken = [];
  for (const image of inClasses) {
    try {
      list.push({ pixels: await pixelsOf(image.file), label: classes.indexOf(classOf(image)) });
    } catch {
      broken.push(image.path);
    }
    progress(list.length + broken.length, inClasses.length);
  }
  return { side: SIDE, classes, list, broken, loose: images.length - inClasses.length };
}
