// The small dialog that asks for the access key.

import { currentKey, forgetKey, isRemembered, isWellFormed, keepKey } from "./key.js";
import { text } from "./texts.js";

const find = (id) => document.getElementById(id);

export class KeyDialog {
  #dialog = find("key-dialog");
  #input = find("key-input");
  #remember = find("key-remember");
  #show = find("key-show");
  #problem = find("key-problem");
  #answer = null;

  constructor() {
    find("key-form").addEventListener("submit", (event) => this.#save(event));
    find("key-cancel").addEventListener("click", () => this.#dialog.close());
    find("key-forget").addEventListener("click", () => {
      forgetKey();
      this.#dialog.close();
    });
    this.#show.addEventListener("change", () => (this.#input.type = this.#show.checked ? "text" : "password"));
    this.#dialog.addEventListener("close", () => this.#answer?.(false));
  }

  get isOpen() {
    return this.#dialog.open;
  }

  /** Asks for a key; `problem` names the sentence that says what is wrong with the last one. Resolves to whether there is one. */
  ask(problem = null) {
    this.#answer?.(false);
    this.#input.value = "";
    this.#show.checked = false;
    this.#input.type = "password";
    this.#remember.checked = isRemembered();
    find("key-forget").hidden = currentKey() === null;
    this.#say(problem);
    if (!this.isOpen) this.#dialog.showModal();
    this.#input.focus();
    return new Promise((resolve) => (this.#answer = resolve));
  }

  #save(event) {
    event.preventDefault();
    const key = this.#input.value.trim();
    if (!isWellFormed(key)) {
      this.#say("key_malformed");
      this.#input.focus();
      return;
    }
    keepKey(key, this.#remember.checked);
    this.#answer?.(true);
    this.#answer = null;
    this.#dialog.close();
  }

  #say(problem) {
    this.#problem.hidden = problem === null;
    this.#problem.textContent = problem === null ? "" : text(problem);
    this.#input.toggleAttribute("aria-invalid", problem !== null);
  }
}
