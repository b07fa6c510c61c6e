// tuspy, in the virtual environment that local-dev/test makes.
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Service } from "./service.js";

const python = fileURLToPath(new URL("../../../../.jam/tuspy/bin/python", import.meta.url));
const uploads = fileURLToPath(new URL("tuspy_uploads.py", import.meta.url));

test("whole, in chunks with checksums, and resumed", async () => {
  const service = await Service.start();
  try {
    await promisify(execFile)(python, [uploads, service.url]);
  } finally {
    await service.stop();
  }
});
