// The service as a process: everything but its address and the page's origin comes from whoever runs these tests
// (functions/all/tests/it/clients.rs), which looks at rows and volume afterwards.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { openSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

const { SERVICE_PROGRAM, SERVICE_LOG, SERVICE_TOKEN } = process.env;
if (!SERVICE_PROGRAM) throw new Error("run by `cargo nextest run -p jam-all clients`, which starts the service");

export const headers = { Authorization: `Bearer ${SERVICE_TOKEN}` };

export class Service {
  #child;
  #settings;

  /** Starts the service on a port of its own and waits until it is ready. */
  static async start(settings = {}) {
    const service = new Service();
    const port = await freePort();
    service.url = `http://127.0.0.1:${port}`;
    service.uploads = `${service.url}/api/uploads`;
    service.#settings = { ...settings, JAM_LISTEN: `127.0.0.1:${port}` };
    await service.startAgain();
    return service;
  }

  async startAgain() {
    const log = openSync(SERVICE_LOG, "a");
    const env = { ...process.env, ...this.#settings };
    this.#child = spawn(SERVICE_PROGRAM, { env, stdio: ["ignore", "ignore", log] });
    const isHealthy = () => fetch(`${this.url}/health`).then((answer) => answer.ok, () => false);
    for (const deadline = Date.now() + 20_000; !(await isHealthy()); await pause(20)) {
      if (this.#child.exitCode !== null || Date.now() > deadline) throw new Error("the service did not start");
    }
  }

  /** Ends the process without a word, as a crash would. */
  async kill() {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  /** Tells the process to end and waits until it has. */
  async stop() {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
  }

  /** How far an upload is, and the id of its file when it is finished. */
  async lookUp(uploadUrl) {
    const answer = await fetch(uploadUrl, { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" } });
    if (answer.status !== 200) throw new Error(`HEAD of an upload: ${answer.status}`);
    return { offset: Number(answer.headers.get("upload-offset")), fileId: answer.headers.get("upload-file-id") };
  }

  /** SHA-256 of what is downloaded of the file that an upload became. */
  async storedSha256(uploadUrl) {
    const { fileId } = await this.lookUp(uploadUrl);
    if (!fileId) throw new Error("the upload is not a file");
    const answer = await fetch(`${this.url}/api/files/${fileId}/download`, { headers });
    if (answer.status !== 200) throw new Error(`download: ${answer.status}`);
    return sha256(Buffer.from(await answer.arrayBuffer()));
  }
}

export function sha256(content) {
  return createHash("sha256").update(content).digest("hex");
}

/** A port that nobody listens on. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
