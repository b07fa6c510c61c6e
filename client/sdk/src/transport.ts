// One request: its token, its repetitions, its failure as a `JamError`. Never knows what a path means.

import { answeredError, isAbort, JamError, networkError } from "./errors.js";
import { repeated } from "./retry.js";
import type { GetToken } from "./token.js";

/** What every method takes. */
export interface RequestOptions {
  signal?: AbortSignal | undefined;
}

/** What a request consists of beside its method and path. */
export interface RequestInput extends RequestOptions {
  query?: Record<string, QueryValue>;
  json?: unknown;
  headers?: Record<string, string>;
}

type QueryValue = string | number | boolean | readonly string[] | undefined;

/** Sends a request with a token; the client's methods and the upload engine differ only in how. */
export interface Transport {
  /** Without a slash at the end; empty for the page's own origin. */
  readonly baseUrl: string;
  /** A token for one request, if there is a session. */
  token(skipCache: boolean): Promise<string | null>;
  /** Resolves with a response of status 2xx. */
  fetch(method: string, path: string, input?: RequestInput): Promise<Response>;
  /** Resolves with the JSON of such a response. */
  json<Answer>(method: string, path: string, input?: RequestInput): Promise<Answer>;
}

/** Makes the transport of a client. */
export function createTransport(baseUrl: string, getToken: GetToken): Transport {
  // The paths begin with `/api`: who writes it into the base means the same service.
  const base = baseUrl.replace(/\/+$/, "").replace(/\/api$/, "");
  const token = async (skipCache: boolean) => (await getToken({ skipCache })) ?? null;

  async function attempt(method: string, url: string, input: RequestInput, fresh: boolean) {
    const bearer = await token(fresh);
    const headers = new Headers(input.headers);
    if (bearer !== null) headers.set("Authorization", `Bearer ${bearer}`);
    if (input.json !== undefined) headers.set("Content-Type", "application/json");
    const init: RequestInit = { method, headers };
    if (input.json !== undefined) init.body = JSON.stringify(input.json);
    if (input.signal) init.signal = input.signal;
    const response = await fetch(url, init).catch((cause: unknown) => {
      throw isAbort(cause) || input.signal?.aborted ? cause : networkError(cause, url);
    });
    if (response.ok) return response;
    throw answeredError(response.status, await response.text(), (name) => response.headers.get(name));
  }

  function send(method: string, path: string, input: RequestInput = {}): Promise<Response> {
    const url = `${base}${path}${queryString(input.query)}`;
    return repeated(method, input.signal, (fresh) => attempt(method, url, input, fresh));
  }

  return {
    baseUrl: base,
    token,
    fetch: send,
    async json<Answer>(method: string, path: string, input?: RequestInput) {
      const response = await send(method, path, input);
      try {
        return (await response.json()) as Answer;
      } catch (cause) {
        if (isAbort(cause)) throw cause;
        throw new JamError("The service's answer is not complete.", {
          code: "invalid_answer",
          status: response.status,
          cause,
        });
      }
    },
  };
}

function queryString(query: Record<string, QueryValue> = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === "" || (Array.isArray(value) && value.length === 0)) continue;
    // Each entry for itself: a label may hold a comma.
    if (Array.isArray(value)) for (const entry of value) parameters.append(`${name}[]`, entry);
    else parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}
