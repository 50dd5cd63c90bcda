// Asks the API a question and reports the answer as it comes.

import { events } from "./sse.js";

// The server sends a comment at least every few seconds; silence longer than this means that it is gone.
const SILENCE_MS = 75_000;

/** Why there is no (whole) answer. `kind` names a sentence (`error_<kind>`); `retryAfter` is in seconds. */
export class AskError extends Error {
  constructor(kind, { status = 0, requestId = null, retryAfter = null } = {}) {
    super(kind);
    this.kind = kind;
    this.status = status;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

/**
 * Sends `question` and calls on.sources({sources, grounded}), on.token(text) and on.citation({number, status}) as they arrive.
 * Returns the final answer object. Throws AskError, or AbortError when `signal` was aborted by the person.
 */
export async function ask({ question, context, key, userId, signal, on }) {
  const watchdog = new AbortController();
  const stop = () => watchdog.abort();
  signal.addEventListener("abort", stop);
  let timer = setTimeout(stop, SILENCE_MS);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(stop, SILENCE_MS);
  };
  try {
    const response = await post({ question, context, key, userId, signal: watchdog.signal });
    return await read(response, on, alive);
  } catch (error) {
    throw translated(error, signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

function post({ question, context, key, userId, signal }) {
  return fetch("/api/v1/chat", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream", "X-API-Key": key },
    body: JSON.stringify({ message: question, channel: "webapp", user_id: userId, context, stream: true }),
    credentials: "omit",
    cache: "no-store",
    redirect: "error",
    signal,
  });
}

async function read(response, on, alive) {
  if (!response.ok) throw failure(await errorBody(response), response);
  for await (const { name, data } of events(response.body, alive)) {
    if (name === "sources") on.sources(JSON.parse(data));
    else if (name === "token") on.token(JSON.parse(data).text);
    else if (name === "citation") on.citation(JSON.parse(data));
    else if (name === "done") return JSON.parse(data);
    else if (name === "error") throw failure(JSON.parse(data), response);
  }
  throw new AskError("interrupted", { requestId: response.headers.get("X-Request-ID") });
}

async function errorBody(response) {
  try {
    return await response.json();
  } catch {
    return {}; // a proxy's page instead of our own answer
  }
}

function failure(body, response) {
  const status = Number(body.status) || response.status;
  return new AskError(isTooLong(body) ? "too_long" : kindOf(status), {
    status,
    requestId: body.request_id || response.headers.get("X-Request-ID"),
    retryAfter: seconds(body.retry_after ?? response.headers.get("Retry-After")),
  });
}

/** Whether the fields that the server refused are texts of ours beyond a limit. */
function isTooLong({ status, errors = {} }) {
  return status === 422 && /\blong/i.test(JSON.stringify([errors.message, errors.context]));
}

function kindOf(status) {
  const kinds = { 401: "unauthorised", 403: "forbidden", 413: "too_long", 429: "rate_limit", 502: "busy", 503: "busy", 504: "busy" };
  return kinds[status] ?? (status >= 400 && status < 500 ? "refused" : "server");
}

/** Seconds of a Retry-After header (RFC 9110, 10.2.3: a number or a date), or null. */
function seconds(value) {
  if (value == null || value === "") return null;
  const wait = /^\d+(\.\d+)?$/.test(String(value).trim()) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(wait) ? Math.max(0, Math.ceil(wait)) : null;
}

function translated(error, signal) {
  if (signal.aborted) return new DOMException("stopped by the person", "AbortError");
  if (error instanceof AskError) return error;
  if (error.name === "AbortError") return new AskError("silent");
  if (error instanceof SyntaxError) return new AskError("server");
  return new AskError(navigator.onLine ? "network" : "offline");
}
