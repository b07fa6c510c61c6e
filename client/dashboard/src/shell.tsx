// What is around every view: where one can go, how full it is, who one is; uploads from anywhere.

import { StorageMeter, useStorageUsage } from "@jam-storage/react";
import {
  CircleUserRound,
  Images,
  LogOut,
  type LucideIcon,
  Moon,
  ShieldCheck,
  Star,
  Sun,
  SunMoon,
  Trash2,
  Upload,
} from "lucide-react";
import { type ReactNode, useState } from "react";
import { Dialog } from "./dialog.js";
import markUrl from "./mark.svg";
import { usePlace, type View, withoutFilters } from "./place.js";
import type { Session } from "./session.js";
import { applyTheme, storedTheme, type Theme } from "./theme.js";
import { DropAnywhere } from "./uploads/drop-anywhere.js";
import { UploadDialog } from "./uploads/upload-dialog.js";
import { UploadTray } from "./uploads/upload-tray.js";

const VIEWS: readonly [View, string, LucideIcon][] = [
  ["library", "Library", Images],
  ["favorites", "Favourites", Star],
  ["trash", "Trash", Trash2],
  ["admin", "Admin", ShieldCheck],
];

export function Shell({ session, children }: { session: Session; children: ReactNode }) {
  const [isUploading, setUploading] = useState(false);
  const [showsYou, setShowsYou] = useState(false);
  const views = VIEWS.filter(([view]) => view !== "admin" || session.isAdmin);
  return (
    <div className="shell">
      <a className="skip" href="#main">
        Skip to the files
      </a>
      <aside className="side">
        <a className="brand" href="/">
          <img src={markUrl} alt="" width={30} height={30} />
          <span>Jam Storage</span>
        </a>
        <button
          type="button"
          className="jam-button side-upload"
          data-kind="primary"
          onClick={() => setUploading(true)}
        >
          <Upload aria-hidden size={18} /> Upload
        </button>
        <nav aria-label="Views">
          {views.map(([view, label, Icon]) => (
            <ViewLink key={view} view={view} label={label} icon={Icon} />
          ))}
        </nav>
        <div className="side-foot">
          <Usage />
          <Who session={session} />
        </div>
      </aside>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
      <nav className="tabs" aria-label="Views">
        {views.map(([view, label, Icon]) => (
          <ViewLink key={view} view={view} label={label} icon={Icon} />
        ))}
        <button type="button" className="view-link" onClick={() => setUploading(true)}>
          <Upload aria-hidden size={20} /> <span>Upload</span>
        </button>
        <button type="button" className="view-link" onClick={() => setShowsYou(true)}>
          <CircleUserRound aria-hidden size={20} /> <span>You</span>
        </button>
      </nav>
      <UploadTray />
      <DropAnywhere />
      {showsYou && (
        <Dialog title="You" onClose={() => setShowsYou(false)}>
          <Usage />
          <Who session={session} />
        </Dialog>
      )}
      {isUploading && <UploadDialog onClose={() => setUploading(false)} />}
    </div>
  );
}

function ViewLink({ view, label, icon: Icon }: { view: View; label: string; icon: LucideIcon }) {
  const [place, go] = usePlace();
  const isHere = place.view === view;
  return (
    <a
      className="view-link"
      href={view === "library" ? "/" : `/?view=${view}`}
      aria-current={isHere ? "page" : undefined}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        go({ ...withoutFilters(place), view, user: null });
      }}
    >
      <Icon aria-hidden size={20} /> <span>{label}</span>
    </a>
  );
}

function Usage() {
  const { value } = useStorageUsage();
  return value === null ? null : <StorageMeter storage={value} />;
}

const NEXT_THEME: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const THEME_ICONS: Record<Theme, LucideIcon> = { system: SunMoon, light: Sun, dark: Moon };

function Who({ session }: { session: Session }) {
  const [theme, setTheme] = useState(storedTheme);
  const Icon = THEME_ICONS[theme];
  const next = NEXT_THEME[theme];
  return (
    <div className="who">
      <span className="who-face" aria-hidden>
        {session.userId
          .replace(/^user_/, "")
          .slice(0, 1)
          .toUpperCase()}
      </span>
      <span className="who-name" title={session.userId}>
        {session.userId}
      </span>
      <button
        type="button"
        className="jam-icon-button"
        aria-label={`Theme: ${theme}. Change to ${next}`}
        title={`Theme: ${theme}`}
        onClick={() => {
          applyTheme(next);
          setTheme(next);
        }}
      >
        <Icon aria-hidden size={18} />
      </button>
      <button
        type="button"
        className="jam-icon-button"
        aria-label="Sign out"
        title="Sign out"
        onClick={session.signOut}
      >
        <LogOut aria-hidden size={18} />
      </button>
    </div>
  );
}
