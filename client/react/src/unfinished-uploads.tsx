// What an earlier visit left half-way: its files can be chosen again, or it is given up.

"use client";

import { formatBytes, type JamError } from "@jam-storage/client";
import { isSameFile, markOf, type UnfinishedUpload } from "@jam-storage/client/upload";
import { Trash2 } from "lucide-react";
import { useRef, useState } from "react";
import { useUploads } from "./use-storage.js";

/** Uploads that wait for their files; nothing when there are none. */
export function UnfinishedUploads() {
  const { unfinished, queue } = useUploads();
  const input = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState<string | null>(null);
  if (unfinished.length === 0) return null;

  const goOn = (files: File[]) => {
    const awaited = files.filter((file) => unfinished.some((upload) => isSameFile(upload, markOf(file))));
    const others = files.length - awaited.length;
    setProblem(others > 0 ? notAwaited(others) : null);
    void queue.add(awaited);
  };
  const discard = (id?: string) => {
    setProblem(null);
    queue.discard(id).catch((error: JamError) => setProblem(error.message));
  };

  return (
    <section className="jam-unfinished" aria-label="Unfinished uploads">
      <p>
        <strong>
          {unfinished.length === 1 ? "1 unfinished upload" : `${unfinished.length} unfinished uploads`}
        </strong>
        <span>
          Choose the same {unfinished.length === 1 ? "file" : "files"} again to continue, or discard.
        </span>
      </p>
      {problem !== null && (
        <p role="alert" className="jam-unfinished-problem">
          {problem}
        </p>
      )}
      <ul>
        {unfinished.map((upload) => (
          <Row key={upload.id} upload={upload} onDiscard={() => discard(upload.id)} />
        ))}
      </ul>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="Files of the unfinished uploads"
        onChange={(event) => {
          goOn([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
      <div className="jam-unfinished-foot">
        <button type="button" className="jam-button" onClick={() => discard()}>
          Discard {unfinished.length === 1 ? "" : "all"}
        </button>
        <button
          type="button"
          className="jam-button"
          data-kind="primary"
          onClick={() => input.current?.click()}
        >
          Choose {unfinished.length === 1 ? "the file" : "the files"}
        </button>
      </div>
    </section>
  );
}

function Row({ upload, onDiscard }: { upload: UnfinishedUpload; onDiscard: () => void }) {
  const { name, size, sent } = upload;
  const percent = size === 0 ? 0 : Math.floor((100 * sent) / size);
  return (
    <li>
      <span className="jam-upload-name" title={name}>
        {name}
      </span>
      <span className="jam-upload-state">
        {percent} % of {formatBytes(size)}
      </span>
      <button
        type="button"
        className="jam-icon-button"
        aria-label={`Discard ${name}`}
        title={`Discard ${name}`}
        onClick={onDiscard}
      >
        <Trash2 aria-hidden size={16} />
      </button>
    </li>
  );
}

function notAwaited(count: number): string {
  const files = count === 1 ? "A file that you chose is" : `${count} files that you chose are`;
  return `${files} none of these, or changed since.`;
}
