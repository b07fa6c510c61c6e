// Where a user adds files: dropped, pasted or chosen, described, and sent.

"use client";

import { formatBytes, type UploadMetadata, type UserFile } from "@jam-storage/client";
import { FolderUp, Plus, Upload, X } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { useDropzone } from "react-dropzone";
import type { FileError } from "./file-error.js";
import { choose, type FileRules } from "./file-rules.js";
import { MetadataFields } from "./metadata-fields.js";
import { useStorageContext } from "./provider.js";
import { watchUploads } from "./watch-uploads.js";

export interface FileUploaderProps extends FileRules {
  /** Said about every file, beneath what a person enters. */
  metadata?: UploadMetadata;
  /** Another user's storage, for administrators. */
  targetUserId?: string | undefined;
  /** Sends at once what is chosen, without asking for anything. */
  immediate?: boolean;
  /** The files are in the queue; `UploadList` shows it. */
  onStart?: (count: number) => void;
  /** Files are stored: called once all that were sent together are settled, and again for those that a retry stored. */
  onUploaded?: (files: UserFile[]) => void;
  /** Files that are not: refused by `accept`, `maxFiles` or `maxSize` before they are sent, or failed. */
  onError?: (errors: FileError[]) => void;
  /** Takes no files. */
  disabled?: boolean;
}

interface Staged {
  readonly key: number;
  readonly file: File;
  readonly metadata: UploadMetadata;
}

let nextKey = 1;

/** More refusals than this are summed up. */
const REFUSED_MAX = 5;

/** A drop zone, and the list of what is about to be sent with fields for all files and for each. */
export function FileUploader(props: FileUploaderProps) {
  const { metadata = {}, targetUserId, immediate = false, disabled = false, onStart } = props;
  const { uploads } = useStorageContext();
  const [staged, setStaged] = useState<readonly Staged[]>([]);
  const [shared, setShared] = useState<UploadMetadata>({});
  const [refused, setRefused] = useState<readonly FileError[]>([]);
  // Uploads outlive a rendering: the listeners of the latest one are called.
  const listeners = useRef(props);
  useEffect(() => {
    listeners.current = props;
  });

  const send = (files: readonly Staged[]) => {
    const added = [...byMetadata(files)].map((group) => {
      const said = { ...metadata, ...shared, ...group.metadata };
      return uploads.add(group.files, { metadata: said, targetUserId });
    });
    watchUploads(uploads, added, {
      onUploaded: (stored) => listeners.current.onUploaded?.(stored),
      onError: (errors) => listeners.current.onError?.(errors),
    });
    setStaged([]);
    onStart?.(files.length);
  };
  const onFiles = (files: File[]) => {
    if (disabled || files.length === 0) return;
    const { taken, errors } = choose(files, staged.length, props);
    setRefused(errors);
    if (errors.length > 0) props.onError?.(errors);
    const added = taken.map((file) => ({ key: nextKey++, file, metadata: {} }));
    if (added.length === 0) return;
    if (immediate) send(added);
    else setStaged((before) => [...before, ...added]);
  };
  const total = staged.reduce((sum, { file }) => sum + file.size, 0);

  return (
    <div className="jam-uploader">
      <DropZone
        onFiles={onFiles}
        isSmall={staged.length > 0}
        accept={props.accept}
        isSingle={props.maxFiles === 1}
        disabled={disabled}
      />
      {refused.length > 0 && (
        <ul role="alert" className="jam-uploader-refused">
          {refused.slice(0, REFUSED_MAX).map(({ name, error }) => (
            <li key={name}>
              {name}: {error.message}
            </li>
          ))}
          {refused.length > REFUSED_MAX && <li>and {refused.length - REFUSED_MAX} more</li>}
        </ul>
      )}
      {staged.length > 0 && (
        <>
          <fieldset className="jam-uploader-shared">
            <legend>For all files</legend>
            <MetadataFields value={shared} onChange={setShared} />
          </fieldset>
          <ul className="jam-uploader-files" aria-label="Files to upload">
            {staged.map((item) => (
              <StagedFile
                key={item.key}
                item={item}
                onChange={(changed) => setStaged(staged.map((other) => (other === item ? changed : other)))}
                onRemove={() => setStaged(staged.filter((other) => other !== item))}
              />
            ))}
          </ul>
          <div className="jam-uploader-foot">
            <button type="button" className="jam-button" onClick={() => setStaged([])}>
              Clear
            </button>
            <button
              type="button"
              className="jam-button"
              data-kind="primary"
              disabled={disabled}
              onClick={() => send(staged)}
            >
              Upload {staged.length === 1 ? "1 file" : `${staged.length} files`} · {formatBytes(total)}
            </button>
          </div>
        </>
      )}
    </div>
  );
}

