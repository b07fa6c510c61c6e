// What uploads ask of the service: the part of the client that they use. Never names the client, which loads them.

import type { Uploadable, UploadFilesOptions } from "../form.js";
import type { FilePatch, OpenUpload, StorageInfo, Uploaded, UserFile } from "../model.js";
import type { RequestOptions, Transport } from "../transport.js";

/** A client, as far as uploads need one. */
export interface UploadService {
  readonly transport: Transport;
  getStorageUsage(options?: RequestOptions): Promise<StorageInfo>;
  listUploads(): Promise<OpenUpload[]>;
  discardUpload(id: string): Promise<void>;
  getFile(id: string): Promise<UserFile>;
  patchFile(id: string, patch: FilePatch): Promise<UserFile>;
  deleteFile(file: UserFile, options: { permanent: boolean }): Promise<UserFile>;
  adminUploadFiles(
    targetUserId: string,
    files: Iterable<Uploadable>,
    options: UploadFilesOptions,
  ): Promise<Uploaded>;
}
