// One file as large as the window: zoom, playback, and the way to its neighbours.

"use client";

import type { UserFile } from "@jam-storage/client";
import { ChevronLeft, ChevronRight, type LucideIcon } from "lucide-react";
import { type KeyboardEvent, lazy, type ReactNode, Suspense } from "react";
import { Thumbnail } from "./media-card.js";
import { Modal } from "./modal.js";
import { processingOf } from "./processing.js";

export interface MediaPreviewProps {
  file: UserFile;
  onClose: () => void;
  /** Without them there is no neighbour on that side. */
  onPrevious?: (() => void) | undefined;
  onNext?: (() => void) | undefined;
  /** The signed URLs of the file do not work any more. */
  onStale?: (() => void) | undefined;
  /** Beside the title. */
  actions?: ReactNode;
  /** Shown beside the media. */
  children?: ReactNode;
}

// Zooming and waveforms are libraries of their own: loaded when the first image or audio file is opened.
const ImagePreview = lazy(() => import("./preview/image.js"));
const AudioPreview = lazy(() => import("./preview/audio.js"));

/** A dialog. Arrow keys go to the neighbours, Escape closes, + - 0 zoom, Space plays and pauses. */
export function MediaPreview({
  file,
  onClose,
  onPrevious,
  onNext,
  onStale,
  actions,
  children,
}: MediaPreviewProps) {
  const onKeyDown = (event: KeyboardEvent) => {
    // Fields and players have their own use of these keys.
    if (event.target instanceof Element && event.target.closest("input, textarea, select, video, audio"))
      return;
    if (event.key === "ArrowLeft") onPrevious?.();
    else if (event.key === "ArrowRight") onNext?.();
    else return;
    event.preventDefault();
  };

  return (
    <Modal
      title={file.originalName}
      className="jam-preview"
      onClose={onClose}
      onKeyDown={onKeyDown}
      actions={actions}
    >
      <div className="jam-preview-stage">
        <Suspense fallback={<Thumbnail file={file} />}>
          <Content key={file.id} file={file} onStale={onStale} />
        </Suspense>
        {onPrevious && <Step side="left" label="Previous" icon={ChevronLeft} onClick={onPrevious} />}
        {onNext && <Step side="right" label="Next" icon={ChevronRight} onClick={onNext} />}
      </div>
      {children && <aside className="jam-preview-aside">{children}</aside>}
    </Modal>
  );
}

interface StepProps {
  side: "left" | "right";
  label: string;
  icon: LucideIcon;
  onClick: () => void;
}

function Step({ side, label, icon: Icon, onClick }: StepProps) {
  return (
    <button type="button" className="jam-preview-step" data-side={side} aria-label={label} onClick={onClick}>
      <Icon aria-hidden size={24} />
    </button>
  );
}

function Content({ file, onStale }: { file: UserFile; onStale: (() => void) | undefined }) {
  if (file.streamUrl === null || file.deletedAt !== null) {
    return (
      <div className="jam-preview-nothing">
        <Thumbnail file={file} />
        <p>
          {file.deletedAt === null ? "This kind of file has no preview." : "Restore the file to open it."}
        </p>
      </div>
    );
  }
  if (file.mimeType.startsWith("image/")) return <ImagePreview file={file} onStale={onStale} />;
  if (file.mimeType.startsWith("audio/")) return <AudioPreview file={file} onStale={onStale} />;
  const processing = processingOf(file);
  return (
    <>
      {processing !== null && (
        <p className="jam-preview-processing" role="status">
          {processing}
        </p>
      )}
      {/* biome-ignore lint/a11y/useMediaCaption: captions are not known to the storage */}
      <video
        className="jam-preview-video"
        src={file.streamUrl}
        poster={file.thumbnailUrl ?? undefined}
        controls
        autoPlay
        playsInline
        onError={onStale}
      />
    </>
  );
}
