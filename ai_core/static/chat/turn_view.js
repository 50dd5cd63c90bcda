// One question and its answer on the page. update() redraws the answer from the turn's plain state.

import { answerBlocks } from "./answer_text.js";
import { readable } from "./articles.js";
import { ICONS, element, icon } from "../shared/dom.js";
import { sourcesSection } from "./sources_view.js";
import { text } from "../shared/texts.js";

const CUT = ["length", "deadline", "cancelled", "model_unloaded", "error"];
const SAID_BY_NOTICE = ["deadline", "model_unloaded"];

export class TurnView {
  #turn;
  #actions;
  #answer = element("div", { class: "answer" });
  #frame = null;
  #drawnSources = null;
  #sources = null;
  #countdown = null;

  /** `actions`: {retry(turn), copy(turn, button)}. */
  constructor(turn, actions) {
    this.#turn = turn;
    this.#actions = actions;
    this.element = element(
      "article",
      { class: "turn" },
      element("h2", { class: "visually-hidden" }, text("you")),
      element("p", { class: "question", dir: "auto" }, turn.question),
      element("h2", { class: "visually-hidden" }, text("assistant")),
      this.#answer,
    );
    this.#draw();
  }

  /** Redraws at the next frame; many tokens may share one drawing. */
  update() {
    this.#frame ??= requestAnimationFrame(() => this.#draw());
  }

  /** Redraws now: the last state must show even in a tab that gets no frames. */
  finish() {
    if (this.#frame !== null) cancelAnimationFrame(this.#frame);
    this.#draw();
  }

  remove() {
    clearInterval(this.#countdown);
    this.element.remove();
  }

  #draw() {
    this.#frame = null;
    clearInterval(this.#countdown);
    const turn = this.#turn;
    this.#answer.setAttribute("aria-busy", String(turn.state === "streaming"));
    this.#answer.replaceChildren(
      ...[
        this.#banner(),
        this.#text(),
        turn.state === "streaming" && turn.text === "" && progress(turn),
        finishNote(turn),
        ...citationWarnings(turn),
        this.#error(),
        this.#sourceCards(),
        this.#buttons(),
      ].filter(Boolean),
    );
  }

  #banner() {
    const { answer, grounded } = this.#turn;
    const notice = answer?.notice ?? (grounded ? null : text("ungrounded"));
    if (!notice) return null;
    return element("p", { class: grounded ? "banner banner-info" : "banner banner-warning", role: "note" }, icon(ICONS.warning), element("span", {}, notice));
  }

  #text() {
    const { text: content, sources, state } = this.#turn;
    if (content === "") return null;
    const links = new Map((sources ?? []).map((source) => [source.number, source.url]));
    const kind = state === "streaming" ? "answer-text answer-writing" : "answer-text";
    return element("div", { class: kind, lang: "fr" }, answerBlocks(content, links, statuses(this.#turn)));
  }

  #sourceCards() {
    const { sources, answer } = this.#turn;
    if (!sources?.length) return null;
    // Drawn only when something changed, or an open fold and the focus on a link would be lost at each token.
    if (this.#sources === null || this.#drawnSources !== answer) {
      const cited = new Set((answer?.citations ?? []).map((citation) => citation.number));
      this.#sources = sourcesSection(sources, cited);
      this.#drawnSources = answer;
    }
    return this.#sources;
  }

  #error() {
    const { error } = this.#turn;
    if (error === null) return null;
    return element(
      "div",
      { class: "banner banner-danger", role: "alert" },
      icon(ICONS.warning),
      element(
        "div",
        {},
        element("p", { class: "banner-title" }, text("error_title")),
        element("p", {}, [text(`error_${error.kind}`), error.retryAfter ? text("error_wait", { seconds: error.retryAfter }) : "", text("error_kept")].filter(Boolean).join(" ")),
        error.requestId && element("p", { class: "reference" }, `${text("error_reference")} `, element("code", {}, error.requestId)),
      ),
    );
  }

  #buttons() {
    const { state, text: content } = this.#turn;
    if (state === "streaming") return null;
    return element(
      "div",
      { class: "answer-actions" },
      content !== "" && action("copy", ICONS.copy, (event) => this.#actions.copy(this.#turn, event.currentTarget)),
      state !== "done" && this.#retryButton(),
    );
  }

  #retryButton() {
    const button = action("retry", ICONS.retry, () => this.#actions.retry(this.#turn));
    const label = button.querySelector("span");
    const readyAt = this.#turn.error?.retryAt ?? 0;
    const tick = () => {
      const seconds = Math.ceil((readyAt - Date.now()) / 1000);
      button.disabled = seconds > 0;
      label.textContent = seconds > 0 ? text("retry_in", { seconds }) : text("retry");
      if (seconds <= 0) clearInterval(this.#countdown);
    };
    if (readyAt > Date.now()) this.#countdown = setInterval(tick, 500);
    tick();
    return button;
  }
}

function action(name, path, click) {
  return element("button", { type: "button", class: "quiet", "data-action": name, click }, icon(path), element("span", {}, text(name)));
}

function progress(turn) {
  const label = turn.sources === null ? text("searching") : text("writing");
  return element("p", { class: "progress" }, element("span", { class: "dots", "aria-hidden": "true" }, element("i"), element("i"), element("i")), label);
}

function finishNote(turn) {
  const reason = turn.state === "stopped" ? "cancelled" : turn.answer?.finish_reason;
  if (!CUT.includes(reason) || (turn.answer?.notice && SAID_BY_NOTICE.includes(reason))) return null;
  return element("p", { class: "finish-note" }, text(`finish_${reason}`));
}

/** Those of the whole answer, else those that were told so far: a number that does not exist is struck out at once. */
function statuses(turn) {
  return new Map((turn.answer?.citations ?? turn.citations ?? []).map((citation) => [citation.number, citation.status]));
}

function citationWarnings(turn) {
  const warning = (status, one, many, kind) => {
    const numbers = (turn.answer?.citations ?? []).filter((citation) => citation.status === status).map((citation) => readable(citation.number));
    if (numbers.length === 0) return null;
    const sentence = text(numbers.length === 1 ? one : many, { numbers: numbers.join(", ") });
    return element("p", { class: `banner ${kind}`, role: "note" }, icon(ICONS.warning), element("span", {}, sentence));
  };
  return [
    warning("unknown", "warning_unknown", "warnings_unknown", "banner-danger"),
    warning("exists", "warning_exists", "warnings_exist", "banner-warning"),
  ];
}
