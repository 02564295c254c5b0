// Networks as files, and files of weights.

/** Hands the browser a file to keep. */
export function keep(bytes, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes], { type: "application/octet-stream" }));
  link.download = name;
  link.click();
  // The browser reads it after this turn of the event loop.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const PUBLISHED = "squeezenet1_1-b8a52dc0.pth";

/** The pretrained weights {name, bytes}: of the chosen file, or those that the server has beside the page. */
export async function weightsOf(file) {
  if (file) return { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) };
  const answer = await fetch(`weights/${PUBLISHED}`).catch(() => undefined);
  if (!answer?.ok) throw new Error(`Choose the file of the ImageNet weights first, such as torchvision's ${PUBLISHED}.`);
  return { name: PUBLISHED, bytes: new Uint8Array(await answer.arrayBuffer()) };
}
