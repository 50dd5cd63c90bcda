// Models on their way from the Hub.

import { element } from "../shared/dom.js";
import { text } from "../shared/texts.js";
import { call } from "./api.js";
import { action, table } from "./table.js";
import { bytes, meter, state } from "./values.js";

const FORMATS = ["gguf", "safetensors", "pytorch", "onnx"];
const UNDER_WAY = ["queued", "downloading", "verifying"];

export class Downloads {
  #list = element("div", {});
  #page;
  #name;
  #format;

  constructor(body, page) {
    this.#page = page;
    this.#name = element("input", { id: "download-name", required: true, pattern: "[^\\s\\/]+\\/[^\\s\\/]+", spellcheck: "false", autocomplete: "off" });
    const choices = FORMATS.map((format) => element("option", { value: format }, format));
    this.#format = element("select", { id: "download-format" }, element("option", { value: "" }, text("download_any")), choices);
    const form = element(
      "form",
      { class: "inline-form", submit: (event) => this.#begin(event) },
      element("label", { class: "field field-grow" }, text("download_name"), this.#name),
      element("label", { class: "field" }, text("download_format"), this.#format),
      element("button", { type: "submit", class: "primary" }, text("download_start")),
    );
    body.replaceChildren(form, this.#list);
  }

  async update() {
    const { downloads } = await call("GET", "/api/v1/models/downloads");
    const columns = ["model", "state", "actions"].map((name) => text(name));
    this.#page.replace(this.#list, table(columns, downloads.map((one) => this.#row(one)), text("admin_downloads")));
  }

  #row(one) {
    const running = UNDER_WAY.includes(one.status);
    const figures = { percent: one.progress, done: bytes(one.bytes_done), total: bytes(one.bytes_total) };
    const left = one.estimated_seconds == null ? "" : ` (${text("download_left", { seconds: Math.round(one.estimated_seconds) })})`;
    const how = [
      state(`download_${one.status}`),
      running && meter(one.model_name, one.progress / 100, text("download_progress", figures) + left),
      one.error && element("p", { class: "quiet-text" }, one.error),
    ];
    return [one.model_name, how.filter(Boolean), running ? action(text("download_cancel"), one.model_name, () => this.#cancel(one.id)) : ""];
  }

  async #begin(event) {
    event.preventDefault();
    const name = this.#name.value.trim();
    await this.#page.attempt(async () => {
      await call("POST", "/api/v1/models/download", { model_name: name, ...(this.#format.value && { model_format: this.#format.value }) });
      this.#name.value = "";
      this.#page.announce(text("download_begun", { name }));
    }, this);
  }

  async #cancel(id) {
    await this.#page.attempt(() => call("DELETE", `/api/v1/models/downloads/${encodeURIComponent(id)}`), this);
  }
}
