// Fields for what is said about a file: what most people need, in a row.

"use client";

import type { AssetCategory, AudioCategory, FileType, UploadMetadata } from "@jam-storage/client";
import { type ReactNode, useId, useState } from "react";

/** Choices with their words. */
export const FILE_TYPES: Record<FileType, string> = {
  video: "Video",
  image: "Image",
  audio: "Audio",
  scene: "Scene",
  project: "Project",
};
export const ASSET_CATEGORIES: Record<AssetCategory, string> = {
  character: "Character",
  object: "Object",
  scene: "Scene",
  greenscreen: "Green screen",
  background: "Background",
  full_video: "Full video",
  clip: "Clip",
  template: "Template",
  audio: "Audio",
};
export const AUDIO_CATEGORIES: Record<AudioCategory, string> = {
  jingle: "Jingle",
  commercial_song: "Commercial song",
  radio_song: "Radio song",
  voiceover: "Voice-over",
  sfx: "Sound effect",
  background_music: "Background music",
};

export interface MetadataFieldsProps {
  value: UploadMetadata;
  onChange: (value: UploadMetadata) => void;
}

/** Type, category, package and tags. */
export function MetadataFields({ value, onChange }: MetadataFieldsProps) {
  const set = (change: UploadMetadata) => onChange(withoutUnset({ ...value, ...change }));
  return (
    <div className="jam-fields">
      <Field label="Type">
        {(id) => (
          <Choice
            id={id}
            none="By content"
            choices={FILE_TYPES}
            value={value.fileType ?? null}
            onChange={(fileType) => set({ fileType })}
          />
        )}
      </Field>
      <Field label="Category">
        {(id) => (
          <Choice
            id={id}
            none="None"
            choices={ASSET_CATEGORIES}
            value={value.assetCategory ?? null}
            onChange={(assetCategory) => set({ assetCategory })}
          />
        )}
      </Field>
      <Field label="Package">
        {(id) => (
          <input
            id={id}
            className="jam-input"
            value={value.packageName ?? ""}
            onChange={(event) => set({ packageName: event.target.value || null })}
          />
        )}
      </Field>
      <Field label="Tags">
        {(id) => <TagsInput id={id} tags={value.tags ?? []} onChange={(tags) => set({ tags })} />}
      </Field>
    </div>
  );
}

/** A label over its field. */
export function Field({ label, children }: { label: string; children: (id: string) => ReactNode }) {
  const id = useId();
  return (
    <div className="jam-field">
      <label htmlFor={id}>{label}</label>
      {children(id)}
    </div>
  );
}

interface ChoiceProps<Value extends string> {
  id?: string;
  label?: string;
  /** The words for no choice. */
  none: string;
  choices: Record<Value, string>;
  value: Value | null;
  onChange: (value: Value | null) => void;
}

/** A select of known values. */
export function Choice<Value extends string>({
  id,
  label,
  none,
  choices,
  value,
  onChange,
}: ChoiceProps<Value>) {
  return (
    <select
      id={id}
      aria-label={label}
      className="jam-select"
      data-chosen={value !== null || undefined}
      value={value ?? ""}
      onChange={(event) => onChange((event.target.value || null) as Value | null)}
    >
      <option value="">{none}</option>
      {Object.entries<string>(choices).map(([name, words]) => (
        <option key={name} value={name}>
          {words}
        </option>
      ))}
    </select>
  );
}

interface TagsInputProps {
  id: string;
  tags: readonly string[];
  onChange: (tags: string[]) => void;
}

/** Tags as words; Enter or a comma ends one, Backspace in the empty field removes the last. */
export function TagsInput({ id, tags, onChange }: TagsInputProps) {
  const [text, setText] = useState("");
  const add = (words: string) => {
    const added = words.split(",").map((word) => word.trim());
    const all = [...new Set([...tags, ...added])].filter(Boolean);
    if (all.length !== tags.length) onChange(all);
    setText("");
  };
  return (
    <div className="jam-tags">
      {tags.map((tag) => (
        <button
          key={tag}
          type="button"
          className="jam-tag"
          aria-label={`Remove tag ${tag}`}
          onClick={() => onChange(tags.filter((other) => other !== tag))}
        >
          {tag} <span aria-hidden>×</span>
        </button>
      ))}
      <input
        id={id}
        value={text}
        placeholder={tags.length === 0 ? "Add a tag" : ""}
        maxLength={64}
        onChange={(event) =>
          event.target.value.includes(",") ? add(event.target.value) : setText(event.target.value)
        }
        onBlur={() => add(text)}
        onKeyDown={(event) => {
          if (event.key === "Enter" && text !== "") {
            event.preventDefault();
            add(text);
          } else if (event.key === "Backspace" && text === "" && tags.length > 0) {
            onChange(tags.slice(0, -1));
          }
        }}
      />
    </div>
  );
}

function withoutUnset(metadata: UploadMetadata): UploadMetadata {
  const said = Object.entries(metadata).filter(
    ([, value]) => value !== null && !(Array.isArray(value) && value.length === 0),
  );
  return Object.fromEntries(said) as UploadMetadata;
}
