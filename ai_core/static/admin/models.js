// Which models there are, and which one serves.

import { text } from "../shared/texts.js";
import { element } from "../shared/dom.js";
import { call } from "./api.js";
import { action, table } from "./table.js";
import { bytes, state } from "./values.js";

export class Models {
  #body;
  #page;

  constructor(body, page) {
    this.#body = body;
    this.#page = page;
  }

  async update() {
    const { models } = await call("GET", "/api/v1/models");
    const columns = ["model", "state", "format", "size", "context", "actions"].map((name) => text(name));
    this.#page.replace(this.#body, table(columns, models.map((model) => this.#row(model)), text("admin_models")));
  }

  #row(model) {
    const context = model.context_length ? text("tokens", { count: model.context_length.toLocaleString(document.documentElement.lang) }) : "";
    const status = [state(`model_${model.status}`), model.error && element("p", { class: "quiet-text" }, model.error)];
    const format = [model.format, model.quantisation].filter(Boolean).join(" ");
    return [model.name ?? model.id, status.filter(Boolean), format, bytes(model.size), context, this.#actions(model)];
  }

  #actions({ id, status }) {
    const busy = status === "loading" || status === "downloading";
    const loaded = status === "loaded";
    return element(
      "div",
      { class: "cell-actions" },
      !loaded && action(text("load"), id, () => this.#change(id, "load"), busy),
      loaded && action(text("unload"), id, () => this.#change(id, "unload", text("confirm_unload", { name: id }))),
      !loaded && action(text("remove"), id, () => this.#remove(id), busy),
    );
  }

  async #change(id, change, question = null) {
    if (question !== null && !(await this.#page.confirm(question))) return;
    if (change === "load") this.#page.announce(text("loading_model", { name: id }));
    await this.#page.attempt(async () => {
      await call("POST", `/api/v1/models/${encodeURIComponent(id)}/${change}`);
      this.#page.announce(text(`${change}ed_model`, { name: id }));
    }, this);
  }

  async #remove(id) {
    if (!(await this.#page.confirm(text("confirm_remove", { name: id })))) return;
    await this.#page.attempt(async () => {
      await call("DELETE", `/api/v1/models/${encodeURIComponent(id)}`);
      this.#page.announce(text("removed_model", { name: id }));
    }, this);
  }
}
