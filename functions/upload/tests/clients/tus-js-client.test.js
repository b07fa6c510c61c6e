// tus-js-client as its users run it on Node.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { after, before, test } from "node:test";
import { Upload } from "tus-js-client";
import { Cable } from "./cable.js";
import { Service, headers, sha256 } from "./service.js";

const MIB = 1 << 20;
const content = randomBytes(24 * MIB + 17);

let service, cable;
before(async () => {
  service = await Service.start();
  cable = await Cable.to(service);
});
after(async () => {
  cable.cut();
  await service.stop();
});

/** An upload of this content, not started yet; `ended` settles with it. */
function upload(source, options = {}) {
  const requests = [];
  let settle;
  const ended = new Promise((resolve, reject) => {
    settle = { resolve, reject };
  });
  const created = new Upload(source, {
    endpoint: cable.uploads,
    headers,
    metadata: { filename: "video.bin", filetype: "application/octet-stream", tags: '["client"]' },
    retryDelays: [50, 100, 200, 400, 800, 1600],
    onAfterResponse: (request, response) => {
      requests.push({
        method: request.getMethod(),
        status: response.getStatus(),
        offset: Number(response.getHeader("Upload-Offset")),
      });
    },
    onSuccess: settle.resolve,
    onError: settle.reject,
    ...options,
  });
  return { upload: created, ended, requests };
}

/** Uploads everything and compares what is stored with what was sent. */
async function assertArrives(source, options) {
  const started = upload(source, options);
  started.upload.start();
  await started.ended;
  assert.equal(await service.storedSha256(started.upload.url), sha256(content));
  return started;
}

test("everything in one request", async () => {
  const { requests } = await assertArrives(content);
  assert.deepEqual(requests.map((request) => request.method), ["POST", "PATCH"]);
});

test("in chunks", async () => {
  const { requests } = await assertArrives(content, { chunkSize: 5 * MIB });
  assert.deepEqual(requests.map((request) => request.method), ["POST", ...Array(5).fill("PATCH")]);
});

test("in three parts at once", async () => {
  await assertArrives(content, { parallelUploads: 3 });
});

test("the bytes with the creation", async () => {
  const { requests } = await assertArrives(content, { uploadDataDuringCreation: true });
  assert.deepEqual(requests.map((request) => request.method), ["POST"]);
});

test("the first chunk with the creation", async () => {
  const { requests } = await assertArrives(content, { uploadDataDuringCreation: true, chunkSize: 10 * MIB });
  assert.deepEqual(requests.map((request) => request.method), ["POST", "PATCH", "PATCH"]);
});

test("a stream whose length is not known", async () => {
  const stream = Readable.from(slices(content, 64 * 1024));
  await assertArrives(stream, { uploadLengthDeferred: true, chunkSize: 7 * MIB });
});

function* slices(bytes, size) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

for (const chunkSize of [Number.POSITIVE_INFINITY, 4 * MIB]) {
  test(`aborted and resumed, chunks of ${chunkSize}`, async () => {
    const first = upload(content, { chunkSize });
    const middle = cable.stallAfter(10 * MIB);
    first.upload.start();
    await middle;
    await first.upload.abort();
    const second = await assertArrives(content, { chunkSize, uploadUrl: first.upload.url });
    assert.equal(second.requests[0].method, "HEAD");
    assert.ok(second.requests[0].offset > 0, "nothing of what was sent is there");
  });

  test(`the service is killed in the middle, chunks of ${chunkSize}`, async () => {
    const restarted = cable.stallAfter(10 * MIB).then(async () => {
      await service.kill();
      await service.startAgain();
    });
    const { requests } = await assertArrives(content, { chunkSize });
    await restarted;
    const found = requests.find((request) => request.method === "HEAD");
    assert.ok(found.offset > 0, "nothing of what was sent is there");
    assert.equal(requests.filter((request) => request.method === "POST").length, 1);
  });
}

test("ended by its client", async () => {
  const started = upload(content);
  const middle = cable.stallAfter(10 * MIB);
  started.upload.start();
  await middle;
  await started.upload.abort(true);
  await assert.rejects(service.lookUp(started.upload.url), /4(04|10)/);
});

test("a file over the limit is refused before its bytes are sent", async () => {
  const large = upload(Readable.from([]), { uploadSize: 2 ** 40, chunkSize: MIB });
  large.upload.start();
  const error = await large.ended.then(() => null, (error) => error);
  assert.equal(error?.originalResponse?.getStatus(), 413);
  assert.equal(large.requests.length, 1);
});
