// What can go wrong, by a stable code. Never shows a message that was not written for a person.

/** Every code of docs/errors.md, those of resumable uploads among them. */
export const ERROR_CODES = [
  "invalid_parameter",
  "invalid_body",
  "no_files",
  "too_many_files",
  "incomplete_body",
  "not_streamable",
  "unauthenticated",
  "session_pending",
  "admin_only",
  "bad_signature",
  "not_found",
  "thumbnail_unavailable",
  "method_not_allowed",
  "request_timeout",
  "conflict",
  "precondition_failed",
  "range_not_satisfiable",
  "offset_mismatch",
  "gone",
  "upload_locked",
  "joined_upload",
  "checksum_mismatch",
  "upload_too_long",
  "too_many_uploads",
  "unsupported_version",
  "file_too_large",
  "body_too_large",
  "answer_too_large",
  "quota_exceeded",
  "too_many_stored_files",
  "type_mismatch",
  "type_refused",
  "unsupported_content_type",
  "unsupported_encoding",
  "too_many_requests",
  "headers_too_large",
  "internal",
  "unavailable",
  "too_slow",
  "draining",
  "volume_full",
] as const;

/**
 * A code of the service, `network_error` (no answer came), `invalid_answer` (something else answered) or
 * `outcome_unknown` (no answer came to something that may have been done).
 */
export type JamErrorCode =
  | (typeof ERROR_CODES)[number]
  | "network_error"
  | "invalid_answer"
  | "outcome_unknown"
  | (string & Record<never, never>);

interface JamErrorFields {
  code: JamErrorCode;
  /** HTTP status; 0 when no answer came. */
  status?: number;
  requestId?: string | null;
  /** Seconds after which it is worth trying again. */
  retryAfter?: number | null;
  /** The numbers that explain it, such as `maxBytes`. */
  details?: Readonly<Record<string, unknown>>;
  cause?: unknown;
}

/** A request that failed. `message` is a sentence for a person, `code` is for a program. */
export class JamError extends Error {
  override readonly name = "JamError";
  readonly code: JamErrorCode;
  readonly status: number;
  readonly requestId: string | null;
  readonly retryAfter: number | null;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, fields: JamErrorFields) {
    super(message, { cause: fields.cause });
    this.code = fields.code;
    this.status = fields.status ?? 0;
    this.requestId = fields.requestId ?? null;
    this.retryAfter = fields.retryAfter ?? null;
    this.details = fields.details ?? {};
  }
}

/** Whether a caught value is a `JamError`, with this code if one is given. */
export function isJamError(value: unknown, code?: JamErrorCode): value is JamError {
  return value instanceof JamError && (code === undefined || value.code === code);
}

/** Whether a caught value says that the caller's `AbortSignal` ended the request. */
export function isAbort(value: unknown): boolean {
  return value instanceof DOMException && value.name === "AbortError";
}

/** A request that got no answer. A browser does not tell a refused origin from a broken connection. */
export function networkError(cause?: unknown, url = ""): JamError {
  const origin = foreignOrigin(url);
  const advice =
    origin === null
      ? "Check the connection."
      : `Check the connection; if it works, the service may not allow this page's origin, ${origin}.`;
  return new JamError(`The service cannot be reached. ${advice}`, { code: "network_error", cause });
}

/** The page's origin if it is not the URL's and the network is there; null outside browsers. */
function foreignOrigin(url: string): string | null {
  const page = globalThis.document === undefined ? undefined : globalThis.location;
  if (page === undefined || url === "" || navigator.onLine === false) return null;
  return new URL(url, page.href).origin === page.origin ? null : page.origin;
}

/** Reads a failure's body and headers. */
export function answeredError(
  status: number,
  body: string,
  header: (name: string) => string | null,
): JamError {
  const problem = parseProblem(body);
  const retryAfter = Number(header("Retry-After") ?? Number.NaN);
  return new JamError(problem?.error ?? `The service answered with status ${status}.`, {
    code: problem?.code ?? "invalid_answer",
    status,
    requestId: problem?.requestId ?? header("X-Request-Id"),
    retryAfter: Number.isFinite(retryAfter) ? retryAfter : null,
    details: problem?.details ?? {},
  });
}

interface Problem {
  error: string;
  code: string;
  requestId: string | null;
  details: Record<string, unknown>;
}

function parseProblem(body: string): Problem | null {
  try {
    const { success, error, code, requestId, ...details } = JSON.parse(body) as Record<string, unknown>;
    if (success !== false || typeof error !== "string" || typeof code !== "string") return null;
    return { error, code, requestId: typeof requestId === "string" ? requestId : null, details };
  } catch {
    return null;
  }
}
