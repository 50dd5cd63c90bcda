// An answer as paragraphs, lists and bold words, with its article numbers linked or marked. Text nodes only.

import { findArticles, safeLink } from "./articles.js";
import { element, hiddenText } from "../shared/dom.js";
import { text } from "../shared/texts.js";

const BULLET = /^\s*[-*•–]\s+/;
const NUMBERED = /^\s*\d{1,3}[.)]\s+/;
const HEADING = /^\s*#{1,6}\s+/;
const SPACED_MARK = / (?=[?!:;»])|(?<=«) /g; // French sets these off with a space, which must not break the line
const BOLD = /\*\*([^*\n]+)\*\*/g;

/**
 * The blocks of `content`. `links` maps an article's number to its address, `statuses` to verified, exists or unknown
 * (empty while the answer is still being written).
 */
export function answerBlocks(content, links, statuses) {
  const inline = (line) => inlineNodes(line, links, statuses);
  return groups(content).map(({ kind, lines }) => {
    if (kind === "ul" || kind === "ol") return element(kind, {}, lines.map((line) => element("li", { dir: "auto" }, inline(line))));
    if (kind === "heading") return element("p", { class: "answer-heading", dir: "auto" }, element("strong", {}, inline(lines[0])));
    return element("p", { dir: "auto" }, lines.flatMap((line, index) => (index ? [element("br"), ...inline(line)] : inline(line))));
  });
}

/** Consecutive lines of one kind; a blank line ends a paragraph. */
function groups(content) {
  const result = [];
  let open = null;
  for (const line of content.replace(SPACED_MARK, "\u00a0").split("\n")) {
    if (line.trim() === "") {
      if (open?.kind === "p") open = null;
      continue;
    }
    const [kind, marker] = kindOf(line);
    if (open?.kind !== kind || kind === "heading") result.push((open = { kind, lines: [] }));
    open.lines.push(marker ? line.replace(marker, "") : line);
  }
  return result;
}

function kindOf(line) {
  if (BULLET.test(line)) return ["ul", BULLET];
  if (NUMBERED.test(line)) return ["ol", NUMBERED];
  return HEADING.test(line) ? ["heading", HEADING] : ["p", null];
}

function inlineNodes(line, links, statuses) {
  const nodes = [];
  let end = 0;
  for (const match of line.matchAll(BOLD)) {
    nodes.push(...withArticles(line.slice(end, match.index), links, statuses));
    nodes.push(element("strong", {}, withArticles(match[1], links, statuses)));
    end = match.index + match[0].length;
  }
  return [...nodes, ...withArticles(line.slice(end), links, statuses)];
}

function withArticles(content, links, statuses) {
  const nodes = [];
  let end = 0;
  for (const mention of findArticles(content)) {
    nodes.push(content.slice(end, mention.start));
    nodes.push(citation(content.slice(mention.start, mention.end), mention.number, links, statuses));
    end = mention.end;
  }
  return [...nodes, content.slice(end)].filter((node) => node !== "");
}

function citation(words, number, links, statuses) {
  const status = statuses.get(number);
  if (status === "unknown") {
    return element("span", { class: "citation citation-unknown" }, element("s", {}, words), ` ⚠ ${text("citation_unknown")}`);
  }
  if (status === "exists") {
    return element("span", { class: "citation citation-exists" }, element("span", { class: "citation-number" }, words), ` (${text("citation_exists")})`);
  }
  const address = safeLink(links.get(number));
  if (address === null) return words;
  const attributes = { class: "citation citation-verified", href: address, target: "_blank", rel: "noopener noreferrer" };
  return element("a", attributes, words, hiddenText(` (${text("opens_new_tab")})`));
}
