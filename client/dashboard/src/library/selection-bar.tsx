// What can be done to the chosen files at once.

import type { BatchAction, UserFile } from "@jam-storage/client";
import { Field, TagsInput, useFileActions } from "@jam-storage/react";
import { FolderInput, type LucideIcon, RotateCcw, Star, Tag, Trash2, X } from "lucide-react";
import { type FormEvent, useState } from "react";
import { Dialog } from "../dialog.js";
import { usePlace } from "../place.js";
import { useNotify } from "../toast.js";

interface SelectionBarProps {
  files: readonly UserFile[];
  /** Files that are shown. */
  total: number;
  onAll: () => void;
  onClear: () => void;
}

type More = { tags?: string[]; packageName?: string | null };

export function SelectionBar({ files, total, onAll, onClear }: SelectionBarProps) {
  const [place] = usePlace();
  const [asking, setAsking] = useState<"tag" | "move" | null>(null);
  const run = useBatch(files, onClear);
  const inTrash = place.view === "trash";
  const areFavorites = files.every((file) => file.isFavorite);
  return (
    <section className="selection" aria-label="Selected files">
      <button type="button" className="jam-icon-button" aria-label="Clear selection" onClick={onClear}>
        <X aria-hidden size={18} />
      </button>
      <strong role="status">{files.length} selected</strong>
      {files.length < total && (
        <button type="button" className="jam-link selection-all" onClick={onAll}>
          Select all {total}
        </button>
      )}
      <span className="selection-actions">
        {inTrash ? (
          <>
            <Action icon={RotateCcw} label="Restore" onClick={() => run("restore", "restored")} />
            <Action
              icon={Trash2}
              label="Delete for good"
              onClick={() => purge(files.length, () => run("purge", "removed for good"))}
            />
          </>
        ) : (
          <>
            <Action
              icon={Star}
              label={areFavorites ? "Not a favourite" : "Favourite"}
              onClick={() =>
                areFavorites
                  ? run("unfavorite", "are no favourites any more")
                  : run("favorite", "are favourites")
              }
            />
            <Action icon={Tag} label="Tag" onClick={() => setAsking("tag")} />
            <Action icon={FolderInput} label="Move" onClick={() => setAsking("move")} />
            <Action icon={Trash2} label="Delete" onClick={() => run("delete", "moved to the trash")} />
          </>
        )}
      </span>
      {asking === "tag" && (
        <TagDialog onClose={() => setAsking(null)} onTags={(tags) => run("tag", "tagged", { tags })} />
      )}
      {asking === "move" && (
        <MoveDialog
          onClose={() => setAsking(null)}
          onMove={(packageName) => run("move", "moved", { packageName })}
        />
      )}
    </section>
  );
}

function useBatch(files: readonly UserFile[], onDone: () => void) {
  const { batch } = useFileActions();
  const notify = useNotify();
  return (action: BatchAction, done: string, more: More = {}) => {
    const chosen = [...files];
    batch(action, chosen, more).then((failed) => {
      const count = chosen.length - failed.length;
      const text = `${count === 1 ? "1 file" : `${count} files`} ${done}.`;
      const undo = { label: "Undo", run: () => void batch("restore", chosen).catch(notify.fail) };
      if (failed.length > 0)
        notify.fail(new Error(`${text} ${failed.length} could not be: ${failed[0]?.error}`));
      else notify.say(text, action === "delete" ? undo : undefined);
      onDone();
    }, notify.fail);
  };
}

function purge(count: number, run: () => void) {
  const files = count === 1 ? "this file" : `these ${count} files`;
  if (confirm(`Remove ${files} for good? This cannot be undone.`)) run();
}

function Action({ icon: Icon, label, onClick }: { icon: LucideIcon; label: string; onClick: () => void }) {
  return (
    <button type="button" className="selection-action" aria-label={label} title={label} onClick={onClick}>
      <Icon aria-hidden size={18} /> <span aria-hidden>{label}</span>
    </button>
  );
}

function TagDialog({ onClose, onTags }: { onClose: () => void; onTags: (tags: string[]) => void }) {
  const [tags, setTags] = useState<string[]>([]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onClose();
    if (tags.length > 0) onTags(tags);
  };
  return (
    <Dialog title="Add tags" onClose={onClose}>
      <form onSubmit={submit} className="stack">
        <Field label="Tags">{(id) => <TagsInput id={id} tags={tags} onChange={setTags} />}</Field>
        <button type="submit" className="jam-button" data-kind="primary">
          Add to the selected files
        </button>
      </form>
    </Dialog>
  );
}

function MoveDialog({ onClose, onMove }: { onClose: () => void; onMove: (name: string | null) => void }) {
  const [name, setName] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onClose();
    onMove(name.trim() === "" ? null : name.trim());
  };
  return (
    <Dialog title="Move to a package" onClose={onClose}>
      <form onSubmit={submit} className="stack">
        <Field label="Package">
          {(id) => (
            <input
              id={id}
              className="jam-input"
              value={name}
              placeholder="Without a name: out of every package"
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        <button type="submit" className="jam-button" data-kind="primary">
          Move the selected files
        </button>
      </form>
    </Dialog>
  );
}
