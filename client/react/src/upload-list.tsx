// Files on their way, with what can be done about each.

"use client";

import { formatBytes, formatDuration } from "@jam-storage/client";
import { isSettled, type UploadItem } from "@jam-storage/client/upload";
import {
  CircleAlert,
  CircleCheck,
  CirclePause,
  CloudOff,
  Pause,
  Play,
  RotateCw,
  Upload,
  X,
} from "lucide-react";
import { useUploads } from "./use-storage.js";

/** More rows than this are summed up: nobody reads them, and each costs time while bytes travel. */
const ROWS_MAX = 200;

/** Total progress and a row for each file; what needs attention and what moves is first. */
export function UploadList() {
  const { items } = useUploads();
  const rows = [...items].sort((a, b) => urgency(a) - urgency(b)).slice(0, ROWS_MAX);
  const hidden = items.length - rows.length;
  return (
    <div className="jam-uploads">
      {items.length > 0 && <UploadTotal />}
      <ul>
        {rows.map((item) => (
          <Row key={item.id} item={item} />
        ))}
      </ul>
      {hidden > 0 && <p className="jam-uploads-more">and {hidden} more</p>}
    </div>
  );
}

/** One bar for everything, with rate and time left. */
export function UploadTotal() {
  const { total, sent, bytesPerSecond, secondsLeft, active, done, failed, items, queue } = useUploads();
  const isPaused = items.some((item) => item.state === "paused");
  const percent = total === 0 ? 0 : Math.floor((100 * sent) / total);
  const facts = [`${formatBytes(sent)} of ${formatBytes(total)}`];
  if (active > 0 && bytesPerSecond > 0) {
    facts.push(`${formatBytes(bytesPerSecond)}/s`);
    if (secondsLeft !== null) facts.push(`${formatDuration(Math.ceil(secondsLeft))} left`);
  }
  return (
    <div className="jam-uploads-total">
      <div className="jam-uploads-line">
        <strong role="status">{headline(active, done, failed, isPaused)}</strong>
        {active > 0 && <IconButton label="Pause all" icon={Pause} onClick={() => queue.pause()} />}
        {isPaused && <IconButton label="Resume all" icon={Play} onClick={() => queue.resume()} />}
        {failed > 0 && <IconButton label="Retry what failed" icon={RotateCw} onClick={() => queue.retry()} />}
      </div>
      <progress className="jam-progress" aria-label="All uploads" max={100} value={percent} />
      <p>{facts.join(" · ")}</p>
    </div>
  );
}

function headline(active: number, done: number, failed: number, isPaused: boolean): string {
  const failures = failed > 0 ? `, ${failed} failed` : "";
  if (active > 0) return `Uploading ${count(active)}${failures}`;
  if (isPaused) return `Paused${failures}`;
  return `${count(done)} uploaded${failures}`;
}

const count = (files: number) => (files === 1 ? "1 file" : `${files} files`);

function urgency({ state }: UploadItem): number {
  return ["failed", "waiting", "uploading", "paused", "queued", "done", "cancelled"].indexOf(state);
}

function Row({ item }: { item: UploadItem }) {
  const { queue } = useUploads();
  const percent = item.size === 0 ? 0 : Math.floor((100 * item.sent) / item.size);
  return (
    <li className="jam-upload" data-state={item.state}>
      <StateIcon item={item} />
      <div className="jam-upload-text">
        <span className="jam-upload-name" title={item.name}>
          {item.name}
        </span>
        <span className="jam-upload-state">{words(item, percent)}</span>
        {(item.state === "uploading" || item.state === "paused" || item.state === "waiting") && (
          <progress className="jam-progress" aria-label={item.name} max={100} value={percent} />
        )}
      </div>
      {(item.state === "uploading" || item.state === "waiting") && (
        <IconButton label={`Pause ${item.name}`} icon={Pause} onClick={() => queue.pause(item.id)} />
      )}
      {item.state === "paused" && (
        <IconButton label={`Resume ${item.name}`} icon={Play} onClick={() => queue.resume(item.id)} />
      )}
      {item.state === "failed" && (
        <IconButton label={`Retry ${item.name}`} icon={RotateCw} onClick={() => queue.retry(item.id)} />
      )}
      {!isSettled(item) && (
        <IconButton label={`Cancel ${item.name}`} icon={X} onClick={() => queue.cancel(item.id)} />
      )}
    </li>
  );
}

function StateIcon({ item }: { item: UploadItem }) {
  const icons = { done: CircleCheck, failed: CircleAlert, waiting: CloudOff, paused: CirclePause };
  const Icon = icons[item.state as keyof typeof icons] ?? Upload;
  return <Icon className="jam-upload-icon" aria-hidden size={18} />;
}

function words(item: UploadItem, percent: number): string {
  switch (item.state) {
    case "queued":
      return `Waits its turn · ${formatBytes(item.size)}`;
    case "uploading":
      return `${percent} % of ${formatBytes(item.size)}`;
    case "waiting":
      return `Waiting for the connection · ${percent} %`;
    case "paused":
      return `Paused at ${percent} %`;
    case "done":
      return formatBytes(item.size);
    case "cancelled":
      return "Cancelled";
    case "failed":
      return item.error?.message ?? "Failed";
  }
}

function IconButton({
  label,
  icon: Icon,
  onClick,
}: {
  label: string;
  icon: typeof Pause;
  onClick: () => void;
}) {
  return (
    <button type="button" className="jam-icon-button" aria-label={label} title={label} onClick={onClick}>
      <Icon aria-hidden size={16} />
    </button>
  );
}
