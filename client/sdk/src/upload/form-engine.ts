// One file in one multipart request: for services without resumable uploads, and for other users' storage.

import type { JamClient } from "../client.js";
import { JamError } from "../errors.js";
import { partsOf } from "../form.js";
import type { Engine } from "./engine.js";

/** Sends by `POST /api/files/upload`; an attempt that fails starts from zero. */
export function formEngine(client: JamClient): Engine {
  return async ({ source, metadata, targetUserId, signal, onProgress }) => {
    const { size } = partsOf(source).data;
    const options = {
      metadata,
      signal,
      // The form is a little longer than the file.
      onProgress: (sent: number) => onProgress(Math.min(sent, size)),
    };
    const { files, errors } =
      targetUserId === null
        ? await client.uploadFiles([source], options)
        : await client.adminUploadFiles(targetUserId, [source], options);
    const [file] = files;
    if (file !== undefined) return file;
    const [refused] = errors ?? [];
    throw new JamError(refused?.error ?? "The file was not stored.", {
      code: refused?.code ?? "invalid_answer",
    });
  };
}
