// The one place that talks to the server. Addresses are relative, so that the page works behind a path prefix.

const TOKEN = "llm-monitor-token";

/** A request that got no usable answer. */
class ApiError extends Error {
  constructor(status, message, requestId = "") {
    super(message);
    this.status = status;
    this.requestId = requestId;
  }
}

/** Kept for this tab only, and nowhere else. */
export function setToken(token) {
  if (token) sessionStorage.setItem(TOKEN, token);
  else sessionStorage.removeItem(TOKEN);
}

export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

/** `parameters` with an empty or absent value are left out. */
export async function get(path, parameters = {}, { signal, accepts = [] } = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== "" && value != null) query.set(name, value);
  }
  const text = query.toString();
  const headers = { accept: "application/json" };
  if ((path.startsWith("api/") || path === "health") && hasToken()) headers.authorization = `Bearer ${sessionStorage.getItem(TOKEN)}`;
  let response;
  try {
    response = await fetch(`${path}${text ? `?${text}` : ""}`, { headers, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "The monitor does not answer. Is it still running?");
  }
  const requestId = response.headers.get("x-request-id") ?? "";
  // An answer of /health has its status too; one that could not be made is a problem.
  const isProblem = (response.headers.get("content-type") ?? "").startsWith("application/problem+json");
  if (response.ok || (accepts.includes(response.status) && !isProblem)) {
    try {
      return await response.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(response.status, "The answer is not JSON; something between this page and the monitor changed it.", requestId);
    }
  }
  throw new ApiError(response.status, await problem(response), requestId);
}

/** What a problem document (RFC 9457) says. */
async function problem(response) {
  const body = await response.json().catch(() => ({}));
  return body.detail ?? body.title ?? `The monitor answered ${response.status}.`;
}
