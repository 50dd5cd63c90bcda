// The box where a question is written.

const MOST_HEIGHT = 0.35; // of the window

export class Composer {
  #form = document.getElementById("composer");
  #input = document.getElementById("question");
  #send = document.getElementById("send");
  #stop = document.getElementById("stop");

  /** `actions`: {send(question), stop()}. */
  constructor(actions) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      const question = this.#input.value.trim();
      if (question !== "" && !this.#send.hidden) actions.send(question);
    });
    this.#input.addEventListener("keydown", (event) => this.#key(event));
    this.#input.addEventListener("input", () => this.#grow());
    this.#stop.addEventListener("click", () => actions.stop());
    this.#grow();
  }

  get value() {
    return this.#input.value;
  }

  set value(question) {
    this.#input.value = question;
    this.#grow();
  }

  /** While an answer is being written, Send gives way to Stop. */
  set busy(busy) {
    const hadFocus = document.activeElement === this.#send || document.activeElement === this.#stop;
    this.#send.hidden = busy;
    this.#stop.hidden = !busy;
    if (hadFocus) this.focus();
  }

  focus() {
    this.#input.focus();
  }

  #key(event) {
    // A key pressed while an input method composes a character (accents, Arabic, Chinese) belongs to that character.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#form.requestSubmit();
  }

  #grow() {
    this.#input.style.height = "auto";
    this.#input.style.height = `${Math.min(this.#input.scrollHeight, innerHeight * MOST_HEIGHT)}px`;
    this.#send.disabled = this.#input.value.trim() === "";
  }
}
