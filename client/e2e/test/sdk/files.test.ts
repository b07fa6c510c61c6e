// The client against the real service: each method does what its name says.

import { isJamError } from "@jam-storage/client";
import { describe, expect, inject, test } from "vitest";
import { file, images, png, wav } from "../../src/media.js";
import { person } from "../../src/people.js";

describe("storage", () => {
  test("a new user has zeros and may set the storage up", async () => {
    const { client, user } = person("new");
    const usage = await client.getStorageUsage();
    expect(usage).toMatchObject({ userId: user, totalBytes: 0, fileCount: 0 });
    expect(await client.initializeStorage()).toMatchObject({ userId: user, maxBytes: usage.maxBytes });
    await expect(client.initializeStorage(5)).rejects.toMatchObject({ code: "admin_only", status: 403 });
  });

  test("the service is healthy", async () => {
    expect(await person("anyone").client.health()).toMatchObject({ status: "healthy" });
  });
});

describe("files", () => {
  test("what is uploaded is listed, fetched and downloaded as it was", async () => {
    const { client } = person("form");
    const bytes = png(1);
    const sent = await client.uploadFiles(
      [file("één foto.png", bytes), { name: "tone.wav", data: new Blob([new Uint8Array(wav())]) }],
      {
        metadata: { tags: ["a", "b"], packageName: "Spring", characterNames: ["Ann"] },
      },
    );
    expect(sent.files.map((stored) => stored.originalName)).toEqual(["één foto.png", "tone.wav"]);
    const [image] = await client.getFiles({ type: "image" });
    const [tone] = await client.getFiles({ type: "audio" });
    expect(image).toMatchObject({ fileType: "image", tags: ["a", "b"], packageName: "Spring", width: 64 });
    expect(tone).toMatchObject({ fileType: "audio", durationSeconds: 1 });
    const downloaded = await (await client.download(String(image?.id))).arrayBuffer();
    expect(Buffer.from(downloaded).equals(bytes)).toBe(true);
    const part = await client.download(String(image?.id), { range: "bytes=1-3" });
    expect([part.status, await part.text()]).toEqual([206, "PNG"]);
    expect((await client.getAudioBlob(String(tone?.id))).size).toBe(wav().length);
  });

  test("thumbnails come as bytes and by URLs that need no token", async () => {
    const { client } = person("thumbs");
    const [image] = (await client.uploadFiles(images(1))).files;
    if (image === undefined) throw new Error("not stored");
    expect((await client.getThumbnailBlob(image)).type).toMatch(/^image\//);
    const small = Buffer.from(await (await client.getThumbnailBlob(image, { size: "small" })).arrayBuffer());
    expect(small.subarray(8, 12).toString("latin1")).toBe("WEBP");
    for (const url of [
      client.getThumbnailUrl(image),
      client.getStreamUrl(image),
      client.getDownloadUrl(image),
    ]) {
      expect((await fetch(url)).status, url).toBe(200);
    }
    expect((await fetch(client.getThumbnailUrl(image.id))).status).toBe(401);
    const { url, expiresAt } = await client.createSignedUrl(image, { purpose: "download", expiresIn: 60 });
    expect((await fetch(url)).status).toBe(200);
    expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now());
    await client.revokeSignedUrls(image);
    expect((await fetch(url)).status).toBe(404);
  });

  test("a loop over all files goes through every page", async () => {
    const { client } = person("pages");
    await client.uploadFiles(images(25));
    const names = new Set<string>();
    for await (const stored of client.iterateFiles({ limit: 10 })) names.add(stored.originalName);
    expect(names.size).toBe(25);
    expect(await client.listFiles({ limit: 1, includeTotal: true })).toMatchObject({ count: 1, total: 25 });
  });

  test("a list of some fields has just those, page by page, and its files can be acted on", async () => {
    const { client } = person("fields");
    await client.uploadFiles(images(3));
    const whole = await client.getFiles();
    const some = await client.getFiles({ fields: ["id", "originalName", "thumbnailUrl"] });
    expect(some).toEqual(
      whole.map(({ id, originalName, thumbnailUrl }) => ({ id, originalName, thumbnailUrl })),
    );
    const [first] = some;
    if (!first) throw new Error("not stored");
    // @ts-expect-error what was not asked for is not there
    expect(first.tags).toBeUndefined();
    expect((await client.toggleFavorite(first)).isFavorite).toBe(true);
    const ids: string[] = [];
    for await (const { id } of client.iterateFiles({ fields: ["id"], limit: 2 })) ids.push(id);
    expect(ids).toEqual(whole.map(({ id }) => id));
  });

  test("metadata, favourites, trash and batches change files", async () => {
    const { client } = person("changes");
    const { files } = await client.uploadFiles(images(3));
    const [first, second, third] = files;
    if (!first || !second || !third) throw new Error("not stored");
    expect((await client.toggleFavorite(first)).isFavorite).toBe(true);
    expect((await client.toggleFavorite(first, true)).isFavorite).toBe(true);
    expect((await client.updateFileTags(first, ["x", " y "])).tags).toEqual(["x", "y"]);
    const patched = await client.patchFile(first, {
      originalName: "new.png",
      packageName: "P",
      assetCategory: "object",
    });
    expect(patched).toMatchObject({ originalName: "new.png", packageName: "P", assetCategory: "object" });
    expect((await client.patchFile(first, { packageName: null })).packageName).toBeNull();
    expect((await client.deleteFile(first)).id).toBe(first.id);
    expect((await client.getFiles({ trash: true })).map(({ id }) => id)).toEqual([first.id]);
    expect((await client.restoreFile(first)).deletedAt).toBeNull();
    const missing = "01890000-0000-7000-8000-000000000000";
    const results = await client.batch("tag", [second, third, missing], { tags: ["many"] });
    expect(results.map(({ success, code }) => [success, code ?? null])).toEqual([
      [true, null],
      [true, null],
      [false, "not_found"],
    ]);
    await client.batch("delete", [second, third]);
    expect(await client.emptyTrash()).toBe(2);
    expect(await client.getFiles()).toHaveLength(1);
    await client.deleteFile(first, { permanent: true });
    await expect(client.getFile(first)).rejects.toSatisfy((error) => isJamError(error, "not_found"));
  });

  test("a copy is a file of its own", async () => {
    const { client } = person("copies");
    const [source] = (await client.uploadFiles(images(1), { metadata: { tags: ["kept"] } })).files;
    if (!source) throw new Error("not stored");
    const copy = await client.copyFile(source, { originalName: "copy.png" });
    expect(copy).toMatchObject({ originalName: "copy.png", tags: ["kept"], sha256: source.sha256 });
    expect((await client.copyFile(copy.id)).originalName).toBe("copy.png");
    await client.deleteFile(source, { permanent: true });
    const bytes = await (await client.download(copy)).arrayBuffer();
    expect(bytes.byteLength).toBe(source.fileSize);
    await expect(client.copyFile(source)).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("administration", () => {
  test("an administrator sees everybody, uploads for a user and sets a quota", async () => {
    const { client: admin } = person("boss", { admin: true });
    const { client, user } = person("worker");
    await client.initializeStorage();
    const sent = await admin.adminUploadFiles(user, images(1), { metadata: { tags: ["from above"] } });
    expect(sent.files[0]?.userId).toBe(user);
    expect((await admin.getAdminUserFiles(user)).map(({ tags }) => tags)).toEqual([["from above"]]);
    expect((await admin.getClerkUsers()).find(({ id }) => id === user)?.storage?.fileCount).toBe(1);
    expect((await admin.setQuota(user, 1000)).maxBytes).toBe(1000);
    expect((await admin.getStats()).totalUsers).toBeGreaterThan(0);
    await expect(client.getClerkUsers()).rejects.toMatchObject({ code: "admin_only" });
  });

  test("another person's file does not exist", async () => {
    const { client } = person("owner");
    const [mine] = (await client.uploadFiles(images(1))).files;
    await expect(person("stranger").client.getFile(String(mine?.id))).rejects.toMatchObject({
      code: "not_found",
    });
  });
});

test("a page of another origin that is not allowed gets no answer to read", async () => {
  const response = await fetch(`${inject("baseUrl")}/api/storage/usage`, {
    headers: { Origin: "https://evil.example" },
  });
  expect(response.headers.get("Access-Control-Allow-Origin")).toBeNull();
});
