// Files dropped or pasted anywhere on the page go up at once.

import { useStorageContext } from "@jam-storage/react";
import { fromEvent } from "file-selector";
import { Upload } from "lucide-react";
import { useEffect, useState } from "react";

export function DropAnywhere() {
  const { uploads } = useStorageContext();
  const [isOver, setOver] = useState(false);

  useEffect(() => {
    const add = async (event: Event) => {
      const files = (await fromEvent(event)).filter(
        (file): file is File & typeof file => file instanceof File,
      );
      if (files.length > 0) await uploads.add(files);
    };
    const onDragOver = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      // Also where nothing is taken: the browser would leave the page and show the file.
      event.preventDefault();
      setOver(!isDialogOpen());
    };
    const onDragLeave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const onDrop = (event: DragEvent) => {
      setOver(false);
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      if (!isDialogOpen()) void add(event);
    };
    const onPaste = (event: ClipboardEvent) => {
      const files = event.clipboardData?.files;
      if (files !== undefined && files.length > 0 && !isDialogOpen()) void uploads.add(files);
    };
    document.addEventListener("dragover", onDragOver);
    document.addEventListener("dragleave", onDragLeave);
    document.addEventListener("drop", onDrop);
    document.addEventListener("paste", onPaste);
    return () => {
      document.removeEventListener("dragover", onDragOver);
      document.removeEventListener("dragleave", onDragLeave);
      document.removeEventListener("drop", onDrop);
      document.removeEventListener("paste", onPaste);
    };
  }, [uploads]);

  if (!isOver) return null;
  return (
    <div className="drop-anywhere" aria-hidden>
      <div>
        <Upload size={40} strokeWidth={1.5} />
        <p>Let go to upload</p>
      </div>
    </div>
  );
}

/** A dialog may have an uploader of its own, even for another user's storage. */
function isDialogOpen(): boolean {
  return document.querySelector("dialog[open]") !== null;
}
