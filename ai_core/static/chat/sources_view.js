// The articles and the practical sheet that an answer was given, as cards.

import { readable, safeLink } from "./articles.js";
import { ICONS, element, hiddenText, icon } from "../shared/dom.js";
import { text } from "../shared/texts.js";

const SHEET = "fiche"; // the kind of a source that explains the law, beside the articles that are it
const SHOWN = 4; // the others wait behind a fold

/** Cards for `sources` ([{kind, number, title, url, excerpt, state, updated, changed}]) under a heading; those whose number is in `cited` say so. */
export function sourcesSection(sources, cited) {
  const cards = sources.map((source) => card(source, cited.has(source.number)));
  const rest = cards.slice(SHOWN);
  return element(
    "div",
    { class: "sources" },
    element("h3", { class: "section-title" }, text("sources")),
    element("ul", { class: "cards" }, cards.slice(0, SHOWN)),
    rest.length > 0 && element("details", { class: "more" }, element("summary", {}, moreLabel(rest.length)), element("ul", { class: "cards" }, rest)),
  );
}

function moreLabel(count) {
  return count === 1 ? text("one_more_source") : text("more_sources", { count });
}

function card(source, isCited) {
  return element(
    "li",
    { class: isCited ? "card card-cited" : "card" },
    element("div", { class: "card-head" }, heading(source), badge(source, isCited)),
    element("p", { class: "card-title", dir: "auto" }, source.title),
    element("p", { class: "card-excerpt", dir: "auto" }, source.excerpt),
  );
}

/** What is not in force says so first of all; a sheet says how old it is. */
function badge({ kind, state, updated, changed }, isCited) {
  if (kind === SHEET) return updated && age(day(updated), changed.length > 0);
  if (state === "repealed" || state === "future") return element("span", { class: "badge badge-warning" }, text(`state_${state}`));
  return isCited && element("span", { class: "badge" }, text("cited"));
}

function heading(source) {
  const isSheet = source.kind === SHEET;
  const name = isSheet ? text("sheet") : text("article", { number: readable(source.number) });
  const address = safeLink(source.url);
  if (address === null) return element("span", { class: "card-number" }, name);
  return element(
    "a",
    { class: "card-number", href: address, target: "_blank", rel: "noopener noreferrer" },
    name,
    icon(ICONS.external),
    hiddenText(` · ${text(isSheet ? "read_on_service_public" : "read_on_legifrance")} (${text("opens_new_tab")})`),
  );
}

function age(updated, isOutdated) {
  if (isOutdated) return element("span", { class: "badge badge-warning" }, text("sheet_outdated", { day: updated }));
  return element("span", { class: "badge" }, text("sheet_updated", { day: updated }));
}

/** "2020-08-21" as the page's language writes it. */
function day(iso) {
  return new Date(`${iso}T12:00:00`).toLocaleDateString(document.documentElement.lang);
}
