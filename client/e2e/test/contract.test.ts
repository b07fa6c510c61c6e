// A client that was generated from docs/openapi.json alone (openapi-typescript, openapi-fetch), against the service. That
// it compiles is half of what this shows.

import createClient, { type Client } from "openapi-fetch";
import { expect, inject, test } from "vitest";
import type { components, paths } from "../../sdk/src/openapi.js";
import { png } from "../src/media.js";
import { person, tokenOf } from "../src/people.js";

type UserFile = components["schemas"]["UserFile"];

async function generated(): Promise<Client<paths>> {
  return createClient<paths>({
    baseUrl: inject("baseUrl"),
    headers: { Authorization: `Bearer ${await tokenOf(person("generated").user)}` },
  });
}

async function upload(client: Client<paths>, tags: string[]): Promise<UserFile> {
  const { data, error } = await client.POST("/api/files/upload", {
    body: { files: ["image.png"], fileType: "image", tags: JSON.stringify(tags) },
    bodySerializer: ({ files, fileType, tags }) => {
      const form = new FormData();
      for (const name of files) form.append("files", new Blob([new Uint8Array(png(1))]), name);
      form.append("fileType", fileType ?? "");
      form.append("tags", tags ?? "");
      return form;
    },
  });
  expect(error).toBeUndefined();
  const [file] = data?.files ?? [];
  if (file === undefined) throw new Error("nothing was stored");
  return file;
}

test("a generated client uploads, lists by several tags, changes and deletes", async () => {
  const client = await generated();
  const file = await upload(client, ["one", "two"]);
  await upload(client, ["three"]);
  const { data: listed } = await client.GET("/api/files", {
    params: { query: { tags: ["two", "three"], sortBy: "upload_date", limit: 1, includeTotal: true } },
  });
  expect([listed?.count, listed?.total]).toEqual([1, 2]);
  const changed = await client.PATCH("/api/files/{id}", {
    params: { path: { id: file.id } },
    body: { assetCategory: "clip", packageName: null },
  });
  expect(changed.data?.file.assetCategory).toBe("clip");
  const stale = await client.PATCH("/api/files/{id}", {
    params: { path: { id: file.id }, header: { "If-Match": '"another"' } },
    body: {},
  });
  expect(stale.error?.code).toBe("precondition_failed");
  const part = await client.GET("/api/files/{id}/download", {
    params: { path: { id: file.id }, header: { Range: "bytes=1-3" } },
    parseAs: "text",
  });
  expect([part.response.status, part.data]).toEqual([206, "PNG"]);
  await client.DELETE("/api/files/{id}", { params: { path: { id: file.id }, query: { permanent: true } } });
  const gone = await client.GET("/api/files/{id}", { params: { path: { id: file.id } } });
  expect(gone.error).toMatchObject({ success: false, code: "not_found" });
});

test("a generated client sees the numbers that explain a failure", async () => {
  const client = await generated();
  const { error } = await client.GET("/api/files", { params: { query: { offset: -1 } } });
  expect([error?.code, error?.parameter]).toEqual(["invalid_parameter", "offset"]);
});
