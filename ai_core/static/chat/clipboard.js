// An answer on the clipboard, with the addresses of its articles.

import { readable, safeLink } from "./articles.js";
import { element } from "../shared/dom.js";
import { text } from "../shared/texts.js";

/** Copies the turn's answer. Resolves to whether it worked. */
export async function copyAnswer(turn) {
  const content = plainText(turn);
  try {
    await navigator.clipboard.writeText(content);
    return true;
  } catch {
    return copyBySelection(content); // no clipboard API on plain http, other than on loopback
  }
}

function plainText(turn) {
  const sources = (turn.sources ?? []).map((source) => `- ${name(source)} ${source.title} ${safeLink(source.url) ?? ""}`.trim());
  const list = sources.length ? [`${text("sources")} :\n${sources.join("\n")}`] : [];
  return [turn.text, ...list, text("disclaimer")].join("\n\n");
}

function name({ kind, number }) {
  return kind === "fiche" ? text("sheet") : readable(number);
}

function copyBySelection(content) {
  const field = element("textarea", { class: "visually-hidden", readonly: true });
  field.value = content;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  return copied;
}
