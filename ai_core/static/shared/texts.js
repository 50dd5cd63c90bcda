// The page's sentences: one JSON block that the server wrote into the page (templates/texts/).

const texts = JSON.parse(document.getElementById("texts").textContent);

/** Whether there is a sentence called `name`. */
export function hasText(name) {
  return name in texts;
}

/** The sentence called `name`, its {placeholders} filled in. */
export function text(name, values = {}) {
  return texts[name].replace(/\{(\w+)\}/g, (_, key) => String(values[key]));
}
