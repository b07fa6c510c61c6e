// A page that shows a given number of made-up files.

import type { UserFile } from "@jam-storage/client";
import { MediaGrid } from "@jam-storage/react";
import { useState } from "react";
import { createRoot } from "react-dom/client";

declare const FILES: number;

const files = Array.from({ length: FILES }, (_, index) => {
  const file: Partial<UserFile> = {
    id: `id-${index}`,
    originalName: `file-${index}.png`,
    fileType: "image",
    fileSizeFormatted: "1 KB",
    packageName: null,
    thumbnailUrl: null,
    thumbhash: null,
    derivatives: [],
    durationSeconds: null,
    isFavorite: false,
  };
  return file as UserFile;
});

function Page() {
  const [selection, setSelection] = useState<ReadonlySet<string>>(new Set());
  document.title = `${selection.size} selected`;
  return <MediaGrid files={files} label="Files" selection={selection} onSelectionChange={setSelection} />;
}

const started = performance.now();
const look = () => {
  if (document.querySelector(".jam-card") === null) requestAnimationFrame(look);
  else Object.assign(window, { firstCardsMs: performance.now() - started });
};
const root = document.getElementById("root");
if (root !== null) createRoot(root).render(<Page />);
look();
