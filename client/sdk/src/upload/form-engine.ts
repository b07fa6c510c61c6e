// One file in one multipart request: for services without resumable uploads, and for other users' storage.

import { isJamError, JamError } from "../errors.js";
import { metadataTexts, partsOf, sendForm } from "../form.js";
import type { Engine, Sending } from "./engine.js";
import type { UploadService } from "./service.js";

/** Sends in a form; an attempt that fails starts from zero. */
export function formEngine(service: UploadService): Engine {
  return async (sending) => {
    const { files, errors } = await sendOne(service, sending).catch((error: unknown) => {
      if (!isJamError(error, "network_error")) throw error;
      // Not sent again without being asked: it would be there twice if only the answer was lost.
      throw new JamError("The connection broke off. Look whether the file is stored before you retry.", {
        code: "outcome_unknown",
        cause: error,
      });
    });
    const [file] = files;
    if (file !== undefined) return file;
    const [refused] = errors ?? [];
    throw new JamError(refused?.error ?? "The file was not stored.", {
      code: refused?.code ?? "invalid_answer",
    });
  };
}

function sendOne(service: UploadService, { source, metadata, targetUserId, signal, onProgress }: Sending) {
  const { size } = partsOf(source).data;
  const options = {
    signal,
    // The form is a little longer than the file.
    onProgress: (sent: number) => onProgress(Math.min(sent, size)),
  };
  return targetUserId === null
    ? sendForm(service.transport, "/api/files/upload", [source], metadataTexts(metadata), options)
    : service.adminUploadFiles(targetUserId, [source], { ...options, metadata });
}
