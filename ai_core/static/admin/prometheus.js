// Reads Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/), as far as /metrics uses it.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** One scrape: `at` in milliseconds, samples as [{name, labels, value}]. */
export class Scrape {
  constructor(content, at = Date.now()) {
    this.at = at;
    this.samples = content.split("\n").map(sample).filter(Boolean);
  }

  /** The sum over all samples called `name` whose labels `accept`. */
  sum(name, accept = () => true) {
    const found = this.samples.filter((one) => one.name === name && accept(one.labels));
    return found.reduce((total, { value }) => total + value, 0);
  }

  /** Cumulative counts of a histogram by upper bound, ascending. */
  buckets(name) {
    const counts = new Map();
    for (const { labels, value } of this.samples.filter((one) => one.name === `${name}_bucket`)) {
      const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
      counts.set(bound, (counts.get(bound) ?? 0) + value);
    }
    return [...counts].sort(([one], [other]) => one - other);
  }
}

/** The value below which `share` of what a histogram counted between two scrapes lies; null where it counted nothing. */
export function quantile(name, share, before, after) {
  const old = new Map(before.buckets(name));
  const grown = after.buckets(name).map(([bound, count]) => [bound, count - (old.get(bound) ?? 0)]);
  const total = grown.at(-1)?.[1] ?? 0;
  if (total <= 0) return null;
  const [bound] = grown.find(([, count]) => count >= share * total);
  return bound === Infinity ? grown.at(-2)[0] : bound;
}

function sample(line) {
  const [, name, labels = "", value] = LINE.exec(line) ?? [];
  if (name === undefined) return null;
  return { name, labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, key, text]) => [key, text])), value: Number(value) };
}
