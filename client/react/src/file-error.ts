// Why a file is not stored: refused before it was sent, or failed on its way.

"use client";

import type { JamError } from "@jam-storage/client";

/** A file that is not stored, and why. */
export interface FileError {
  name: string;
  error: JamError;
}
