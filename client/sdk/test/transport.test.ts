import { expect, test, vi } from "vitest";
import { networkError } from "../src/errors.js";
import { createClient, isAbort, JamError } from "../src/index.js";
import { problem, scriptedServer } from "./scripted-server.js";

const storage = { status: 200, body: { success: true, storage: { totalBytes: 7 } } };

test("a token is asked for with every request", async () => {
  const { baseUrl, received } = await scriptedServer(storage);
  let issued = 0;
  const client = createClient({ baseUrl, getToken: () => `token-${++issued}` });
  await client.getStorageUsage();
  await client.getStorageUsage();
  expect(received.map((request) => request.headers.authorization)).toEqual([
    "Bearer token-1",
    "Bearer token-2",
  ]);
});

test("a refused token is replaced once by a fresh one", async () => {
  const { baseUrl, received } = await scriptedServer(problem(401, "unauthenticated"), storage);
  const getToken = vi.fn(({ skipCache }) => (skipCache ? "fresh" : "stale"));
  await createClient({ baseUrl, getToken }).getStorageUsage();
  expect(received.map((request) => request.headers.authorization)).toEqual(["Bearer stale", "Bearer fresh"]);
});

test("a second refusal is an error with the service's words and code", async () => {
  const { baseUrl, received } = await scriptedServer(problem(401, "unauthenticated"));
  const failed = createClient({ baseUrl, getToken: () => "bad" }).getStorageUsage();
  await expect(failed).rejects.toMatchObject({
    name: "JamError",
    message: "It is unauthenticated.",
    code: "unauthenticated",
    status: 401,
    requestId: "r-1",
  });
  expect(received).toHaveLength(2);
});

test("the session of window.Clerk is used when no token source is given", async () => {
  const { baseUrl, received } = await scriptedServer(storage);
  vi.stubGlobal("Clerk", { loaded: true, session: { getToken: async () => "from-clerk" } });
  await createClient({ baseUrl }).getStorageUsage();
  vi.unstubAllGlobals();
  await createClient({ baseUrl }).getStorageUsage();
  expect(received.map((request) => request.headers.authorization)).toEqual(["Bearer from-clerk", undefined]);
});

test("numbers that explain a failure are in its details", async () => {
  const { baseUrl } = await scriptedServer(problem(413, "quota_exceeded", { maxBytes: 10, totalBytes: 9 }));
  const error = await createClient({ baseUrl, getToken: () => "t" })
    .adminUploadFiles("user", [new File(["x"], "x.txt")])
    .catch((caught: unknown) => caught as JamError);
  expect(error).toBeInstanceOf(JamError);
  expect(error).toMatchObject({ code: "quota_exceeded", details: { maxBytes: 10, totalBytes: 9 } });
});

test("reading is repeated while the service is away, and waits as long as it asks", async () => {
  const away = { ...problem(503, "unavailable"), headers: { "Retry-After": "1" } };
  const { baseUrl, received } = await scriptedServer("reset", away, storage);
  const started = Date.now();
  await createClient({ baseUrl, getToken: () => "t" }).getStorageUsage();
  expect(received).toHaveLength(3);
  expect(Date.now() - started).toBeGreaterThanOrEqual(1000);
});

test("a change whose outcome is unknown is never repeated", async () => {
  const { baseUrl, received } = await scriptedServer("reset");
  const failed = createClient({ baseUrl, getToken: () => "t" }).toggleFavorite("id");
  await expect(failed).rejects.toMatchObject({ code: "network_error", status: 0 });
  expect(received).toHaveLength(1);
});

test("a change that was refused undone is repeated", async () => {
  const busy = { ...problem(429, "too_many_requests"), headers: { "Retry-After": "0" } };
  const changed = { status: 200, body: { success: true, file: { id: "id", isFavorite: true } } };
  const { baseUrl, received } = await scriptedServer(busy, changed);
  const file = await createClient({ baseUrl, getToken: () => "t" }).toggleFavorite("id", true);
  expect(file.isFavorite).toBe(true);
  expect(received.map((request) => request.body)).toEqual(['{"favorite":true}', '{"favorite":true}']);
});

test("a form is sent again with a fresh token, and after it was refused undone, but not when its outcome is unknown", async () => {
  const busy = { ...problem(429, "too_many_requests"), headers: { "Retry-After": "0" } };
  const stored = { status: 200, body: { success: true, files: [] } };
  const { baseUrl, received } = await scriptedServer(problem(401, "unauthenticated"), busy, stored, "reset");
  const client = createClient({ baseUrl, getToken: ({ skipCache }) => (skipCache ? "fresh" : "stale") });
  const send = () => client.adminUploadFiles("ann", [{ name: "a.txt", data: new Blob(["text"]) }]);
  await expect(send()).resolves.toMatchObject({ success: true });
  const bearers = received.map((request) => request.headers.authorization);
  expect(bearers).toEqual(["Bearer stale", "Bearer fresh", "Bearer fresh"]);
  for (const { body } of received) expect(body).toContain('filename="a.txt"');
  await expect(send()).rejects.toMatchObject({ code: "network_error", status: 0 });
  expect(received).toHaveLength(4);
});

test("an abort ends a request under way and a wait between two", async () => {
  for (const answer of ["hang", "reset"] as const) {
    const { baseUrl } = await scriptedServer(answer);
    const abort = new AbortController();
    const client = createClient({ baseUrl, getToken: () => "t" });
    const pending = client.getFiles({}, { signal: abort.signal }).catch((caught: unknown) => caught);
    setTimeout(() => abort.abort(), 50);
    expect(isAbort(await pending)).toBe(true);
  }
});

test("an answer of something that is not the service is an error that says so", async () => {
  const { baseUrl } = await scriptedServer({ status: 404, body: "<html>nginx</html>" });
  const failed = createClient({ baseUrl, getToken: () => "t" }).getFile("id");
  await expect(failed).rejects.toMatchObject({ code: "invalid_answer", status: 404 });
});

test("each entry of a list is sent for itself and unset values are left out", async () => {
  const { baseUrl, received } = await scriptedServer({ status: 200, body: { files: [] } });
  await createClient({ baseUrl }).getFiles({ tags: ["a", "b, c"], type: undefined, q: "", favorite: true });
  expect(received[0]?.url).toBe("/api/files?tags%5B%5D=a&tags%5B%5D=b%2C+c&favorite=true");
});

test("a base that ends in /api is the same service", async () => {
  const { baseUrl, received } = await scriptedServer(storage);
  for (const ending of ["", "/", "/api", "/api/", "//api//"])
    await createClient({ baseUrl: `${baseUrl}${ending}`, getToken: () => null }).getStorageUsage();
  const paths = new Set(received.map(({ url }) => url.replace(/^\/+/, "/")));
  expect(paths).toEqual(new Set(["/api/storage/usage"]));
});

test("a page of another origin learns that the service may not allow it, others to check the connection", () => {
  expect(networkError().message).toBe("The service cannot be reached. Check the connection.");
  vi.stubGlobal("document", {});
  vi.stubGlobal("navigator", { onLine: true });
  vi.stubGlobal("location", new URL("http://localhost:5173/page"));
  const said = (url: string) => networkError(undefined, url).message;
  expect(said("/api/files")).toBe("The service cannot be reached. Check the connection.");
  expect(said("http://localhost:3001/api/files")).toContain("this page's origin, http://localhost:5173.");
  vi.unstubAllGlobals();
});
