// The client: one method a use, named as the live front end names them, and the newer ones beside.

import { metadataTexts, sendForm, type Uploadable, type UploadFilesOptions } from "./form.js";
import type {
  BatchAction,
  BatchResult,
  Derivative,
  DerivativeKind,
  FieldList,
  FieldQuery,
  FileField,
  FilePatch,
  Health,
  OpenUpload,
  SignedUrl,
  SignedUrlRequest,
  Stats,
  StorageInfo,
  ThumbnailSize,
  Uploaded,
  UserFile,
  UserView,
} from "./model.js";
import { clerkToken, type GetToken } from "./token.js";
import { createTransport, type RequestInput, type RequestOptions, type Transport } from "./transport.js";
import { TUS, UPLOADS } from "./tus.js";
import type { UploadOptions, UploadOutcome } from "./upload/upload.js";

/** Where the service is and how to prove who asks. */
export interface ClientOptions {
  /** Such as `https://files.example.com`, with or without `/api`; empty for the page's own origin. */
  baseUrl?: string;
  /** Returns a session token. Without it, the one of `window.Clerk`. */
  getToken?: GetToken;
}

/** A file, or its id. */
export type FileRef = string | Pick<UserFile, "id">;

/** Files that one batch request may name. */
const BATCH_MAX = 500;

const idOf = (file: FileRef) => (typeof file === "string" ? file : file.id);
const pathOf = (file: FileRef, action = "") => `/api/files/${encodeURIComponent(idOf(file))}${action}`;

/** Makes a client. It keeps no state: make one for the page and use it everywhere. */
export function createClient({ baseUrl = "", getToken = clerkToken }: ClientOptions = {}) {
  const transport = createTransport(baseUrl, getToken);
  const client = {
    /** What requests go through; for code that adds to this client. */
    transport,
    ...storageMethods(transport),
    ...listingMethods(transport),
    ...contentMethods(transport),
    ...changeMethods(transport),
    ...uploadMethods(transport),
    ...adminMethods(transport),
    /** Uploads files resumably, several at a time. Loads the upload engine at its first call. */
    async upload(files: Iterable<Uploadable>, options: UploadOptions = {}): Promise<UploadOutcome> {
      const engine = await import("./upload/upload.js");
      return engine.upload(client, files, options);
    },
    /**
     * `upload` with the arguments and the answer of the live front end. Rejects when no file is stored.
     * A connection that breaks off leaves no file stored twice, also when the same file is brought again afterwards.
     */
    async uploadFiles(files: Iterable<Uploadable>, options: UploadFilesOptions = {}): Promise<Uploaded> {
      const engine = await import("./upload/upload.js");
      return engine.uploadFiles(client, files, options);
    },
  };
  return client;
}

/** A client of Jam Storage. */
export type JamClient = ReturnType<typeof createClient>;

type StorageAnswer = { storage: StorageInfo };
type FileAnswer = { file: UserFile };
type DerivativesAnswer = { derivatives: Derivative[] };

function storageMethods(transport: Transport) {
  return {
    /** What the caller stores and may store. */
    async getStorageUsage(options: RequestOptions = {}) {
      return (await transport.json<StorageAnswer>("GET", "/api/storage/usage", options)).storage;
    },
    /** Sets the caller's storage up; harmless when it exists. Only an administrator may choose the quota. */
    async initializeStorage(maxBytes?: number, options: RequestOptions = {}) {
      const json = maxBytes === undefined ? {} : { maxBytes };
      const answer = await transport.json<StorageAnswer>("POST", "/api/storage/initialize", {
        ...options,
        json,
      });
      return answer.storage;
    },
    /** How the service is; rejects when it is not healthy. */
    health(options: RequestOptions = {}) {
      return transport.json<Health>("GET", "/health", options);
    },
  };
}

