// Which files a query is about, decided here as the service decides it (core/src/db/listing.rs), so that a file that is
// changed leaves the lists it does not belong to any more. Every parameter that narrows a list has its rule: one that is
// added to the contract is refused by the compiler until it has one here.

"use client";

import type { FileQuery, UserFile } from "@jam-storage/client";

/** Parameters that say which page in which order, not which files. */
type Paging = "limit" | "offset" | "cursor" | "sortBy" | "sortOrder" | "includeTotal";

/** Parameters that narrow a list. */
export type FilterName = Exclude<keyof FileQuery, Paging>;

type Asked<Name extends FilterName> = NonNullable<FileQuery[Name]>;
type Rules = { readonly [Name in FilterName]: (file: UserFile, asked: Asked<Name>) => boolean };

const RULES: Rules = {
  type: (file, type) => file.fileType === type,
  favorite: (file, favorite) => file.isFavorite === favorite,
  package: (file, name) => file.packageName === name.normalize(),
  tags: (file, tags) => hasAny(file.tags, tags),
  assetCategory: (file, category) => file.assetCategory === category,
  usageTags: (file, tags) => hasAny(file.usageTags, tags),
  audioCategory: (file, category) => file.audioCategory === category,
  characterNames: (file, names) => hasAny(file.characterNames, names),
  minWidth: (file, width) => file.width !== null && file.width >= width,
  // The service compares by Unicode's rules for lower case, as this method does.
  q: (file, text) => file.originalName.toLowerCase().includes(text.normalize().toLowerCase()),
  trash: (file, trash) => (file.deletedAt !== null) === trash,
};

const NAMES = Object.keys(RULES) as FilterName[];

/** Whether a query finds a file. */
export function belongs(file: UserFile, query: FileQuery): boolean {
  // Without `trash`, only what is not in the trash is found.
  const asked = { ...query, trash: query.trash ?? false };
  return NAMES.every((name) => passes(name, file, asked));
}

function passes<Name extends FilterName>(name: Name, file: UserFile, query: FileQuery): boolean {
  const asked = query[name];
  return asked === undefined || asked === "" || RULES[name](file, asked);
}

/** The service cleans the entries of a list; one without entries asks nothing. */
function hasAny(labels: readonly string[], asked: readonly string[]): boolean {
  const entries = asked.map((entry) => entry.normalize().trim());
  const said = entries.filter((entry) => entry !== "");
  return said.length === 0 || said.some((entry) => labels.includes(entry));
}