interface DropZoneProps {
  onFiles: (files: File[]) => void;
  isSmall: boolean;
  accept: string | undefined;
  isSingle: boolean;
  disabled: boolean;
}

function DropZone({ onFiles, isSmall, accept, isSingle, disabled }: DropZoneProps) {
  const folder = useRef<HTMLInputElement>(null);
  const { getRootProps, getInputProps, isDragActive, open } = useDropzone({
    onDrop: (files) => onFiles(files),
    noClick: true,
    noKeyboard: true,
    noPaste: true,
    disabled,
  });
  useEffect(() => {
    // On the document: people do not put the focus into a drop zone before they paste.
    const onPaste = (event: ClipboardEvent) => onFiles([...(event.clipboardData?.files ?? [])]);
    document.addEventListener("paste", onPaste);
    return () => document.removeEventListener("paste", onPaste);
  }, [onFiles]);
  return (
    <div
      {...getRootProps({ className: "jam-drop", role: "group", "aria-label": "Add files", tabIndex: -1 })}
      data-active={isDragActive || undefined}
      data-small={isSmall || undefined}
      data-disabled={disabled || undefined}
      aria-disabled={disabled}
    >
      {/* Only for the browser's dialog: what is dropped or pasted is looked at by the same rules. */}
      <input {...getInputProps({ "aria-label": "Files to upload", accept, multiple: !isSingle })} />
      {/* React does not know the attribute that makes a folder of it. */}
      <input
        ref={(input) => {
          folder.current = input;
          input?.setAttribute("webkitdirectory", "");
        }}
        type="file"
        hidden
        disabled={disabled}
        aria-label="Folder to upload"
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
      <Upload className="jam-drop-icon" aria-hidden size={28} strokeWidth={1.5} />
      <p>
        <strong>{isDragActive ? "Let go to add them" : "Drop files or folders here"}</strong>
        <span>or paste them, or choose:</span>
      </p>
      <div className="jam-drop-buttons">
        <button type="button" className="jam-button" disabled={disabled} onClick={open}>
          <Plus aria-hidden size={16} /> Files
        </button>
        {!isSingle && (
          <button
            type="button"
            className="jam-button"
            disabled={disabled}
            onClick={() => folder.current?.click()}
          >
            <FolderUp aria-hidden size={16} /> Folder
          </button>
        )}
      </div>
    </div>
  );
}

interface StagedFileProps {
  item: Staged;
  onChange: (item: Staged) => void;
  onRemove: () => void;
}

function StagedFile({ item, onChange, onRemove }: StagedFileProps) {
  const [isOpen, setOpen] = useState(false);
  const fields = useId();
  const { name, size } = item.file;
  return (
    <li className="jam-staged">
      <div className="jam-staged-line">
        <span className="jam-staged-name" title={name}>
          {name}
        </span>
        <span className="jam-staged-size">{formatBytes(size)}</span>
        <button
          type="button"
          className="jam-link"
          aria-expanded={isOpen}
          aria-controls={fields}
          onClick={() => setOpen(!isOpen)}
        >
          Details<span className="jam-hidden"> of {name}</span>
        </button>
        <button type="button" className="jam-icon-button" aria-label={`Remove ${name}`} onClick={onRemove}>
          <X aria-hidden size={16} />
        </button>
      </div>
      <div id={fields} hidden={!isOpen}>
        {isOpen && (
          <MetadataFields value={item.metadata} onChange={(metadata) => onChange({ ...item, metadata })} />
        )}
      </div>
    </li>
  );
}

/** Files about which the same is said travel as one addition. */
function byMetadata(staged: readonly Staged[]) {
  const groups = new Map<string, { metadata: UploadMetadata; files: File[] }>();
  for (const { file, metadata } of staged) {
    const key = JSON.stringify(metadata);
    const group = groups.get(key) ?? { metadata, files: [] };
    group.files.push(file);
    groups.set(key, group);
  }
  return groups.values();
}
