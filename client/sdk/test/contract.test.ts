import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createClient, ERROR_CODES, formatBytes, formatDuration } from "../src/index.js";

const root = new URL("../../../", import.meta.url);

test("every documented error code is known by name", () => {
  const text = readFileSync(new URL("docs/errors.md", root), "utf8");
  const documented = [...text.matchAll(/^\| \d+ \| `(\w+)` \|/gm)].map(([, code]) => code);
  expect(documented.length).toBeGreaterThan(20);
  expect(ERROR_CODES).toEqual(expect.arrayContaining(documented));
});

test("the live front end finds every method it calls", () => {
  const client = createClient();
  const called = [
    "getStorageUsage",
    "initializeStorage",
    "getFiles",
    "uploadFiles",
    "adminUploadFiles",
    "deleteFile",
    "toggleFavorite",
    "updateFileTags",
    "getThumbnailUrl",
    "getThumbnailBlob",
    "getDownloadUrl",
    "getStreamUrl",
    "getVideoBlob",
    "getAudioBlob",
    "getClerkUsers",
    "getAdminUserFiles",
  ] as const;
  for (const name of called) expect(client[name], name).toBeTypeOf("function");
});

test("sizes and times read as the service writes them", () => {
  expect([0, 1, 1536, 10737418240, 1234567].map(formatBytes)).toEqual([
    "0 Bytes",
    "1 Bytes",
    "1.5 KB",
    "10 GB",
    "1.18 MB",
  ]);
  expect([5.9, 65, 3661].map(formatDuration)).toEqual(["00:05", "01:05", "01:01:01"]);
});
