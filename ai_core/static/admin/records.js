// What the service wrote: its log, and who did what as an administrator.

import { element } from "../shared/dom.js";
import { text } from "../shared/texts.js";
import { call } from "./api.js";
import { table } from "./table.js";
import { time } from "./values.js";

const LEVELS = ["error", "warning", "info", "debug"];
const SHOWN = 100;

export class Logs {
  #list = element("div", { class: "log" });
  #level;
  #page;

  constructor(body, page) {
    this.#page = page;
    const levels = LEVELS.map((level) => element("option", { value: level }, level));
    const all = element("option", { value: "" }, text("log_all"));
    this.#level = element("select", { id: "log-level", change: () => page.attempt(() => this.update(), this) }, all, levels);
    body.replaceChildren(element("label", { class: "field" }, text("log_level"), this.#level), this.#list);
  }

  async update() {
    const level = this.#level.value ? `&level=${this.#level.value}` : "";
    const { lines } = await call("GET", `/api/v1/admin/logs?limit=${SHOWN}${level}`);
    const columns = ["log_time", "log_level", "log_message"].map((name) => text(name));
    this.#page.replace(this.#list, table(columns, lines.map(row), text("admin_logs")));
  }
}

function row({ time: at, level, message, ...more }) {
  const facts = Object.entries(more).map(([name, value]) => `${name}=${typeof value === "object" ? JSON.stringify(value) : value}`);
  return [time(at), element("span", { class: `level-${level}` }, level), [message, ...facts].join(" ")];
}

export class Audit {
  #body;
  #page;

  constructor(body, page) {
    this.#body = body;
    this.#page = page;
  }

  async update() {
    const { entries } = await call("GET", `/api/v1/admin/audit?limit=${SHOWN}`);
    const names = ["log_time", "audit_actor", "audit_action", "audit_target", "audit_outcome", "audit_address"];
    const rows = entries.map((one) => [time(one.at), one.actor, one.action, one.target, one.outcome, one.address]);
    this.#page.replace(this.#body, table(names.map((name) => text(name)), rows, text("admin_audit")));
  }
}
