// Which files an uploader accepts, whether dropped, pasted or chosen.

"use client";

import { formatBytes, JamError } from "@jam-storage/client";
import type { FileError } from "./file-error.js";

/** What a page takes. The service has limits of its own beside these. */
export interface FileRules {
  /** As `accept` of `<input type="file">`: `image/*`, `.psd`, several with commas. */
  accept?: string;
  /** Files that are chosen at once, before they are sent. */
  maxFiles?: number;
  /** Bytes of one file. */
  maxSize?: number;
}

/** Splits files into accepted and refused ones. `before` of them were chosen earlier. */
export function choose(files: readonly File[], before: number, rules: FileRules) {
  const taken: File[] = [];
  const errors: FileError[] = [];
  for (const file of files) {
    const error = refusal(file, before + taken.length, rules);
    if (error === null) taken.push(file);
    else errors.push({ name: file.name, error });
  }
  return { taken, errors };
}

function refusal(file: File, before: number, { accept, maxFiles, maxSize }: FileRules): JamError | null {
  if (accept !== undefined && !accepts(accept, file)) {
    return new JamError("Files of this kind are not taken here.", { code: "type_refused" });
  }
  if (maxSize !== undefined && file.size > maxSize) {
    return new JamError(`The file is larger than the limit of ${formatBytes(maxSize)}.`, {
      code: "file_too_large",
      details: { maxBytes: maxSize },
    });
  }
  if (maxFiles !== undefined && before >= maxFiles) {
    const most = maxFiles === 1 ? "1 file" : `${maxFiles} files`;
    return new JamError(`At most ${most} can be sent at once.`, {
      code: "too_many_files",
      details: { maxFiles },
    });
  }
  return null;
}

/** Whether an `accept` names this file: by the end of its name, its type, or the part of its type before the slash. */
function accepts(accept: string, { name, type }: File): boolean {
  const entries = accept.split(",").map((entry) => entry.trim().toLowerCase());
  return entries.some((entry) => {
    if (entry.startsWith(".")) return name.toLowerCase().endsWith(entry);
    if (entry === "*/*" || entry === "*") return true;
    if (entry.endsWith("/*")) return type.toLowerCase().startsWith(entry.slice(0, -1));
    return entry !== "" && type.toLowerCase() === entry;
  });
}
