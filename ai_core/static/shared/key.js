// The access key: taken from the address (#key=...), kept in this tab, or on this device when the person asks for it.

const NAME = "api-key";

/** The key, or null. */
export function currentKey() {
  return sessionStorage.getItem(NAME) ?? localStorage.getItem(NAME);
}

/** Keeps `key` for this tab, and beyond it when `remember`. */
export function keepKey(key, remember) {
  forgetKey();
  sessionStorage.setItem(NAME, key);
  if (remember) localStorage.setItem(NAME, key);
}

export function forgetKey() {
  sessionStorage.removeItem(NAME);
  localStorage.removeItem(NAME);
}

export function isRemembered() {
  return localStorage.getItem(NAME) !== null;
}

/** Whether `key` can travel in a header at all: visible ASCII only. */
export function isWellFormed(key) {
  return /^[\x21-\x7e]{1,512}$/.test(key);
}

/** Takes a key out of the address bar, where it would stay in the history and in screenshots. */
export function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key")?.trim();
  if (key === undefined) return;
  history.replaceState(null, "", location.pathname + location.search);
  if (isWellFormed(key)) keepKey(key, isRemembered());
}
