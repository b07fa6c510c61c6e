// An audio file with its waveform to look at and to click into.

"use client";

import type { UserFile } from "@jam-storage/client";
import { useEffect, useRef } from "react";
import WaveSurfer from "wavesurfer.js";

interface AudioPreviewProps {
  file: UserFile;
  onStale?: (() => void) | undefined;
}

/** A waveform needs all of the audio in memory, decoded; longer files play without one. */
const WAVEFORM_BYTES_MAX = 64 << 20;

export default function AudioPreview({ file, onStale }: AudioPreviewProps) {
  const container = useRef<HTMLDivElement>(null);
  const player = useRef<HTMLAudioElement>(null);
  const url = file.streamUrl;

  useEffect(() => {
    if (container.current === null || player.current === null || url === null) return;
    if (file.fileSize > WAVEFORM_BYTES_MAX) return;
    const style = getComputedStyle(container.current);
    const waveform = WaveSurfer.create({
      container: container.current,
      media: player.current,
      url,
      height: 160,
      barWidth: 3,
      barGap: 2,
      barRadius: 3,
      normalize: true,
      dragToSeek: true,
      // A canvas knows no variables: the style sheet hands the colours over by these two properties.
      waveColor: style.color,
      progressColor: style.outlineColor,
      cursorColor: "transparent",
    });
    // The audio plays without its waveform; the player reports what it cannot play.
    waveform.on("error", () => {});
    return () => waveform.destroy();
  }, [url, file.fileSize]);

  return (
    <div className="jam-audio">
      <div ref={container} className="jam-audio-wave" aria-hidden />
      {/* biome-ignore lint/a11y/useMediaCaption: captions are not known to the storage */}
      <audio
        ref={player}
        src={url ?? undefined}
        controls
        autoPlay
        aria-label={file.originalName}
        onError={onStale}
      />
    </div>
  );
}
