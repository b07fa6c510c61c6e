// What a view shows when it has no files: why, and what to do about it.

import type { JamError } from "@jam-storage/client";
import { useStorageContext } from "@jam-storage/react";
import { CloudOff, Images, type LucideIcon, SearchX, Sparkles, Star, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import type { View } from "../place.js";
import { useNotify } from "../toast.js";

interface EmptyProps {
  view: View;
  isFiltered: boolean;
  onClear: () => void;
}

export function Empty({ view, isFiltered, onClear }: EmptyProps) {
  if (isFiltered) {
    return (
      <Notice icon={SearchX} title="Nothing matches">
        <p>No file has all of what you asked for.</p>
        <button type="button" className="jam-button" onClick={onClear}>
          Clear the filters
        </button>
      </Notice>
    );
  }
  switch (view) {
    case "favorites":
      return (
        <Notice icon={Star} title="No favourites yet">
          <p>Press the star on a file, and it is here from then on.</p>
        </Notice>
      );
    case "trash":
      return (
        <Notice icon={Trash2} title="The trash is empty">
          <p>What you delete waits here for a while before it is removed for good.</p>
        </Notice>
      );
    case "admin":
      return (
        <Notice icon={Images} title="No files">
          <p>This user has stored nothing yet.</p>
        </Notice>
      );
    case "library":
      return (
        <Notice icon={Images} title="A place for your media">
          <p>Drop images, videos and audio files anywhere on this page, or paste them.</p>
          <AddSamples />
        </Notice>
      );
  }
}

interface FailedProps {
  title: string;
  error: JamError;
  onRetry: () => void;
}

export function Failed({ title, error, onRetry }: FailedProps) {
  return (
    <Notice icon={CloudOff} title={title}>
      <p>{error.message}</p>
      <button type="button" className="jam-button" onClick={onRetry}>
        Try again
      </button>
      {error.requestId && <p className="notice-small">Request {error.requestId}</p>}
    </Notice>
  );
}

/** Cards that are about to be there. */
export function Loading() {
  return (
    <div className="loading" role="status" aria-label="Loading files">
      {Array.from({ length: 18 }, (_, index) => index).map((index) => (
        <div key={index} className="loading-card" />
      ))}
    </div>
  );
}

/** Only the local router makes sample media; elsewhere it says so. */
function AddSamples() {
  const { client, queries } = useStorageContext();
  const notify = useNotify();
  const [isBusy, setBusy] = useState(false);
  const add = async () => {
    setBusy(true);
    try {
      await client.transport.fetch("POST", "/local/samples");
      await queries.invalidateQueries();
      notify.say("Sample media is in your library.");
    } catch (error) {
      notify.fail(error);
    }
    setBusy(false);
  };
  return (
    <>
      <button type="button" className="jam-button" disabled={isBusy} onClick={() => void add()}>
        <Sparkles aria-hidden size={16} /> {isBusy ? "Creating images and videos …" : "Add sample media"}
      </button>
      {isBusy && <p className="notice-small">The first time takes up to a minute.</p>}
    </>
  );
}

function Notice({ icon: Icon, title, children }: { icon: LucideIcon; title: string; children: ReactNode }) {
  return (
    <div className="notice">
      <span className="notice-icon">
        <Icon aria-hidden size={34} strokeWidth={1.4} />
      </span>
      <h2>{title}</h2>
      {children}
    </div>
  );
}
