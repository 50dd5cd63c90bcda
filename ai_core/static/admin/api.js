// Calls the API with the operator's key.

import { currentKey } from "../shared/key.js";

/** What the server refused, in its own words; `status` 0 where it did not answer at all. */
export class ApiError extends Error {
  constructor(status, message, requestId = null) {
    super(message);
    this.status = status;
    this.requestId = requestId;
  }
}

/** The JSON that `path` answers, null for none. Throws ApiError. */
export async function call(method, path, body) {
  const response = await send(method, path, { body, accept: "application/json" });
  return response.status === 204 ? null : response.json();
}

/** The text that `path` answers. Throws ApiError. */
export async function textOf(path) {
  return (await send("GET", path, { accept: "text/plain" })).text();
}

async function send(method, path, { body, accept }) {
  const headers = { "X-API-Key": currentKey() ?? "", Accept: accept };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const options = { method, headers, credentials: "omit", cache: "no-store", redirect: "error" };
  let response;
  try {
    response = await fetch(path, { ...options, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, "");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

async function refusal(response) {
  try {
    const { message, errors, request_id: id } = await response.json();
    return new ApiError(response.status, [message, ...details(errors)].join(" "), id);
  } catch {
    return new ApiError(response.status, `HTTP ${response.status}`, response.headers.get("X-Request-ID"));
  }
}

function details(errors) {
  return Object.entries(errors ?? {}).map(([field, problems]) => `${field}: ${[problems].flat().join(" ")}`);
}
