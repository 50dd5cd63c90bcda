// Tables whose rows become cards on a phone.

import { element } from "../shared/dom.js";
import { text } from "../shared/texts.js";

/** `columns` are the titles, `rows` lists of cells (text or elements); the first cell names its row. */
export function table(columns, rows, caption) {
  if (rows.length === 0) return element("p", { class: "quiet-text" }, text("admin_nothing"));
  const head = element("tr", {}, columns.map((title) => element("th", { scope: "col" }, title)));
  const body = rows.map((cells) => element("tr", {}, cells.map((cell, place) => entry(cell, columns[place], place))));
  return element(
    "div",
    { class: "table-box", role: "group", "aria-label": caption, tabindex: 0 },
    element("table", { class: "cards-when-narrow" }, element("thead", {}, head), element("tbody", {}, body)),
  );
}

function entry(cell, title, place) {
  const content = [cell].flat();
  return place === 0 ? element("th", { scope: "row" }, content) : element("td", { "data-label": title }, content);
}

/** A small button; what it is about is said to those who do not see its row. */
export function action(label, about, press, disabled = false) {
  return element("button", { type: "button", class: "small", "aria-label": `${label} : ${about}`, disabled, click: press }, label);
}
