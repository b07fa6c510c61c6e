// One file as a card with its name: thumbnail, moving preview of a video, marks and tags.

"use client";

import { formatDuration, type UserFile } from "@jam-storage/client";
import {
  AudioLines,
  Box,
  Check,
  Clapperboard,
  FileText,
  Film,
  Image,
  type LucideIcon,
  Star,
} from "lucide-react";
import { type CSSProperties, useEffect, useMemo, useState } from "react";
import { thumbHashToDataURL } from "thumbhash";
import { processingOf } from "./processing.js";

export interface MediaCardProps {
  file: UserFile;
  selected?: boolean;
  /** Shows the check mark even when the pointer is elsewhere. */
  selecting?: boolean;
  onSelect?: (() => void) | undefined;
  onFavorite?: ((favorite: boolean) => void) | undefined;
  /** The thumbnail's URL does not work any more. */
  onStale?: (() => void) | undefined;
  /** Id for the text that says what it is. */
  textId?: string;
  /** Whether its buttons can be reached with Tab. */
  reachable?: boolean;
}

/** A pointer that only passes by starts no video. */
const HOVER_MS = 250;

const ICONS: Record<UserFile["fileType"], LucideIcon> = {
  video: Film,
  image: Image,
  audio: AudioLines,
  scene: Clapperboard,
  project: Box,
};

/** A card. It is not a button itself: `MediaGrid` makes it one. */
export function MediaCard({
  file,
  selected = false,
  selecting = false,
  reachable = true,
  ...on
}: MediaCardProps) {
  const [isHovered, setHovered] = useState(false);
  const tabIndex = reachable ? 0 : -1;
  const processing = processingOf(file);
  return (
    <article
      className="jam-card"
      data-selected={selected || undefined}
      data-selecting={selecting || undefined}
      onPointerEnter={(event) => setHovered(event.pointerType === "mouse")}
      onPointerLeave={() => setHovered(false)}
    >
      {/* The name is read first and shown below. */}
      <div className="jam-card-text" id={on.textId}>
        <h3 title={file.originalName}>{file.originalName}</h3>{" "}
        <p>{[file.packageName, file.fileSizeFormatted].filter(Boolean).join(" · ")}</p>{" "}
        {file.durationSeconds !== null && (
          <span className="jam-card-badge">{formatDuration(file.durationSeconds)}</span>
        )}
      </div>
      <div className="jam-card-thumbnail">
        <Thumbnail file={file} onStale={on.onStale} />
        {processing !== null && <span className="jam-card-processing">{processing}</span>}
        {isHovered && file.fileType === "video" && file.streamUrl !== null && (
          <MovingPreview url={file.streamUrl} />
        )}
        {on.onSelect && (
          <button
            type="button"
            className="jam-card-check"
            tabIndex={tabIndex}
            aria-pressed={selected}
            aria-label={`Select ${file.originalName}`}
            onClick={stopped(on.onSelect)}
          >
            <Check aria-hidden size={14} strokeWidth={3} />
          </button>
        )}
        {on.onFavorite && (
          <button
            type="button"
            className="jam-card-star"
            tabIndex={tabIndex}
            aria-pressed={file.isFavorite}
            aria-label={`Favourite ${file.originalName}`}
            onClick={stopped(() => on.onFavorite?.(!file.isFavorite))}
          >
            <Star aria-hidden size={16} fill={file.isFavorite ? "currentColor" : "none"} />
          </button>
        )}
      </div>
    </article>
  );
}

/** A file's thumbnail, or the sign of its type. */
export function Thumbnail({ file, onStale }: { file: UserFile; onStale?: (() => void) | undefined }) {
  const [brokenUrl, setBrokenUrl] = useState<string | null>(null);
  const [loadedUrl, setLoadedUrl] = useState<string | null>(null);
  const Icon = ICONS[file.fileType] ?? FileText;
  const url = file.thumbnailUrl;
  const placeholder = usePlaceholder(file.thumbhash);
  if (url === null || url === brokenUrl) {
    return (
      <span className="jam-card-icon" data-kind={file.fileType} style={placeholder}>
        <Icon aria-hidden size={36} strokeWidth={1.25} />
      </span>
    );
  }
  const fail = () => {
    setBrokenUrl(url);
    onStale?.();
  };
  return (
    <img
      src={url}
      alt=""
      loading="lazy"
      decoding="async"
      draggable={false}
      // An image can be transparent.
      style={url === loadedUrl ? undefined : placeholder}
      onLoad={() => setLoadedUrl(url)}
      onError={fail}
    />
  );
}

/** The blurred preview of a ThumbHash, shown until the thumbnail has loaded. */
function usePlaceholder(thumbhash: string | null): CSSProperties | undefined {
  return useMemo(() => {
    if (thumbhash === null) return undefined;
    const bytes = Uint8Array.from(atob(thumbhash), (letter) => letter.charCodeAt(0));
    return { background: `url(${thumbHashToDataURL(bytes)}) center / cover` };
  }, [thumbhash]);
}

function MovingPreview({ url }: { url: string }) {
  const [isPlaying, setPlaying] = useState(false);
  useEffect(() => {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const timer = setTimeout(() => setPlaying(true), HOVER_MS);
    return () => clearTimeout(timer);
  }, []);
  return isPlaying ? <video src={url} muted autoPlay loop playsInline aria-hidden tabIndex={-1} /> : null;
}

/** A button on a card does not also open the card. */
function stopped(act: () => void) {
  return (event: { stopPropagation(): void }) => {
    event.stopPropagation();
    act();
  };
}
