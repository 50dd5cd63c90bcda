// API keys: made, renewed, revoked. The text of a new one is shown once.

import { element } from "../shared/dom.js";
import { text } from "../shared/texts.js";
import { call } from "./api.js";
import { action, table } from "./table.js";
import { state, time } from "./values.js";

const PATH = "/api/v1/admin/keys";
const SCOPES = ["chat", "models", "admin", "metrics"];

export class Keys {
  #list = element("div", {});
  #page;
  #name = element("input", { id: "key-name", required: true, maxlength: 100, autocomplete: "off" });
  #scopes = SCOPES.map((scope) => element("input", { type: "checkbox", value: scope, checked: scope === "chat" }));

  constructor(body, page) {
    this.#page = page;
    const boxes = this.#scopes.map((box) => element("label", { class: "check" }, box, box.value));
    const form = element(
      "form",
      { class: "inline-form", submit: (event) => this.#create(event) },
      element("label", { class: "field field-grow" }, text("key_name"), this.#name),
      element("fieldset", { class: "choices" }, element("legend", {}, text("key_scopes")), boxes),
      element("button", { type: "submit", class: "primary" }, text("key_create")),
    );
    body.replaceChildren(form, this.#list);
  }

  async update() {
    const { keys } = await call("GET", PATH);
    const columns = ["key_name", "state", "key_prefix", "key_scopes", "key_limit", "key_used", "actions"].map((name) => text(name));
    this.#page.replace(this.#list, table(columns, keys.map((key) => this.#row(key)), text("admin_keys")));
  }

  #row(key) {
    const used = key.last_used_at ? time(key.last_used_at) : text("never");
    const cells = [key.name, state(`key_${standing(key)}`), element("code", {}, key.prefix), key.scopes.join(", ")];
    return [...cells, String(key.rate_limit_per_minute ?? ""), used, this.#actions(key)];
  }

  #actions(key) {
    if (standing(key) === "revoked") return "";
    return element(
      "div",
      { class: "cell-actions" },
      action(text("key_rotate"), key.name, () => this.#rotate(key)),
      action(text("key_revoke"), key.name, () => this.#revoke(key)),
    );
  }

  async #create(event) {
    event.preventDefault();
    const scopes = this.#scopes.filter((box) => box.checked).map((box) => box.value);
    await this.#page.attempt(async () => {
      const made = await call("POST", PATH, { name: this.#name.value.trim(), scopes });
      this.#name.value = "";
      this.#page.showSecret(made.key);
    }, this);
  }

  async #rotate(key) {
    if (!(await this.#page.confirm(text("confirm_rotate", { name: key.name })))) return;
    await this.#page.attempt(async () => this.#page.showSecret((await call("POST", `${PATH}/${key.id}/rotate`)).key), this);
  }

  async #revoke(key) {
    if (!(await this.#page.confirm(text("confirm_revoke", { name: key.name })))) return;
    await this.#page.attempt(() => call("DELETE", `${PATH}/${key.id}`), this);
  }
}

function standing(key) {
  if (key.revoked_at) return "revoked";
  return key.expires_at && new Date(key.expires_at) < new Date() ? "expired" : "active";
}
