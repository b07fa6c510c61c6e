// `@jam-storage/client`: what a page imports. The upload engine is `@jam-storage/client/upload`.

export { type ClientOptions, createClient, type FileRef, type JamClient } from "./client.js";
export { ERROR_CODES, isAbort, isJamError, JamError, type JamErrorCode } from "./errors.js";
export type { Uploadable, UploadFilesOptions } from "./form.js";
export { formatBytes, formatDuration } from "./format.js";
export type * from "./model.js";
export type { GetToken } from "./token.js";
export type { RequestOptions } from "./transport.js";
export type { UploadOptions, UploadOutcome, UploadProgress } from "./upload/upload.js";
