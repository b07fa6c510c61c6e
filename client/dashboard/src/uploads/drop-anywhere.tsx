// Files dropped or pasted anywhere on the page go up at once.

import { useStorageContext } from "@jam-storage/react";
import { fromEvent } from "file-selector";
import { Upload } from "lucide-react";
import { useEffect, useState } from "react";

export function DropAnywhere({ isOff }: { isOff: boolean }) {
  const { uploads } = useStorageContext();
  const [isOver, setOver] = useState(false);

  useEffect(() => {
    if (isOff) return;
    const add = async (event: Event) => {
      const files = (await fromEvent(event)).filter(
        (file): file is File & typeof file => file instanceof File,
      );
      if (files.length > 0) await uploads.add(files);
    };
    const onDragOver = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(true);
    };
    const onDragLeave = (event: DragEvent) => {
      if (event.relatedTarget === null) setOver(false);
    };
    const onDrop = (event: DragEvent) => {
      setOver(false);
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      void add(event);
    };
    const onPaste = (event: ClipboardEvent) => {
      if (event.clipboardData && event.clipboardData.files.length > 0)
        void uploads.add(event.clipboardData.files);
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
  }, [isOff, uploads]);

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
