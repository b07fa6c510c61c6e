// How long an upload waits for a network or a service that is away.

import { JamError } from "../errors.js";
import { delayBefore, sleep } from "../retry.js";

/** An upload that made no progress for this long is given up; a person may still retry it. */
const PATIENCE_MS = 10 * 60_000;

/** Answers that say "not now". 423: another request of this upload is still being ended; 460: bytes were damaged. */
const PASSING = new Set([423, 429, 460, 502, 503, 504, 507]);

/** Whether a failure is likely to pass by itself. */
export function worthWaiting(error: unknown, sinceProgressMs: number): error is JamError {
  if (!(error instanceof JamError) || sinceProgressMs > PATIENCE_MS) return false;
  return PASSING.has(error.status) || ["network_error", "offset_mismatch"].includes(error.code);
}

/** Resolves after a growing delay, or as soon as the browser is online again. */
export async function whenWorthTrying(failures: number, error: JamError, signal: AbortSignal): Promise<void> {
  const wake = new AbortController();
  const online = () => wake.abort();
  globalThis.addEventListener?.("online", online, { once: true });
  try {
    await sleep(delayBefore(failures, error), AbortSignal.any([signal, wake.signal]));
  } catch (reason) {
    if (signal.aborted) throw reason;
  } finally {
    globalThis.removeEventListener?.("online", online);
  }
}
