// The opened file among its neighbours, with what can be done to it.

import type { UserFile } from "@jam-storage/client";
import { MediaPreview, useFileActions, useStorageContext } from "@jam-storage/react";
import { Download, Info, RotateCcw, Star, Trash2 } from "lucide-react";
import { useState } from "react";
import { useNotify } from "../toast.js";
import { Details } from "./details.js";

interface PreviewProps {
  files: readonly UserFile[];
  openId: string | null;
  onOpen: (id: string | null) => void;
  isOwn: boolean;
}

export function Preview({ files, openId, onOpen, isOwn }: PreviewProps) {
  const { refresh } = useFileActions();
  const [showsDetails, setShowsDetails] = useState(() => matchMedia("(min-width: 861px)").matches);
  const index = files.findIndex((file) => file.id === openId);
  const file = files[index];
  if (file === undefined) return null;
  const step = (to: number) => {
    const neighbour = files[index + to];
    return neighbour && (() => onOpen(neighbour.id));
  };
  return (
    <MediaPreview
      file={file}
      onClose={() => onOpen(null)}
      onPrevious={step(-1)}
      onNext={step(1)}
      onStale={() => void refresh(file).catch(() => {})}
      actions={
        <Actions
          file={file}
          isOwn={isOwn}
          onGone={() => onOpen(files[index + 1]?.id ?? files[index - 1]?.id ?? null)}
          onDetails={() => setShowsDetails(!showsDetails)}
          showsDetails={showsDetails}
        />
      }
    >
      {showsDetails && <Details key={file.id} file={file} isOwn={isOwn && file.deletedAt === null} />}
    </MediaPreview>
  );
}

interface ActionsProps {
  file: UserFile;
  isOwn: boolean;
  onGone: () => void;
  onDetails: () => void;
  showsDetails: boolean;
}

function Actions({ file, isOwn, onGone, onDetails, showsDetails }: ActionsProps) {
  const actions = useFileActions();
  const { client } = useStorageContext();
  const notify = useNotify();
  const isTrashed = file.deletedAt !== null;
  const close = (done: Promise<void>, text: string, undo?: () => Promise<void>) => {
    onGone();
    const action = undo && { label: "Undo", run: () => void undo().catch(notify.fail) };
    done.then(() => notify.say(text, action), notify.fail);
  };
  return (
    <>
      {isOwn && !isTrashed && (
        <>
          <button
            type="button"
            className="jam-icon-button"
            aria-label="Favourite"
            aria-pressed={file.isFavorite}
            onClick={() => void actions.setFavorite(file, !file.isFavorite).catch(notify.fail)}
          >
            <Star
              aria-hidden
              size={20}
              fill={file.isFavorite ? "var(--jam-star)" : "none"}
              color={file.isFavorite ? "var(--jam-star)" : "currentColor"}
            />
          </button>
          <a className="jam-icon-button" aria-label="Download" href={client.getDownloadUrl(file)} download>
            <Download aria-hidden size={20} />
          </a>
          <button
            type="button"
            className="jam-icon-button"
            aria-label="Delete"
            onClick={() =>
              close(actions.trash(file), `${file.originalName} is in the trash.`, () => actions.restore(file))
            }
          >
            <Trash2 aria-hidden size={20} />
          </button>
        </>
      )}
      {isOwn && isTrashed && (
        <button
          type="button"
          className="jam-button"
          onClick={() => close(actions.restore(file), `${file.originalName} is back in the library.`)}
        >
          <RotateCcw aria-hidden size={16} /> Restore
        </button>
      )}
      <button
        type="button"
        className="jam-icon-button"
        aria-label="Details"
        aria-pressed={showsDetails}
        onClick={onDetails}
      >
        <Info aria-hidden size={20} />
      </button>
    </>
  );
}
