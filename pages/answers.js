// Answers of a network, with bars.

/** A fraction as the pages write it. One below 1 is never 100 %. */
export function percent(part) {
  if (part == null) return "";
  const text = (100 * part).toFixed(2);
  return `${text === "100.00" && part < 1 ? ">99.99" : text} %`;
}

/** Shows classes {class, confidence}, the likeliest first, as a list with bars. */
export function showBars(list, classes) {
  list.replaceChildren(
    ...classes.map(({ class: name, confidence }) => {
      const [item, label, track, bar, value] = ["li", "span", "span", "div", "span"].map((tag) => document.createElement(tag));
      [label.textContent, value.textContent, bar.className, value.className] = [name, percent(confidence), "bar", "n"];
      bar.style.width = `${100 * confidence}%`;
      track.append(bar);
      item.append(label, track, value);
      return item;
    }),
  );
}
