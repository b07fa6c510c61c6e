// Files as a grid of cards of which only the visible ones exist, whatever the number; usable by keyboard alone.

"use client";

import type { UserFile } from "@jam-storage/client";
import { defaultRangeExtractor, type Range, useVirtualizer } from "@tanstack/react-virtual";
import {
  type KeyboardEvent,
  type MouseEvent,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { MediaCard } from "./media-card.js";

export interface MediaGridProps {
  files: readonly UserFile[];
  /** What is in it, for screen readers. */
  label: string;
  hasMore?: boolean;
  onLoadMore?: () => void;
  onOpen?: (file: UserFile) => void;
  selection?: ReadonlySet<string>;
  onSelectionChange?: (ids: ReadonlySet<string>) => void;
  onFavorite?: (file: UserFile, favorite: boolean) => void;
  onStale?: (file: UserFile) => void;
  /** Pixels. */
  minCardWidth?: number;
}

const GAP = 16;
/** Name and size below the thumbnail. */
const TEXT_HEIGHT = 58;
/** Thumbnails are shown at 16:10. */
const THUMBNAIL_RATIO = 10 / 16;
/** More files are asked for when fewer rows than this are below the visible ones. */
const ROWS_AHEAD = 6;

const NOTHING: ReadonlySet<string> = new Set();

/** A grid that fills its parent and scrolls. Arrow keys move, Enter opens, Space selects, F marks a favourite. */
export function MediaGrid({
  files,
  label,
  selection = NOTHING,
  minCardWidth = 208,
  ...props
}: MediaGridProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const textIds = useId();
  const width = useWidth(scroller);
  // Two beside each other fit every phone.
  const narrowest = Math.min(minCardWidth, (width - GAP) / 2);
  const columns = Math.max(1, Math.floor((width + GAP) / (narrowest + GAP)));
  const cardWidth = (width - GAP * (columns - 1)) / columns;
  const rowHeight = Math.round(cardWidth * THUMBNAIL_RATIO) + TEXT_HEIGHT + GAP;
  const rowCount = Math.ceil(files.length / columns);
  const focus = useRovingFocus(scroller, files.length);
  const focusedRow = Math.floor(focus.index / columns);
  const rows = useVirtualizer({
    count: width === 0 ? 0 : rowCount,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 3,
    rangeExtractor: (range) => withRow(range, focusedRow),
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: measured heights are wrong once a row's height changes
  useLayoutEffect(() => rows.measure(), [rowHeight]);

  const visible = rows.getVirtualItems();
  const lastVisible = rows.range?.endIndex ?? -1;
  const { hasMore = false, onLoadMore } = props;
  useEffect(() => {
    if (hasMore && width > 0 && lastVisible >= rowCount - ROWS_AHEAD) onLoadMore?.();
  }, [hasMore, onLoadMore, lastVisible, rowCount, width]);

  const moveTo = (index: number) => {
    rows.scrollToIndex(Math.floor(index / columns), { align: "auto" });
    focus.move(index);
  };
  const select = useSelection(files, selection, props.onSelectionChange);

  const onKeyDown = (event: KeyboardEvent, file: UserFile, index: number) => {
    const { startIndex = 0, endIndex = 0 } = rows.range ?? {};
    const pageRows = Math.max(1, endIndex - startIndex - 1);
    const steps: Record<string, number> = {
      ArrowLeft: index - 1,
      ArrowRight: index + 1,
      ArrowUp: index - columns,
      ArrowDown: index + columns,
      PageUp: index - columns * pageRows,
      PageDown: index + columns * pageRows,
      Home: 0,
      End: files.length - 1,
    };
    const target = steps[event.key];
    if (target !== undefined) {
      if (target >= 0 && target < files.length) moveTo(target);
      if (event.shiftKey) select.range(Math.min(Math.max(target, 0), files.length - 1));
    } else if (event.target !== event.currentTarget) {
      return;
    } else if (event.key === "Enter") {
      props.onOpen?.(file);
    } else if (event.key === " ") {
      select.toggle(index);
    } else if (event.key === "f" && !event.ctrlKey && !event.metaKey) {
      props.onFavorite?.(file, !file.isFavorite);
    } else {
      return;
    }
    event.preventDefault();
  };

  const onClick = (event: MouseEvent, file: UserFile, index: number) => {
    focus.set(index);
    if (event.shiftKey) select.range(index);
    else if (event.ctrlKey || event.metaKey || selection.size > 0) select.toggle(index);
    else props.onOpen?.(file);
  };

  return (
    // biome-ignore lint/a11y/useSemanticElements: a table cannot be virtualized in two dimensions
    <div
      ref={scroller}
      className="jam-grid"
      role="grid"
      aria-label={label}
      aria-rowcount={hasMore ? -1 : rowCount}
      aria-colcount={columns}
      aria-multiselectable={props.onSelectionChange ? true : undefined}
      tabIndex={-1}
      onFocus={() => focus.note(true)}
      onBlur={() => focus.note(false)}
    >
      <div className="jam-grid-canvas" role="presentation" style={{ height: rows.getTotalSize() }}>
        {visible.map((row) => (
          // biome-ignore lint/a11y/useSemanticElements: see above
          <div
            key={row.key}
            className="jam-grid-row"
            role="row"
            aria-rowindex={row.index + 1}
            tabIndex={-1}
            style={{
              transform: `translateY(${row.start}px)`,
              height: rowHeight,
              gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`,
            }}
          >
            {files.slice(row.index * columns, (row.index + 1) * columns).map((file, column) => {
              const index = row.index * columns + column;
              return (
                // biome-ignore lint/a11y/useSemanticElements: see above
                <div
                  key={file.id}
                  className="jam-grid-cell"
                  role="gridcell"
                  aria-labelledby={`${textIds}${file.id}`}
                  aria-selected={props.onSelectionChange ? selection.has(file.id) : undefined}
                  aria-colindex={column + 1}
                  data-index={index}
                  tabIndex={index === focus.index ? 0 : -1}
                  onFocus={() => focus.set(index)}
                  onClick={(event) => onClick(event, file, index)}
                  onKeyDown={(event) => onKeyDown(event, file, index)}
                >
                  <MediaCard
                    file={file}
                    textId={`${textIds}${file.id}`}
                    selected={selection.has(file.id)}
                    selecting={selection.size > 0}
                    reachable={index === focus.index}
                    onSelect={props.onSelectionChange && (() => select.toggle(index))}
                    onFavorite={props.onFavorite && ((favorite) => props.onFavorite?.(file, favorite))}
                    onStale={props.onStale && (() => props.onStale?.(file))}
                  />
                </div>
              );
            })}
          </div>
        ))}
      </div>
    </div>
  );
}

/** The row with the focus stays wherever one scrolls to: without it the keyboard would be back at the page's start. */
function withRow(range: Range, row: number): number[] {
  const visible = defaultRangeExtractor(range);
  return visible.includes(row) || row >= range.count ? visible : [...visible, row].sort((a, b) => a - b);
}

/** The width inside an element's padding, in whole pixels. */
function useWidth(element: React.RefObject<HTMLElement | null>): number {
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    if (element.current === null) return;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(element.current);
    return () => observer.disconnect();
  }, [element]);
  return width;
}

/**
 * Which card Tab reaches, and the focus: it follows the arrow keys to cards that do not exist yet, and stays with its
 * card when that is drawn anew, as in another row of a narrower window.
 */
function useRovingFocus(scroller: React.RefObject<HTMLElement | null>, count: number) {
  const [wanted, setWanted] = useState(0);
  const isMoving = useRef(false);
  const isHere = useRef(false);
  const index = Math.min(wanted, Math.max(0, count - 1));
  useEffect(() => {
    const isLost = isHere.current && document.activeElement === document.body;
    if (!isMoving.current && !isLost) return;
    const cell = scroller.current?.querySelector<HTMLElement>(`[data-index="${index}"]`);
    if (!cell) return;
    isMoving.current = false;
    cell.focus({ preventScroll: true });
  });
  return {
    index,
    set: setWanted,
    move(target: number) {
      isMoving.current = true;
      setWanted(target);
    },
    /** The focus came into the grid, or left it by somebody's hand: React tells of no card that it takes away. */
    note(comes: boolean) {
      isHere.current = comes;
    },
  };
}

function useSelection(
  files: readonly UserFile[],
  selection: ReadonlySet<string>,
  change: ((ids: ReadonlySet<string>) => void) | undefined,
) {
  const anchor = useRef(0);
  return {
    toggle(index: number) {
      const id = files[index]?.id;
      if (id === undefined) return;
      anchor.current = index;
      const ids = new Set(selection);
      if (!ids.delete(id)) ids.add(id);
      change?.(ids);
    },
    range(index: number) {
      const [from, to] = [Math.min(anchor.current, index), Math.max(anchor.current, index)];
      change?.(new Set([...selection, ...files.slice(from, to + 1).map((file) => file.id)]));
    },
  };
}
