// The page's sentences: one JSON block that the server wrote into the page (templates/texts/).

const texts = JSON.parse(document.getElementById("texts").textContent);

/** The sentence called `name`, its {placeholders} filled in. */
export function text(name, values = {}) {
  return texts[name].replace(/\{(\w+)\}/g, (_, key) => String(values[key]));
}
