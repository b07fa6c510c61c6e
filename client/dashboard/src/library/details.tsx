// Details of the opened file; the user's own metadata is editable in place.

import type { FilePatch, UserFile } from "@jam-storage/client";
import {
  ASSET_CATEGORIES,
  AUDIO_CATEGORIES,
  Choice,
  FILE_TYPES,
  Field,
  TagsInput,
  useFileActions,
} from "@jam-storage/react";
import { useState } from "react";
import { useNotify } from "../toast.js";

export function Details({ file, isOwn }: { file: UserFile; isOwn: boolean }) {
  return (
    <>
      {isOwn && <Editable file={file} />}
      <h3 className="details-head">Facts</h3>
      <dl className="facts">
        {factsOf(file).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function Editable({ file }: { file: UserFile }) {
  const actions = useFileActions();
  const notify = useNotify();
  const saved = (change: Promise<unknown>) =>
    change.then(
      () => true,
      (error: unknown) => {
        notify.fail(error);
        return false;
      },
    );
  const patch = (change: FilePatch) => saved(actions.patch(file, change));
  return (
    <div className="stack">
      <Field label="Name">
        {(id) => (
          <Text
            id={id}
            value={file.originalName}
            isRequired
            onChange={(originalName) => patch({ originalName })}
          />
        )}
      </Field>
      <Field label="Tags">
        {(id) => (
          <TagsInput id={id} tags={file.tags} onChange={(tags) => void saved(actions.setTags(file, tags))} />
        )}
      </Field>
      <Field label="Package">
        {(id) => (
          <Text
            id={id}
            value={file.packageName ?? ""}
            onChange={(name) => patch({ packageName: name || null })}
          />
        )}
      </Field>
      <Field label="Category">
        {(id) => (
          <Choice
            id={id}
            none="None"
            choices={ASSET_CATEGORIES}
            value={file.assetCategory}
            onChange={(assetCategory) => void patch({ assetCategory })}
          />
        )}
      </Field>
      {file.fileType === "audio" && (
        <Field label="Audio category">
          {(id) => (
            <Choice
              id={id}
              none="None"
              choices={AUDIO_CATEGORIES}
              value={file.audioCategory}
              onChange={(audioCategory) => void patch({ audioCategory })}
            />
          )}
        </Field>
      )}
      <Field label={file.fileType === "audio" ? "Style" : "Location"}>
        {(id) =>
          file.fileType === "audio" ? (
            <Text
              id={id}
              value={file.audioStyle ?? ""}
              onChange={(text) => patch({ audioStyle: text || null })}
            />
          ) : (
            <Text
              id={id}
              value={file.sceneLocation ?? ""}
              onChange={(text) => patch({ sceneLocation: text || null })}
            />
          )
        }
      </Field>
    </div>
  );
}

interface TextProps {
  id: string;
  value: string;
  isRequired?: boolean;
  /** Resolves with whether it was saved. */
  onChange: (value: string) => Promise<boolean>;
}

/** A field that saves when it is left or Enter is pressed; Escape and a refusal take the change back. */
function Text({ id, value, isRequired = false, onChange }: TextProps) {
  const [text, setText] = useState(value);
  const save = () => {
    const said = text.trim();
    if (said === value) return;
    if (said === "" && isRequired) return setText(value);
    void onChange(said).then((isSaved) => {
      if (!isSaved) setText(value);
    });
  };
  return (
    <input
      id={id}
      className="jam-input"
      value={text}
      onChange={(event) => setText(event.target.value)}
      onBlur={save}
      onKeyDown={(event) => {
        if (event.key === "Enter") save();
        if (event.key === "Escape" && text !== value) {
          // Escape would also close the preview.
          event.preventDefault();
          setText(value);
        }
      }}
    />
  );
}

function factsOf(file: UserFile): [string, string][] {
  const day = new Date(file.uploadDate).toLocaleString(undefined, {
    dateStyle: "medium",
    timeStyle: "short",
  });
  const facts: [string, string | null][] = [
    ["Type", `${FILE_TYPES[file.fileType]} · ${file.mimeType}`],
    ["Size", file.fileSizeFormatted],
    ["Dimensions", file.resolution?.replace("x", " × ") ?? null],
    ["Length", file.duration],
    ["Uploaded", day],
    ["SHA-256", file.sha256],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== null);
}
