// Where files are brought to: dropped, pasted or chosen, described, and sent.

import { formatBytes, type UploadMetadata } from "@jam-storage/client";
import { FolderUp, Plus, Upload, X } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { useDropzone } from "react-dropzone";
import { MetadataFields } from "./metadata-fields.js";
import { useStorageContext } from "./provider.js";

export interface FileUploaderProps {
  /** Said about every file, beneath what a person enters. */
  metadata?: UploadMetadata;
  /** Another user's storage, for administrators. */
  targetUserId?: string | undefined;
  /** Sends at once what is chosen, without asking for anything. */
  immediate?: boolean;
  /** The files are in the queue; `UploadList` shows it. */
  onStart?: (count: number) => void;
}

interface Staged {
  readonly key: number;
  readonly file: File;
  readonly metadata: UploadMetadata;
}

let nextKey = 1;

/** A drop zone, and the list of what is about to be sent with fields for all files and for each. */
export function FileUploader({ metadata = {}, targetUserId, immediate = false, onStart }: FileUploaderProps) {
  const { uploads } = useStorageContext();
  const [staged, setStaged] = useState<readonly Staged[]>([]);
  const [shared, setShared] = useState<UploadMetadata>({});

  const send = (files: readonly Staged[]) => {
    for (const group of byMetadata(files)) {
      const said = { ...metadata, ...shared, ...group.metadata };
      void uploads.add(group.files, { metadata: said, targetUserId });
    }
    setStaged([]);
    onStart?.(files.length);
  };
  const onFiles = (files: File[]) => {
    const added = files.map((file) => ({ key: nextKey++, file, metadata: {} }));
    if (added.length === 0) return;
    if (immediate) send(added);
    else setStaged((before) => [...before, ...added]);
  };
  const total = staged.reduce((sum, { file }) => sum + file.size, 0);

  return (
    <div className="jam-uploader">
      <DropZone onFiles={onFiles} isSmall={staged.length > 0} />
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
            <button type="button" className="jam-button" data-kind="primary" onClick={() => send(staged)}>
              Upload {staged.length === 1 ? "1 file" : `${staged.length} files`} · {formatBytes(total)}
            </button>
          </div>
        </>
      )}
    </div>
  );
}

function DropZone({ onFiles, isSmall }: { onFiles: (files: File[]) => void; isSmall: boolean }) {
  const folder = useRef<HTMLInputElement>(null);
  const { getRootProps, getInputProps, isDragActive, open } = useDropzone({
    onDrop: (files) => onFiles(files),
    noClick: true,
    noKeyboard: true,
    noPaste: true,
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
    >
      <input {...getInputProps({ "aria-label": "Files to upload" })} />
      {/* React does not know the attribute that makes a folder of it. */}
      <input
        ref={(input) => {
          folder.current = input;
          input?.setAttribute("webkitdirectory", "");
        }}
        type="file"
        hidden
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
        <button type="button" className="jam-button" onClick={open}>
          <Plus aria-hidden size={16} /> Files
        </button>
        <button type="button" className="jam-button" onClick={() => folder.current?.click()}>
          <FolderUp aria-hidden size={16} /> Folder
        </button>
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
