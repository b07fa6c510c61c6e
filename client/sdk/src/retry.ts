// When a request may be sent again, and after how long.

import { JamError } from "./errors.js";

const FIRST_DELAY_MS = 300;
const LONGEST_DELAY_MS = 30_000;

/** Methods whose repetition changes nothing that the first did not. */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"]);

/** Refused before anything was done, whatever the method. */
const REFUSED_UNDONE = new Set(["too_many_requests", "draining"]);

const REPETITIONS_MAX = 3;

/** Makes a request until it succeeds or its failure is not worth repeating; once more when its token is refused. */
export async function repeated<Answer>(
  method: string,
  signal: AbortSignal | undefined,
  attempt: (freshToken: boolean) => Promise<Answer>,
): Promise<Answer> {
  let refreshed = false;
  for (let failures = 0; ; ) {
    try {
      return await attempt(refreshed);
    } catch (error) {
      if (!(error instanceof JamError)) throw error;
      if (error.status === 401 && !refreshed) {
        refreshed = true;
      } else if (failures < REPETITIONS_MAX && mayRepeat(method, error)) {
        await sleep(delayBefore(failures, error), signal);
        failures += 1;
      } else {
        throw error;
      }
    }
  }
}

/** Whether a failed request is worth repeating, and safe to. */
function mayRepeat(method: string, error: JamError): boolean {
  if (REFUSED_UNDONE.has(error.code)) return true;
  if (error.status === 0) return method === "GET" || method === "HEAD" || method === "OPTIONS";
  const passing = [502, 503, 504, 507].includes(error.status);
  return passing && IDEMPOTENT.has(method);
}

/** Milliseconds before the attempt after `failures` failures: what the service asks for, else doubling with jitter. */
export function delayBefore(failures: number, error: JamError): number {
  if (error.retryAfter !== null) return Math.min(error.retryAfter * 1000, LONGEST_DELAY_MS);
  const longest = Math.min(FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS);
  return longest * (0.5 + Math.random() / 2);
}

/** Resolves after a time; rejects at once when the signal fires. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
