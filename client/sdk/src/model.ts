// The contract's nouns by name. The shapes themselves are generated from docs/openapi.json.

import type { components, operations } from "./openapi.js";

type Schemas = components["schemas"];

/** A stored file, as every answer shows it. */
export type UserFile = Schemas["UserFile"];
/** What a file is to its user: `video`, `image`, `scene`, `project` or `audio`. */
export type FileType = Schemas["FileType"];
/** What an asset is used as. */
export type AssetCategory = Schemas["AssetCategory"];
/** What an audio file is used as. */
export type AudioCategory = Schemas["AudioCategory"];
/** A page of files. */
export type FileList = Schemas["FileList"];
/** What a user stores and may store. */
export type StorageInfo = Schemas["StorageInfo"];
/** Sums over all users. */
export type Stats = Schemas["Stats"];
/** A user as an administrator sees them. */
export type UserView = Schemas["UserView"];
/** A change of a file's metadata (JSON merge patch). */
export type FilePatch = Partial<Schemas["FilePatch"]>;
/** Files that were stored, and those that were not with the reason. */
export type Uploaded = Schemas["Uploaded"];
/** A resumable upload that has not ended. */
export type OpenUpload = Schemas["Upload"];
/** What a batch does to each file. */
export type BatchAction = Schemas["ActionName"];
/** What became of one file of a batch. */
export type BatchResult = Schemas["BatchResult"];
/** How the service is. */
export type Health = Schemas["Health"];
/** Something made from a file, and how far it is. */
export type Derivative = Schemas["DerivativeView"];
/** What can be made from a file: thumbnails by size, and `playback`, a video that browsers can play. */
export type DerivativeKind = Schemas["DerivativeKind"];
/** Named thumbnail sizes: `default` is 400x225. */
export type ThumbnailSize = Schemas["ThumbnailSize"];

type ListQuery = NonNullable<operations["list_files"]["parameters"]["query"]>;
type Given<Value> = Value extends readonly (infer Entry)[] ? readonly Entry[] : Value;

/** Which files, in which order. Lists mean "any of". */
export type FileQuery = {
  [Name in Exclude<keyof ListQuery, "fields">]?: Given<ListQuery[Name]> | undefined;
};
/** The name of a field of a file. */
export type FileField = keyof UserFile;
/** Which files, and which fields of each; without `fields`, all. Fewer fields are a smaller answer, and come sooner. */
export type FieldQuery<Field extends FileField> = FileQuery & { fields?: readonly Field[] | undefined };
/** A page of files with only some fields. */
export type FieldList<Field extends FileField> = Omit<FileList, "files"> & { files: Pick<UserFile, Field>[] };

/** What the client says about files that it uploads. */
export type UploadMetadata = Pick<
  FilePatch,
  | "fileType"
  | "packageName"
  | "tags"
  | "assetCategory"
  | "usageTags"
  | "characterNames"
  | "objectDescription"
  | "sceneLocation"
  | "hasAlphaChannel"
  | "audioCategory"
  | "audioDurationSeconds"
  | "audioStyle"
  | "audioVocals"
  | "audioLyrics"
  | "audioTempo"
  | "audioKey"
  | "relativePath"
  | "voiceoverType"
  | "voiceoverScript"
  | "aiMetadata"
>;

/** A URL that works without a token until it expires. */
export type SignedUrl = Pick<Schemas["UrlAnswer"], "url" | "expiresAt">;

type UrlRequest = Schemas["UrlRequest"];

/** What a signed URL is for; `size` is of a thumbnail. */
export type SignedUrlRequest = { [Name in keyof UrlRequest]: NonNullable<UrlRequest[Name]> };
