// Article numbers in a text, in the spellings that people and models use: "L. 1234-1", "R*1234-1", "article L1234-1".

const MENTION = /(?<![\p{L}\p{N}])([LRD])\.?[\s\u00a0\u202f]?(\*?)[\s\u00a0\u202f]?(\d{1,4}(?:[-‑–]\d{1,3}){0,4})(?![\p{L}\p{N}])/gu;

/** The mentions in `content`: [{number: "L1234-1", start, end}], in order. */
export function findArticles(content) {
  return Array.from(content.matchAll(MENTION), (match) => ({
    number: match[1] + match[2] + match[3].replace(/[‑–]/g, "-"),
    start: match.index,
    end: match.index + match[0].length,
  }));
}

/** "L1234-1" as lawyers write it: "L. 1234-1". */
export function readable(number) {
  return number.replace(/^([A-Z])(\*?)/, "$1.$2\u00a0");
}

/** `address` when it is a plain https link, else null: a source must not smuggle in a script. */
export function safeLink(address) {
  try {
    const url = new URL(address);
    return url.protocol === "https:" && !url.username && !url.password ? url.href : null;
  } catch {
    return null;
  }
}
