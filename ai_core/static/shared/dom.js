// Builds elements from plain values. Strings become text nodes; nothing here, or elsewhere, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

/** An element with `attributes` (false and null are left out, functions become listeners) and children. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

/** A decorative 20 by 20 drawing, its colour the text's. */
export function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("aria-hidden", "true");
  const shape = document.createElementNS(SVG, "path");
  shape.setAttribute("d", path);
  svg.append(shape);
  return svg;
}

/** Text that only screen readers meet. */
export function hiddenText(content) {
  return element("span", { class: "visually-hidden" }, content);
}

export const ICONS = {
  copy: "M7 7V4h9v9h-3M4 7h9v9H4z",
  done: "m4 11 4 4 8-9",
  external: "M8 5H5v10h10v-3M11 4h5v5m0-5-7 7",
  retry: "M15.5 8A6 6 0 1 0 16 11.5M16 4v4h-4",
  warning: "M10 3 2 16.5h16zM10 8v4m0 2v.5",
};
