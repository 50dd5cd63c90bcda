// A small line plot of the last minutes, with the same facts in words.

import { element } from "../shared/dom.js";
import { text } from "../shared/texts.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 300;
const HEIGHT = 56;
const KEPT_MS = 10 * 60_000;
const LEAST_MS = 60_000; // so that the first points do not fill the whole plot

export class Plot {
  #points = []; // [milliseconds, value], oldest first
  #value = element("span", { class: "figure-value" }, "–");
  #svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "plot", role: "img" });
  #title;
  #digits;

  constructor(title, digits = 0) {
    this.#title = title;
    this.#digits = digits;
    this.element = element("figure", { class: "figure" }, element("figcaption", {}, title, this.#value), this.#svg);
    this.#svg.setAttribute("aria-label", title);
  }

  /** Adds a value measured at `at` (milliseconds); null leaves a gap. */
  add(at, value) {
    if (value !== null && Number.isFinite(value)) this.#points.push([at, value]);
    this.#points = this.#points.filter(([time]) => time > at - KEPT_MS);
    this.#draw(at);
  }

  #draw(now) {
    const values = this.#points.map(([, value]) => value);
    if (values.length === 0) return;
    const high = Math.max(...values);
    const span = Math.max(LEAST_MS, now - this.#points[0][0]);
    const x = (time) => WIDTH * (1 - (now - time) / span);
    const place = ([time, value]) => [x(time), y(value, high)];
    const line = this.#points.map(place).map((point) => point.map((part) => part.toFixed(1)).join(",")).join(" ");
    const [first, last] = [this.#points[0], this.#points.at(-1)].map(([time]) => x(time).toFixed(1));
    this.#svg.replaceChildren(
      shape("polygon", { class: "area", points: `${first},${HEIGHT} ${line} ${last},${HEIGHT}` }),
      shape("polyline", { class: "line", points: line }),
      shape("path", { class: "axis", d: `M0 ${HEIGHT - 0.5}H${WIDTH}` }),
    );
    this.#value.textContent = this.#shown(values.at(-1));
    const minutes = Math.max(1, Math.round((now - this.#points[0][0]) / 60_000));
    const facts = { minutes, low: this.#shown(Math.min(...values)), high: this.#shown(high) };
    this.#svg.setAttribute("aria-label", `${this.#title}. ${text("plot_summary", facts)}`);
  }

  #shown(value) {
    return value.toLocaleString(document.documentElement.lang, { maximumFractionDigits: this.#digits });
  }
}

function y(value, high) {
  return HEIGHT - 2 - (HEIGHT - 6) * (high > 0 ? value / high : 0);
}

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
