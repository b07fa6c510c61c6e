// An image that can be zoomed and moved by wheel, fingers, buttons and keys.

"use client";

import type { UserFile } from "@jam-storage/client";
import { type LucideIcon, Maximize, ZoomIn, ZoomOut } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { type ReactZoomPanPinchContentRef, TransformComponent, TransformWrapper } from "react-zoom-pan-pinch";
import { useStorageContext } from "../provider.js";

interface ImagePreviewProps {
  file: UserFile;
  onStale?: (() => void) | undefined;
}

export default function ImagePreview({ file, onStale }: ImagePreviewProps) {
  const zoom = useRef<ReactZoomPanPinchContentRef>(null);
  const { source, onError } = useImageSource(file, onStale);

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.target instanceof Element && event.target.closest("input, textarea, select")) return;
      if (event.key === "+" || event.key === "=") zoom.current?.zoomIn();
      else if (event.key === "-") zoom.current?.zoomOut();
      else if (event.key === "0") zoom.current?.resetTransform();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);

  return (
    <TransformWrapper ref={zoom} maxScale={12} centerOnInit doubleClick={{ mode: "toggle" }}>
      <TransformComponent wrapperClass="jam-zoom" contentClass="jam-zoom-content">
        <img
          className="jam-preview-image"
          src={source}
          alt={file.originalName}
          draggable={false}
          onError={onError}
        />
      </TransformComponent>
      <div className="jam-zoom-buttons">
        <ZoomButton label="Zoom out" icon={ZoomOut} onClick={() => zoom.current?.zoomOut()} />
        <ZoomButton label="Zoom in" icon={ZoomIn} onClick={() => zoom.current?.zoomIn()} />
        <ZoomButton label="Fit to window" icon={Maximize} onClick={() => zoom.current?.resetTransform()} />
      </div>
    </TransformWrapper>
  );
}

interface ZoomButtonProps {
  label: string;
  icon: LucideIcon;
  onClick: () => void;
}

function ZoomButton({ label, icon: Icon, onClick }: ZoomButtonProps) {
  return (
    <button type="button" className="jam-icon-button" aria-label={label} onClick={onClick}>
      <Icon aria-hidden size={18} />
    </button>
  );
}

/** The image itself; where the browser cannot show its format, the largest thumbnail. */
function useImageSource(file: UserFile, onStale: (() => void) | undefined) {
  const { client } = useStorageContext();
  const [large, setLarge] = useState<string | null>(null);
  const onError = () => {
    if (large !== null) return onStale?.();
    const request = { purpose: "thumbnail", size: "large" } as const;
    client.createSignedUrl(file, request).then(({ url }) => setLarge(url), onStale);
  };
  return { source: large ?? file.streamUrl ?? undefined, onError };
}
