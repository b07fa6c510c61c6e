// A whole installation of its own for one run of the tests: `jam-dev up` with its state apart from a developer's.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    baseUrl: string;
  }
}

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const STATE = ".jam/e2e";
const START_MS = 90_000;

/** Starts it; returns how to end it. */
export default async function setup(project: TestProject) {
  const port = await freePort();
  const service = spawn(program(), ["up", "--state", STATE, "--port", String(port)], {
    cwd: ROOT,
    env: ownEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<void>((done) => service.once("exit", () => done()));
  let output = "";
  await new Promise<void>((done, reject) => {
    const fail = (reason: string) => reject(new Error(`${reason}\n${output}`));
    const timer = setTimeout(() => fail("The service does not start."), START_MS);
    const read = (chunk: Buffer) => {
      output += chunk;
      if (!output.includes("Jam Storage runs on")) return;
      clearTimeout(timer);
      done();
    };
    service.stdout.on("data", read);
    service.stderr.on("data", read);
    service.once("error", (error) => fail(error.message));
    service.once("exit", () => fail("The service ended."));
  });
  project.provide("baseUrl", `http://127.0.0.1:${port}`);
  return async () => {
    service.kill("SIGTERM");
    await ended;
  };
}

/** Without the settings of a developer's own service. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(JAM_|CLERK_|CORS_|RATE_LIMIT_|DATABASE_URL$|USER_STORAGE_ROOT$|PUBLIC_BASE_URL$|PORT$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

/** The developer's tool, beside which the service's programs lie. */
function program(): string {
  const given = process.env.E2E_PROGRAMS;
  const places = given === undefined ? ["target/release", "target/debug"] : [given];
  const found = places.map((place) => resolve(ROOT, place, "jam-dev")).find((path) => existsSync(path));
  if (found === undefined)
    throw new Error("Build the service first: ./local-dev/up or cargo build --workspace");
  return found;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