function listingMethods(transport: Transport) {
  const list = <Field extends FileField>(path: string, query: FieldQuery<Field>, options: RequestOptions) =>
    transport.json<FieldList<Field>>("GET", path, { ...options, query: { ...query } });

  async function* pages<Field extends FileField>(
    path: string,
    query: FieldQuery<Field>,
    options: RequestOptions,
  ): AsyncGenerator<Pick<UserFile, Field>, void> {
    let cursor = query.cursor;
    do {
      const page: FieldList<Field> = await list(path, { limit: 200, ...query, cursor }, options);
      yield* page.files;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  return {
    /** One page of the caller's files; with `fields`, only those of each. */
    async getFiles<Field extends FileField = FileField>(
      query: FieldQuery<Field> = {},
      options: RequestOptions = {},
    ) {
      return (await list("/api/files", query, options)).files;
    },
    /** One page with its cursor, and its total if asked for. */
    listFiles<Field extends FileField = FileField>(
      query: FieldQuery<Field> = {},
      options: RequestOptions = {},
    ) {
      return list("/api/files", query, options);
    },
    /** Every file that the query finds, page by page as the loop goes on. */
    iterateFiles<Field extends FileField = FileField>(
      query: FieldQuery<Field> = {},
      options: RequestOptions = {},
    ) {
      return pages("/api/files", query, options);
    },
    /** One file. */
    async getFile(file: FileRef, options: RequestOptions = {}) {
      return (await transport.json<FileAnswer>("GET", pathOf(file), options)).file;
    },
    /** What is made from a file, and how far it is. */
    async getDerivatives(file: FileRef, options: RequestOptions = {}) {
      const answer = await transport.json<DerivativesAnswer>("GET", pathOf(file, "/derivatives"), options);
      return answer.derivatives;
    },
    /** A user's files, for administrators. */
    async getAdminUserFiles<Field extends FileField = FileField>(
      userId: string,
      query: FieldQuery<Field> = {},
      options: RequestOptions = {},
    ) {
      return (await list(`/api/admin/files/${encodeURIComponent(userId)}`, query, options)).files;
    },
    /** One page of a user's files with its cursor, for administrators. */
    listAdminUserFiles<Field extends FileField = FileField>(
      userId: string,
      query: FieldQuery<Field> = {},
      options: RequestOptions = {},
    ) {
      return list(`/api/admin/files/${encodeURIComponent(userId)}`, query, options);
    },
  };
}

function contentMethods(transport: Transport) {
  const url = (file: FileRef, action: string) => `${transport.baseUrl}${pathOf(file, action)}`;
  const blob = async (file: FileRef, action: string, input: RequestInput) =>
    (await transport.fetch("GET", pathOf(file, action), input)).blob();
  const signed = (file: FileRef, name: "thumbnailUrl" | "downloadUrl" | "streamUrl") =>
    typeof file === "object" ? ((file as Partial<UserFile>)[name] ?? null) : null;

  return {
    /** A thumbnail's URL: signed, for `<img>`, when given a file; otherwise one that needs the token. */
    getThumbnailUrl(file: FileRef, size?: ThumbnailSize) {
      const asked = size === undefined || size === "default";
      const ready = asked ? signed(file, "thumbnailUrl") : null;
      return ready ?? `${url(file, "/thumbnail")}${asked ? "" : `?size=${size}`}`;
    },
    /** A URL that saves the file: signed when given a file; otherwise one that needs the token. */
    getDownloadUrl: (file: FileRef) => signed(file, "downloadUrl") ?? url(file, "/download"),
    /** A URL that plays the file, or what was made of it for browsers: signed when given a file; otherwise one that needs the token. */
    getStreamUrl: (file: FileRef) => signed(file, "streamUrl") ?? url(file, "/stream"),
    /** A thumbnail's bytes. */
    getThumbnailBlob(file: FileRef, { size, ...options }: RequestOptions & { size?: ThumbnailSize } = {}) {
      const named = size === undefined || size === "default" ? {} : { query: { size } };
      return blob(file, "/thumbnail", { ...options, ...named });
    },
    /** A video's bytes, all of them: for long videos use a signed URL instead. */
    getVideoBlob: (file: FileRef, options: RequestOptions = {}) => blob(file, "/stream", options),
    /** An audio file's bytes. */
    getAudioBlob: (file: FileRef, options: RequestOptions = {}) => blob(file, "/stream", options),
    /** A file's bytes as a response, to stream them; `range` such as `bytes=0-1023`. */
    download(file: FileRef, { range, ...options }: RequestOptions & { range?: string } = {}) {
      const headers: Record<string, string> = range === undefined ? {} : { Range: range };
      return transport.fetch("GET", pathOf(file, "/download"), { ...options, headers });
    },
    /** A URL that works without a token. */
    createSignedUrl(file: FileRef, request: SignedUrlRequest, options: RequestOptions = {}) {
      return transport.json<SignedUrl>("POST", pathOf(file, "/url"), { ...options, json: request });
    },
    /** Ends every signed URL that was given out for a file. */
    async revokeSignedUrls(file: FileRef, options: RequestOptions = {}) {
      await transport.fetch("DELETE", pathOf(file, "/urls"), options);
    },
  };
}

function changeMethods(transport: Transport) {
  const change = async (method: string, path: string, input: RequestInput) =>
    (await transport.json<FileAnswer>(method, path, input)).file;

  return {
    /** Moves a file to the trash, or removes it for good. */
    async deleteFile(
      file: FileRef,
      { permanent, ...options }: RequestOptions & { permanent?: boolean } = {},
    ) {
      const input = { ...options, query: { permanent: permanent === true ? true : undefined } };
      return (await transport.json<{ deletedFile: UserFile }>("DELETE", pathOf(file), input)).deletedFile;
    },
    /** Takes a file out of the trash. */
    restoreFile: (file: FileRef, options: RequestOptions = {}) =>
      change("POST", pathOf(file, "/restore"), options),
    /** Makes a second file of the same bytes, which counts in full; without `originalName` under the same name. */
    copyFile(file: FileRef, { originalName, ...options }: RequestOptions & { originalName?: string } = {}) {
      return change("POST", pathOf(file, "/copy"), { ...options, json: { originalName } });
    },
    /** Removes everything in the trash for good; resolves with how many files that were. */
    async emptyTrash(options: RequestOptions = {}) {
      const answer = await transport.json<{ deletedCount: number }>("DELETE", "/api/files/trash", options);
      return answer.deletedCount;
    },
    /** Marks a file as a favourite or not; toggles the mark without `favorite`. */
    toggleFavorite: (file: FileRef, favorite?: boolean, options: RequestOptions = {}) =>
      change("POST", pathOf(file, "/favorite"), {
        ...options,
        json: favorite === undefined ? {} : { favorite },
      }),
    /** Replaces a file's tags. */
    updateFileTags: (file: FileRef, tags: readonly string[], options: RequestOptions = {}) =>
      change("PUT", pathOf(file, "/tags"), { ...options, json: { tags } }),
    /** Changes a file's metadata; null removes a field. With `ifMatch` only if nobody changed it since. */
    patchFile(
      file: FileRef,
      patch: FilePatch,
      { ifMatch, ...options }: RequestOptions & { ifMatch?: string } = {},
    ) {
      const headers: Record<string, string> = ifMatch === undefined ? {} : { "If-Match": ifMatch };
      return change("PATCH", pathOf(file), { ...options, json: patch, headers });
    },
    /** Tries again what could not be made from a file, or was cancelled. */
    async retryDerivative(file: FileRef, kind: DerivativeKind, options: RequestOptions = {}) {
      const path = pathOf(file, `/derivatives/${kind}/retry`);
      return (await transport.json<DerivativesAnswer>("POST", path, options)).derivatives;
    },
    /** Cancels or removes what is made of a video for browsers. */
    async cancelPlayback(file: FileRef, options: RequestOptions = {}) {
      const path = pathOf(file, "/derivatives/playback");
      return (await transport.json<DerivativesAnswer>("DELETE", path, options)).derivatives;
    },
    /** Does one thing to many files: one result each, in their order. */
    async batch(
      action: BatchAction,
      files: readonly FileRef[],
      {
        tags,
        packageName,
        ...options
      }: RequestOptions & { tags?: string[]; packageName?: string | null } = {},
    ) {
      const results: BatchResult[] = [];
      for (let start = 0; start < files.length; start += BATCH_MAX) {
        const ids = files.slice(start, start + BATCH_MAX).map(idOf);
        const json = { action, ids, tags, packageName };
        const answer = await transport.json<{ results: BatchResult[] }>("POST", "/api/files/batch", {
          ...options,
          json,
        });
        results.push(...answer.results);
      }
      return results;
    },
  };
}

function uploadMethods(transport: Transport) {
  return {
    /** The caller's resumable uploads that have not ended, the latest first: each holds room for its bytes. */
    async listUploads(options: RequestOptions = {}) {
      return (await transport.json<{ uploads: OpenUpload[] }>("GET", UPLOADS, options)).uploads;
    },
    /** Ends an upload by its id and gives its room back. A file that it has become stays. */
    async discardUpload(id: string, options: RequestOptions = {}) {
      const path = `${UPLOADS}/${encodeURIComponent(id)}`;
      await transport.fetch("DELETE", path, { ...options, headers: TUS });
    },
  };
}

function adminMethods(transport: Transport) {
  return {
    /** Everybody that an administrator can look at, with what they store. */
    async getClerkUsers(options: RequestOptions = {}) {
      return (await transport.json<{ users: UserView[] }>("GET", "/api/admin/users", options)).users;
    },
    /**
     * Uploads files into another user's storage, in one form. When it rejects with `network_error` some may be stored:
     * look before sending them again.
     */
    adminUploadFiles(
      targetUserId: string,
      files: Iterable<Uploadable>,
      { metadata = {}, ...options }: UploadFilesOptions = {},
    ): Promise<Uploaded> {
      const fields = { ...metadataTexts(metadata), targetUserId };
      return sendForm(transport, "/api/files/admin/upload", files, fields, options);
    },
    /** Changes a user's quota. */
    async setQuota(userId: string, maxBytes: number, options: RequestOptions = {}) {
      const input = { ...options, json: { userId, maxBytes } };
      return (await transport.json<StorageAnswer>("PUT", "/api/storage/quota", input)).storage;
    },
    /** Sums over all users. */
    async getStats(options: RequestOptions = {}) {
      return (await transport.json<{ stats: Stats }>("GET", "/api/storage/stats", options)).stats;
    },
  };
}
