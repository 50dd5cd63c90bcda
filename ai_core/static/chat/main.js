// Puts the chat page together: questions go out, answers come in, and nothing that a person wrote is lost on the way.

import { ask } from "./api.js";
import { copyAnswer } from "./clipboard.js";
import { Composer } from "./composer.js";
import { Conversation, newTurn, userId } from "./conversation.js";
import { currentKey, takeKeyFromAddress } from "../shared/key.js";
import { KeyDialog } from "../shared/key_dialog.js";
import { text } from "../shared/texts.js";
import { TurnView } from "./turn_view.js";

const find = (id) => document.getElementById(id);
const conversation = new Conversation();
const views = new Map(); // turn -> TurnView
const keyDialog = new KeyDialog();
const composer = new Composer({ send, stop });
let running = null; // the AbortController of the answer being written

takeKeyFromAddress();
addEventListener("hashchange", takeKeyFromAddress);
conversation.turns.forEach(show);
refresh();
// Beyond the first screen of a phone, a keyboard that opens by itself would hide the page.
if (matchMedia("(pointer: fine)").matches) composer.focus();

find("open-key").addEventListener("click", () => keyDialog.ask());
find("new-conversation").addEventListener("click", startAnew);
for (const example of document.querySelectorAll(".example")) {
  // The no-break spaces of French typography are for the eye only.
  example.addEventListener("click", () => send(example.textContent.trim().replace(/\s/g, " ")));
}
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !keyDialog.isOpen) stop();
});

async function send(question) {
  if (running !== null) return;
  composer.value = question; // it leaves the box only once there is a key to send it with
  if (currentKey() === null && !(await keyDialog.ask())) return;
  conversation.turns.filter((turn) => turn.state === "failed" || turn.text === "").forEach(drop);
  composer.value = "";
  await run(newTurn(question));
}

async function run(turn) {
  const context = conversation.context();
  running = new AbortController();
  conversation.add(turn);
  const view = show(turn);
  refresh();
  // The question goes to the top and the answer flows below it: a text that is being read does not move.
  view.element.scrollIntoView({ block: "start" });
  announce(text("searching"));
  try {
    turn.answer = await ask({ question: turn.question, context, key: currentKey(), userId: userId(), signal: running.signal, on: listeners(turn, view) });
    complete(turn);
  } catch (error) {
    fail(turn, error);
  } finally {
    running = null;
    settle(turn, view);
  }
  if (turn.error?.kind === "unauthorised") await askKeyAgain(turn);
}

function listeners(turn, view) {
  return {
    sources: ({ sources, grounded }) => {
      turn.sources = sources;
      turn.grounded = grounded;
      view.update();
    },
    token: (piece) => {
      turn.text += piece;
      view.update();
    },
    citation: (citation) => {
      turn.citations.push(citation);
      view.update();
    },
  };
}

function complete(turn) {
  const { response, sources, grounded } = turn.answer;
  turn.text = response ?? turn.text;
  turn.sources = sources ?? turn.sources;
  turn.grounded = grounded ?? turn.grounded;
  turn.state = "done";
}

function fail(turn, error) {
  if (error.name === "AbortError") {
    turn.state = "stopped";
    if (turn.text === "") giveBack(turn);
    return;
  }
  const { kind, requestId, retryAfter } = error;
  turn.state = "failed";
  turn.error = { kind: kind ?? "server", requestId, retryAfter, retryAt: retryAfter ? Date.now() + retryAfter * 1000 : 0 };
  giveBack(turn);
  if (kind === undefined) throw error; // a fault of this page: shown like the others, and reported in the console
}

function settle(turn, view) {
  view.finish();
  conversation.save();
  refresh();
  if (turn.state === "done") announce(`${text("answer_done")} ${turn.text}`);
  else if (turn.state === "stopped") announce(text("answer_stopped"));
}

/** Puts a question that got no answer back in the box, unless the next one is already being written there. */
function giveBack(turn) {
  if (conversation.turns.includes(turn) && composer.value.trim() === "") composer.value = turn.question;
}

async function askKeyAgain(turn) {
  if (await keyDialog.ask("key_rejected")) await retry(turn);
}

async function retry(turn) {
  if (running !== null) return;
  if (composer.value.trim() === turn.question) composer.value = "";
  drop(turn);
  await run(newTurn(turn.question));
}

async function copy(turn, button) {
  const label = button.querySelector("span");
  label.textContent = text((await copyAnswer(turn)) ? "copied" : "copy_failed");
  announce(label.textContent);
  setTimeout(() => (label.textContent = text("copy")), 2_000);
}

function stop() {
  running?.abort();
}

function startAnew() {
  stop();
  [...conversation.turns].forEach(drop);
  conversation.clear();
  refresh();
  composer.focus();
}

function show(turn) {
  const view = new TurnView(turn, { retry, copy });
  views.set(turn, view);
  find("conversation").append(view.element);
  return view;
}

function drop(turn) {
  views.get(turn)?.remove();
  views.delete(turn);
  conversation.remove(turn);
}

function refresh() {
  const isEmpty = conversation.turns.length === 0;
  find("welcome").hidden = !isEmpty;
  find("new-conversation").hidden = isEmpty;
  composer.busy = running !== null;
}

/** What a screen reader says; set once per event, never per token. */
function announce(sentence) {
  find("announcer").textContent = sentence;
}
