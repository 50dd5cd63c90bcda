// What was asked and answered in this tab: kept over a reload, forgotten with the tab.

const TURNS = "conversation";
const USER = "user-id";
const MOST_TURNS = 6; // of the past, sent with a question
const MOST_CHARACTERS = 12_000;

/** One question and what came of it. `state` is streaming, done, stopped or failed; `answer` the API's final object. */
export function newTurn(question) {
  return { question, text: "", sources: null, citations: [], grounded: true, answer: null, state: "streaming", error: null };
}

export class Conversation {
  turns = stored();

  /** The earlier turns as the API takes them, the most recent ones that fit. */
  context() {
    const messages = [];
    let room = MOST_CHARACTERS;
    for (const turn of this.turns.filter(hasAnswer).slice(-MOST_TURNS).reverse()) {
      room -= turn.question.length + turn.text.length;
      if (room < 0) break;
      messages.unshift({ role: "user", content: turn.question }, { role: "assistant", content: turn.text });
    }
    return messages;
  }

  add(turn) {
    this.turns.push(turn);
  }

  remove(turn) {
    this.turns = this.turns.filter((other) => other !== turn);
    this.save();
  }

  clear() {
    this.turns = [];
    this.save();
    sessionStorage.removeItem(USER);
  }

  save() {
    const finished = this.turns.filter((turn) => turn.state !== "streaming" && hasAnswer(turn));
    try {
      sessionStorage.setItem(TURNS, JSON.stringify(finished));
    } catch {
      sessionStorage.removeItem(TURNS); // full: the conversation goes on, it just does not outlive a reload
    }
  }
}

/** A random name for the API's limits. It says nothing about the person and lasts as long as the conversation. */
export function userId() {
  let name = sessionStorage.getItem(USER);
  if (name === null) {
    const bytes = crypto.getRandomValues(new Uint8Array(12));
    name = "web-" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    sessionStorage.setItem(USER, name);
  }
  return name;
}

function hasAnswer(turn) {
  return turn.text.trim() !== "" && turn.state !== "failed";
}

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(TURNS)) ?? [];
  } catch {
    return [];
  }
}
