// Figures, times and states as people read them, in the page's language.

import { element } from "../shared/dom.js";
import { text } from "../shared/texts.js";

const language = document.documentElement.lang;
const UNITS = { fr: ["o", "Kio", "Mio", "Gio", "Tio"], en: ["B", "KiB", "MiB", "GiB", "TiB"] };
const TONES = {
  good: ["loaded", "healthy", "ok", "done", "active"],
  warning: ["loading", "downloading", "verifying", "warning", "degraded", "queued"],
  bad: ["error", "critical", "down", "failed", "expired"],
};

export function bytes(count) {
  if (count == null) return "";
  const step = count > 0 ? Math.min(4, Math.floor(Math.log2(count) / 10)) : 0;
  const amount = (count / 1024 ** step).toLocaleString(language, { maximumFractionDigits: step ? 1 : 0 });
  return `${amount} ${UNITS[language][step]}`;
}

/** An ISO 8601 time in the operator's own zone. */
export function time(iso) {
  return iso ? new Date(iso).toLocaleString(language, { dateStyle: "short", timeStyle: "medium" }) : "";
}

/** A coloured word; `name` is that of its sentence, its last part the state. */
export function state(name) {
  const word = name.slice(name.lastIndexOf("_") + 1);
  const tone = Object.keys(TONES).find((one) => TONES[one].includes(word)) ?? "idle";
  return element("span", { class: `state state-${tone}` }, text(name));
}

/** A bar with its figures in words; `share` from 0 to 1. */
export function meter(title, share, words) {
  const percent = Math.round(100 * share);
  return element(
    "div",
    { class: "meter" },
    element("div", { class: "meter-head" }, element("span", {}, title), element("span", { class: "quiet-text" }, words)),
    element("progress", { max: 100, value: percent, "aria-label": title }),
  );
}
