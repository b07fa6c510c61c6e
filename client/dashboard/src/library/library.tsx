// Files of one view: found by filters, chosen, opened.

import type { UserFile } from "@jam-storage/client";
import { type FileActions, type Files, MediaGrid, useFileActions, useFiles } from "@jam-storage/react";
import { useDeferredValue, useMemo, useState } from "react";
import { isFiltered, type Place, queryOf, usePlace, withoutFilters } from "../place.js";
import { useNotify } from "../toast.js";
import { Empty, Failed, Loading } from "./empty.js";
import { Filters } from "./filters.js";
import { Preview } from "./preview.js";
import { SelectionBar } from "./selection-bar.js";
import { Toolbar } from "./toolbar.js";

const NOTHING: ReadonlySet<string> = new Set();

export function Library() {
  const [place, go] = usePlace();
  const actions = useFileActions();
  const notify = useNotify();
  const asked = useDeferredValue(place);
  const query = useMemo(() => queryOf(asked), [asked]);
  const found = useFiles(query, { userId: place.user ?? undefined });
  const [selection, setSelection] = useState(NOTHING);
  const [openId, setOpenId] = useState<string | null>(null);
  const chosen = useMemo(
    () => found.files.filter((file) => selection.has(file.id)),
    [found.files, selection],
  );
  const isOwn = place.user === null;

  return (
    <div className="library">
      <Toolbar total={found.total} />
      <Filters files={found.files} />
      <section className="library-files" aria-label="Files" aria-busy={found.isLoading}>
        <Content found={found} place={place} onClear={() => go(withoutFilters(place))}>
          <MediaGrid
            files={found.files}
            label={isOwn ? "Files" : `Files of ${place.user}`}
            hasMore={found.hasMore}
            onLoadMore={found.loadMore}
            onOpen={(file) => setOpenId(file.id)}
            onStale={onceEach(actions)}
            {...(isOwn && {
              selection,
              onSelectionChange: setSelection,
              onFavorite: (file: UserFile, favorite: boolean) =>
                void actions.setFavorite(file, favorite).catch(notify.fail),
            })}
          />
        </Content>
      </section>
      {found.error !== null && found.files.length > 0 && (
        <p role="alert" className="library-cut">
          The rest cannot be shown: {found.error.message}
          <button
            type="button"
            className="jam-link"
            onClick={() => (found.hasMore ? found.loadMore() : found.reload())}
          >
            Try again
          </button>
        </p>
      )}
      {chosen.length > 0 && (
        <SelectionBar
          files={chosen}
          total={found.files.length}
          onAll={() => setSelection(new Set(found.files.map((file) => file.id)))}
          onClear={() => setSelection(NOTHING)}
        />
      )}
      <Preview files={found.files} openId={openId} onOpen={setOpenId} isOwn={isOwn} />
    </div>
  );
}

interface ContentProps {
  found: Files;
  place: Place;
  onClear: () => void;
  children: React.ReactNode;
}

function Content({ found, place, onClear, children }: ContentProps) {
  if (found.error !== null && found.files.length === 0)
    return <Failed title="The files cannot be shown" error={found.error} onRetry={found.reload} />;
  if (found.isLoading) return <Loading />;
  if (found.files.length === 0)
    return <Empty view={place.view} isFiltered={isFiltered(place)} onClear={onClear} />;
  return children;
}

const refreshed = new Map<string, number>();
const REFRESH_MS = 60_000;

/** Refreshes a file when its thumbnail cannot be shown, once only: it may have none. */
function onceEach(actions: FileActions) {
  return (file: UserFile) => {
    const last = refreshed.get(file.id) ?? 0;
    if (Date.now() - last < REFRESH_MS) return;
    refreshed.set(file.id, Date.now());
    actions.refresh(file).catch(() => {});
  };
}
