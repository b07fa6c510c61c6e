// What narrows a view down: types as tabs, the rest as choices.

import type { FileType, UserFile } from "@jam-storage/client";
import { ASSET_CATEGORIES, Choice, FILE_TYPES } from "@jam-storage/react";
import { X } from "lucide-react";
import { useRef } from "react";
import { isFiltered, usePlace, withoutFilters } from "../place.js";

export function Filters({ files }: { files: readonly UserFile[] }) {
  const [place, go] = usePlace();
  const seen = useSeen(files, place.user);
  return (
    <div className="filters">
      <fieldset className="segments">
        <legend className="jam-hidden">Type</legend>
        <Segment label="All" isOn={place.type === null} onClick={() => go({ type: null })} />
        {Object.entries(FILE_TYPES).map(([type, label]) => (
          <Segment
            key={type}
            label={label}
            isOn={place.type === type}
            onClick={() => go({ type: type as FileType })}
          />
        ))}
      </fieldset>
      <div className="filter-choices">
        <Choice
          label="Category"
          none="Any category"
          choices={ASSET_CATEGORIES}
          value={place.category}
          onChange={(category) => go({ category })}
        />
        <Choice
          label="Package"
          none="Any package"
          choices={words(seen.packages, place.package)}
          value={place.package}
          onChange={(pack) => go({ package: pack })}
        />
        <Choice
          label="Tag"
          none="Any tag"
          choices={words(seen.tags, place.tag)}
          value={place.tag}
          onChange={(tag) => go({ tag })}
        />
      </div>
      {isFiltered(place) && (
        <button type="button" className="jam-link filter-clear" onClick={() => go(withoutFilters(place))}>
          <X aria-hidden size={14} /> Clear
        </button>
      )}
    </div>
  );
}

function Segment({ label, isOn, onClick }: { label: string; isOn: boolean; onClick: () => void }) {
  return (
    <button type="button" aria-pressed={isOn} onClick={onClick}>
      {label}
    </button>
  );
}

/** Packages and tags of every file that was shown so far: a filter must not take away its own alternatives. */
function useSeen(files: readonly UserFile[], owner: string | null) {
  const seen = useRef({ owner, packages: new Set<string>(), tags: new Set<string>() });
  if (seen.current.owner !== owner) seen.current = { owner, packages: new Set(), tags: new Set() };
  for (const file of files) {
    if (file.packageName !== null) seen.current.packages.add(file.packageName);
    for (const tag of file.tags) seen.current.tags.add(tag);
  }
  return seen.current;
}

function words(seen: ReadonlySet<string>, chosen: string | null): Record<string, string> {
  const all = new Set(chosen === null ? seen : [...seen, chosen]);
  return Object.fromEntries([...all].sort((a, b) => a.localeCompare(b)).map((name) => [name, name]));
}
