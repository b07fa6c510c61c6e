// How full the storage is, by type.

"use client";

import { type FileType, formatBytes, type StorageInfo } from "@jam-storage/client";

export interface StorageMeterProps {
  storage: StorageInfo;
  /** Without the list of types below the bar. */
  compact?: boolean;
}

const TYPES: readonly [FileType, string][] = [
  ["video", "Video"],
  ["image", "Images"],
  ["audio", "Audio"],
  ["scene", "Scenes"],
  ["project", "Projects"],
];

/** A bar with a part for each type, the trash, and what uploads have reserved. */
export function StorageMeter({ storage, compact = false }: StorageMeterProps) {
  const { maxBytes, totalBytes, byType, trashBytes, reservedBytes } = storage;
  const parts = [
    ...TYPES.map(([type, label]) => ({ kind: type as string, label, bytes: byType[type].bytes })),
    { kind: "trash", label: "Trash", bytes: trashBytes },
    { kind: "reserved", label: "Uploading", bytes: reservedBytes },
  ].filter((part) => part.bytes > 0);
  const used = totalBytes + reservedBytes;
  const scale = Math.max(maxBytes, used, 1);
  const isNearlyFull = used >= 0.9 * maxBytes;
  return (
    <div className="jam-meter" data-nearly-full={isNearlyFull || undefined}>
      {/* biome-ignore lint/a11y/useSemanticElements: a meter element has one part */}
      <div
        className="jam-meter-bar"
        role="meter"
        aria-label="Storage used"
        aria-valuemin={0}
        aria-valuemax={maxBytes}
        aria-valuenow={Math.min(used, maxBytes)}
        aria-valuetext={`${formatBytes(used)} of ${formatBytes(maxBytes)}`}
      >
        {parts.map((part) => (
          <span
            key={part.kind}
            className="jam-meter-part"
            data-kind={part.kind}
            style={{ width: `${(100 * part.bytes) / scale}%` }}
          />
        ))}
      </div>
      <p className="jam-meter-text">
        <strong>{formatBytes(used)}</strong> of {formatBytes(maxBytes)} used
      </p>
      {!compact && (
        <ul className="jam-meter-legend">
          {parts.map((part) => (
            <li key={part.kind}>
              <span className="jam-meter-dot" data-kind={part.kind} />
              {part.label}
              <span className="jam-meter-bytes">{formatBytes(part.bytes)}</span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
