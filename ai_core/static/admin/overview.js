// The state of the service: its parts, memory and disk, and plots of the last minutes.

import { element } from "../shared/dom.js";
import { hasText, text } from "../shared/texts.js";
import { call, textOf } from "./api.js";
import { Plot } from "./plot.js";
import { Scrape, quantile } from "./prometheus.js";
import { bytes, meter, state } from "./values.js";

const LATENCY = "http_request_duration_seconds";

export class Overview {
  #plots = {
    speed: new Plot(text("plot_speed"), 1),
    slots: new Plot(text("plot_slots")),
    queue: new Plot(text("plot_queue")),
    cells: new Plot(text("plot_cells"), 2),
    latency: new Plot(text("plot_latency"), 2),
    errors: new Plot(text("plot_errors"), 1),
  };
  #state = element("div", {});
  #last = null;

  constructor(body) {
    const plots = Object.values(this.#plots).map((plot) => plot.element);
    this.elements = [this.#state, element("div", { class: "figures" }, plots)];
    body.replaceChildren(...this.elements);
  }

  async update() {
    const [status, metrics] = await Promise.all([call("GET", "/api/v1/admin/system-status"), textOf("/metrics")]);
    this.#show(status);
    this.#plot(new Scrape(metrics));
  }

  #show(status) {
    const parts = Object.entries(status.components ?? {}).map(([name, part]) =>
      element("li", {}, `${componentName(name)} : `, state(`status_${part.status}`), " ", element("span", { class: "quiet-text" }, part.detail)),
    );
    this.#state.replaceChildren(
      element("p", {}, state(`status_${status.status}`)),
      element("ul", { class: "parts" }, parts),
      element("div", { class: "meters" }, usage("memory", status.memory_usage), usage("disk", status.disk_usage)),
    );
  }

  #plot(scrape) {
    const { at } = scrape;
    this.#plots.slots.add(at, scrape.sum("ai_core_requests_processing"));
    this.#plots.queue.add(at, scrape.sum("ai_core_requests_deferred"));
    this.#plots.cells.add(at, scrape.sum("ai_core_kv_cache_usage_ratio"));
    if (this.#last !== null) this.#plotGrowth(this.#last, scrape);
    this.#last = scrape;
  }

  #plotGrowth(before, after) {
    const seconds = Math.max(0.001, (after.at - before.at) / 1000);
    const grown = (name, accept) => Math.max(0, after.sum(name, accept) - before.sum(name, accept)) / seconds;
    this.#plots.speed.add(after.at, grown("ai_core_tokens_predicted_total"));
    this.#plots.latency.add(after.at, quantile(LATENCY, 0.95, before, after));
    this.#plots.errors.add(after.at, 60 * grown("http_requests_total", ({ status }) => status.startsWith("5")));
  }
}

function usage(name, { used, total, usage_percent: percent }) {
  return meter(text(name), percent / 100, text("of_total", { used: bytes(used), total: bytes(total) }));
}

function componentName(name) {
  const known = `component_${name}`;
  return hasText(known) ? text(known) : name;
}
