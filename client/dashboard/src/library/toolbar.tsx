// The head of a view: its name, how much there is, search and order.

import { Choice, useFileActions } from "@jam-storage/react";
import { ArrowLeft, Search, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { SORTS, type Sort, usePlace, type View } from "../place.js";
import { useNotify } from "../toast.js";
import { UploadDialog } from "../uploads/upload-dialog.js";

const TITLES: Record<View, string> = {
  library: "Library",
  favorites: "Favourites",
  trash: "Trash",
  admin: "Library",
};

export function Toolbar({ total }: { total: number | null }) {
  const [place, go] = usePlace();
  return (
    <header className="toolbar">
      <div className="toolbar-title">
        {place.user !== null && (
          <button
            type="button"
            className="jam-icon-button"
            aria-label="Back to all users"
            onClick={() => go({ user: null })}
          >
            <ArrowLeft aria-hidden size={20} />
          </button>
        )}
        <h1>{place.user ?? TITLES[place.view]}</h1>
        {total !== null && (
          <span className="toolbar-count">
            {total === 1 ? "1 file" : `${total.toLocaleString("en")} files`}
          </span>
        )}
      </div>
      <SearchField />
      <div className="toolbar-sort">
        <Choice
          label="Order"
          none={SORTS.newest[0]}
          choices={SORT_WORDS}
          value={place.sort === "newest" ? null : (place.sort as OtherSort)}
          onChange={(sort) => go({ sort: sort ?? "newest" })}
        />
      </div>
      {place.view === "trash" && total !== null && total > 0 && <EmptyTrash total={total} />}
      {place.user !== null && <UploadFor user={place.user} />}
    </header>
  );
}

type OtherSort = Exclude<Sort, "newest">;
const SORT_WORDS = Object.fromEntries(
  Object.entries(SORTS)
    .filter(([name]) => name !== "newest")
    .map(([name, [words]]) => [name, words]),
) as Record<OtherSort, string>;

/** How long a person may pause in a word. */
const TYPING_MS = 200;

function SearchField() {
  const [place, go] = usePlace();
  const [text, setText] = useState(place.q);
  const field = useRef<HTMLInputElement>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `go` changes with the place that it changes
  useEffect(() => {
    if (text === place.q) return;
    const timer = setTimeout(() => go({ q: text }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => setText(place.q), [place.q]);
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const isTyping =
        event.target instanceof Element && event.target.closest("input, textarea, select, dialog");
      if (event.key !== "/" || isTyping) return;
      event.preventDefault();
      field.current?.focus();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);

  return (
    <search className="search">
      <Search aria-hidden size={18} />
      <input
        ref={field}
        type="search"
        aria-label="Search by name"
        placeholder="Search by name"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      {text !== "" && (
        <button
          type="button"
          className="jam-icon-button"
          aria-label="Clear search"
          onClick={() => setText("")}
        >
          <X aria-hidden size={16} />
        </button>
      )}
    </search>
  );
}

function EmptyTrash({ total }: { total: number }) {
  const { emptyTrash } = useFileActions();
  const notify = useNotify();
  const empty = () => {
    const files = total === 1 ? "1 file" : `${total} files`;
    if (!confirm(`Remove ${files} for good? This cannot be undone.`)) return;
    emptyTrash().then((count) => notify.say(`${count} files removed for good.`), notify.fail);
  };
  return (
    <button type="button" className="jam-button" data-kind="danger" onClick={empty}>
      Empty trash
    </button>
  );
}

function UploadFor({ user }: { user: string }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button type="button" className="jam-button" data-kind="primary" onClick={() => setOpen(true)}>
        Upload for {user}
      </button>
      {isOpen && <UploadDialog targetUserId={user} onClose={() => setOpen(false)} />}
    </>
  );
}
