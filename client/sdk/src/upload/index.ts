// `@jam-storage/client/upload`: the upload queue, for pages that show files on their way.

export type { UnfinishedUpload, UploadItem, UploadProgress, UploadState } from "./item.js";
export { isSettled } from "./item.js";
export { type FileMark, isSameFile, markOf } from "./memory.js";
export { type AddOptions, type QueueOptions, UploadQueue } from "./queue.js";
export { type UploadOptions, type UploadOutcome, upload } from "./upload.js";
