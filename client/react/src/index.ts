// `@jam-storage/react`: everything a page imports. Styles are `@jam-storage/react/styles.css`.

"use client";

export type { FileError } from "./file-error.js";
export type { FileRules } from "./file-rules.js";
export { FileUploader, type FileUploaderProps } from "./file-uploader.js";
export { MediaCard, type MediaCardProps, Thumbnail } from "./media-card.js";
export { MediaGrid, type MediaGridProps } from "./media-grid.js";
export { MediaPreview, type MediaPreviewProps } from "./media-preview.js";
export {
  ASSET_CATEGORIES,
  AUDIO_CATEGORIES,
  Choice,
  FILE_TYPES,
  Field,
  MetadataFields,
  type MetadataFieldsProps,
  TagsInput,
} from "./metadata-fields.js";
export { Modal, type ModalProps } from "./modal.js";
export { type Storage, StorageProvider, type StorageProviderProps, useStorageContext } from "./provider.js";
export { StorageMeter, type StorageMeterProps } from "./storage-meter.js";
export { UnfinishedUploads } from "./unfinished-uploads.js";
export { UploadList, UploadTotal } from "./upload-list.js";
export { type FileActions, useFileActions } from "./use-file-actions.js";
export { type Files, useFiles } from "./use-files.js";
export { type Answer, useStats, useStorageUsage, useUploads, useUsers } from "./use-storage.js";
