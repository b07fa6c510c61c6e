// Uploads against the real service: the queue, its progress, its refusals.

import { isAbort, type UploadProgress } from "@jam-storage/client";
import { UploadQueue } from "@jam-storage/client/upload";
import { expect, test } from "vitest";
import { bigPng, file, images, png } from "../../src/media.js";
import { person } from "../../src/people.js";

test("many files are stored with what is said about them, and progress ends at all bytes", async () => {
  const { client } = person("many");
  const files = images(20);
  const seen: UploadProgress[] = [];
  const { files: stored, errors } = await client.upload(files, {
    metadata: { tags: ["trip"], packageName: "Summer", aiMetadata: { mood: "calm" } },
    onProgress: (progress) => seen.push(progress),
    concurrency: 4,
  });
  expect(errors).toEqual([]);
  expect(stored).toHaveLength(20);
  expect(stored[0]).toMatchObject({ tags: ["trip"], packageName: "Summer", aiMetadata: { mood: "calm" } });
  const last = seen.at(-1);
  expect(last).toMatchObject({ done: 20, active: 0, sent: last?.total });
  expect(last?.total).toBe(files.reduce((sum, { size }) => sum + size, 0));
});

test("a large file arrives byte for byte", async () => {
  const { client } = person("large");
  const bytes = bigPng(7, 12 << 20);
  const { files } = await client.upload([file("large.png", bytes)]);
  const downloaded = await (await client.download(String(files[0]?.id))).arrayBuffer();
  expect(Buffer.from(downloaded).equals(bytes)).toBe(true);
});

test("metadata that is too long for an upload's headers is kept all the same", async () => {
  const { client } = person("words");
  const audioLyrics = "la ".repeat(3000);
  const { files, errors } = await client.upload(images(1), { metadata: { audioLyrics, tags: ["song"] } });
  expect(errors).toEqual([]);
  expect(files[0]).toMatchObject({ audioLyrics, tags: ["song"] });
});

test("files that do not fit the quota are refused before a byte is sent", async () => {
  const { client, user } = person("small");
  await person("boss", { admin: true }).client.setQuota(user, 1000);
  const files = [file("big.png", bigPng(1, 5000))];
  await expect(client.upload(files)).rejects.toMatchObject({
    code: "quota_exceeded",
    details: { maxBytes: 1000 },
  });
  expect(await client.getStorageUsage()).toMatchObject({ totalBytes: 0, reservedBytes: 0 });
});

test("a queue refuses what does not fit and stores the rest", async () => {
  const { client, user } = person("partly");
  await person("boss", { admin: true }).client.setQuota(user, 2000);
  const queue = new UploadQueue(client);
  await queue.add([file("small.png", png(1)), file("big.png", bigPng(2, 5000)), file("also.png", png(3))]);
  const { items } = await settled(queue);
  expect(items.map(({ state, error }) => [state, error?.code ?? null])).toEqual([
    ["done", null],
    ["failed", "quota_exceeded"],
    ["done", null],
  ]);
});

test("the live front end's uploadFiles answers what is stored and what is not, and rejects when nothing is", async () => {
  const { client } = person("live");
  const html = file("page.html", Buffer.from("<!doctype html><script>alert(1)</script>"));
  const seen: number[] = [];
  const answer = await client.uploadFiles([...images(1), html], { onProgress: (sent) => seen.push(sent) });
  expect(answer).toMatchObject({
    success: true,
    files: [{ originalName: "image-0.png" }],
    errors: [{ filename: "page.html", code: "type_refused" }],
  });
  expect(Math.max(...seen)).toBeGreaterThan(0);
  await expect(client.uploadFiles([html])).rejects.toMatchObject({ code: "type_refused" });
});

test("a file that the service refuses says why and does not hold up the others", async () => {
  const { client } = person("mixed");
  const html = file("page.html", Buffer.from("<!doctype html><script>alert(1)</script>"));
  const { files, errors } = await client.upload([html, ...images(2)]);
  expect(files).toHaveLength(2);
  expect(errors).toMatchObject([{ name: "page.html", error: { code: "type_refused" } }]);
});

test("a paused upload resumes when asked to", async () => {
  const { client } = person("pausing");
  const queue = new UploadQueue(client, { concurrency: 1 });
  const bytes = bigPng(3, 24 << 20);
  const [id] = await queue.add([file("paused.png", bytes)]);
  queue.pause(id);
  await until(queue, ({ items }) => items[0]?.state === "paused");
  queue.resume(id);
  const { items } = await settled(queue);
  const stored = items[0]?.file;
  const downloaded = await (await client.download(String(stored?.id))).arrayBuffer();
  expect(Buffer.from(downloaded).equals(bytes)).toBe(true);
});

test("an abort cancels what is not stored and gives its room back", async () => {
  const { client } = person("abort");
  const abort = new AbortController();
  const pending = client.upload([file("never.png", bigPng(4, 64 << 20))], {
    signal: abort.signal,
    onProgress: () => abort.abort(),
  });
  await expect(pending.catch((caught: unknown) => isAbort(caught))).resolves.toBe(true);
  await expect.poll(async () => (await client.getStorageUsage()).reservedBytes, { timeout: 10_000 }).toBe(0);
  expect(await client.getFiles()).toEqual([]);
});

function settled(queue: UploadQueue): Promise<UploadProgress> {
  return until(queue, ({ items, active }) => items.length > 0 && active === 0);
}

function until(queue: UploadQueue, holds: (progress: UploadProgress) => boolean): Promise<UploadProgress> {
  return new Promise((resolve) => {
    const stop = queue.subscribe(() => {
      if (!holds(queue.snapshot())) return;
      stop();
      resolve(queue.snapshot());
    });
  });
}

test("content that is stored already is proven instead of sent", async () => {
  const { client } = person("instant");
  const bytes = bigPng(5, 8 << 20);
  await client.upload([file("first.png", bytes)]);
  const sent: number[] = [];
  const { files, errors } = await client.upload([file("second.png", bytes), file("new.png", png(6))], {
    instant: true,
    metadata: { tags: ["again"] },
    onProgress: ({ items }) => sent.push(items[0]?.state === "uploading" ? items[0].sent : 0),
  });
  expect(errors).toEqual([]);
  expect(files.map(({ originalName, tags }) => [originalName, tags])).toEqual([
    ["second.png", ["again"]],
    ["new.png", ["again"]],
  ]);
  expect(Math.max(...sent)).toBe(0);
  const downloaded = await (await client.download(String(files[0]?.id))).arrayBuffer();
  expect(Buffer.from(downloaded).equals(bytes)).toBe(true);
});
