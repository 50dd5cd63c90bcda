// Server-Sent Events over fetch (WHATWG HTML, section 9.2). EventSource can neither POST nor send a key.

/** Cuts text, in whatever pieces it comes, into events: push() returns those that became complete. */
export class EventParser {
  #rest = "";
  #name = "";
  #data = [];

  push(piece) {
    // A carriage return at the end may be half of CRLF: it waits for the next piece.
    const pending = this.#rest + piece;
    const held = pending.endsWith("\r") ? "\r" : "";
    const lines = pending.slice(0, pending.length - held.length).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() + held;
    return lines.map((line) => this.#line(line)).filter((event) => event !== null);
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#name = value;
    else if (field === "data") this.#data.push(value);
    return null; // a comment (empty field name), or a field that we do not need
  }

  #dispatch() {
    const event = this.#data.length ? { name: this.#name || "message", data: this.#data.join("\n") } : null;
    this.#name = "";
    this.#data = [];
    return event;
  }
}

/** The events of a response body as they arrive. UTF-8 sequences may be cut between chunks. `onChunk` hears each chunk. */
export async function* events(body, onChunk = () => {}) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onChunk();
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => {}); // already closed or aborted
  }
}
