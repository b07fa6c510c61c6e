// Files on their way, in the corner of every view.

import { UnfinishedUploads, UploadList, useUploads } from "@jam-storage/react";
import { ChevronDown, ChevronUp, X } from "lucide-react";
import { useEffect, useState } from "react";

export function UploadTray() {
  const { items, unfinished, active, sent, total, failed, queue } = useUploads();
  const [isOpen, setOpen] = useState(true);
  useUnloadWarning(active > 0);
  if (items.length === 0 && unfinished.length === 0) return null;
  const percent = total === 0 ? 100 : Math.floor((100 * sent) / total);
  const title = active > 0 ? `Uploading · ${percent} %` : failed > 0 ? "Some uploads failed" : "Uploads";
  return (
    <section className="tray" aria-label="Uploads">
      <header>
        <h2>{title}</h2>
        <button
          type="button"
          className="jam-icon-button"
          aria-expanded={isOpen}
          aria-label={isOpen ? "Fold uploads" : "Unfold uploads"}
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? <ChevronDown aria-hidden size={18} /> : <ChevronUp aria-hidden size={18} />}
        </button>
        {active === 0 && items.length > 0 && (
          <button
            type="button"
            className="jam-icon-button"
            aria-label="Close uploads"
            onClick={() => queue.clear()}
          >
            <X aria-hidden size={18} />
          </button>
        )}
      </header>
      {isOpen && (
        <div className="tray-body">
          {items.length > 0 && <UploadList />}
          <UnfinishedUploads />
        </div>
      )}
    </section>
  );
}

/** The browser asks before it closes a page that still sends. */
function useUnloadWarning(isNeeded: boolean) {
  useEffect(() => {
    if (!isNeeded) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [isNeeded]);
}
