// Fresh applications of e2e/frameworks, with the packages as npm would publish them: built and served as their
// READMEs say.

import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pack } from "./packages.js";

const APPLICATIONS = fileURLToPath(new URL("../frameworks/", import.meta.url));
const START_MS = 60_000;

/** The applications in a folder of their own, with everything installed. */
export class Frameworks {
  private readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    cpSync(APPLICATIONS, folder, { recursive: true, filter: (path) => !path.includes("node_modules") });
    const tarballs = join(folder, "packages");
    mkdirSync(tarballs);
    const packages = pack(tarballs).map(({ tarball }) => tarball);
    this.run("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error", ...packages]);
  }

  /** Puts a source of a README into an application. */
  write(path: string, source: string): void {
    writeFileSync(join(this.folder, path), source);
  }

  /** Runs a tool of a framework, and shows what it said when it failed. */
  tool(name: string, ...options: string[]): void {
    this.run(join(this.folder, "node_modules/.bin", name), options);
  }

  /** Serves a built application until `stop` is called. */
  async serve(name: string, options: string[]): Promise<{ address: string; stop: () => Promise<void> }> {
    const server = spawn(join(this.folder, "node_modules/.bin", name), options, {
      cwd: this.folder,
      env: quietly(),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const ended = new Promise<void>((done) => server.once("exit", () => done()));
    let output = "";
    const address = await new Promise<string>((done, reject) => {
      const fail = () => reject(new Error(`${name} serves nothing:\n${output}`));
      setTimeout(fail, START_MS).unref();
      server.once("exit", fail);
      const read = (chunk: Buffer) => {
        output += chunk;
        const found = output.match(/http:\/\/localhost:\d+/);
        if (found !== null) done(found[0]);
      };
      server.stdout.on("data", read);
      server.stderr.on("data", read);
    });
    const stop = async () => {
      server.kill("SIGTERM");
      await ended;
    };
    return { address, stop };
  }

  private run(program: string, options: string[]): void {
    try {
      execFileSync(program, options, { cwd: this.folder, env: quietly(), encoding: "utf8", stdio: "pipe" });
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`${program} ${options.join(" ")}\n${stdout}\n${stderr}`);
    }
  }
}

/** Without colours, without telling anybody that it ran, and without what says that a test runs. */
function quietly(): NodeJS.ProcessEnv {
  const said = Object.entries(process.env).filter(([name]) => !/^(NODE_ENV|VITEST.*)$/.test(name));
  const quiet = { NO_COLOR: "1", ASTRO_TELEMETRY_DISABLED: "1", NEXT_TELEMETRY_DISABLED: "1" };
  return { ...Object.fromEntries(said), ...quiet } as unknown as NodeJS.ProcessEnv;
}
