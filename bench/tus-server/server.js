// npm's @tus/server as its README starts it, on files in a directory.
import { mkdirSync } from "node:fs";
import { createServer } from "node:http";
import { FileStore } from "@tus/file-store";
import { Server } from "@tus/server";

const directory = process.env.STORAGE_ROOT;
mkdirSync(directory, { recursive: true });
const tus = new Server({ path: "/files", relativeLocation: true, datastore: new FileStore({ directory }) });
createServer((request, answer) => {
  if (request.url === "/health") answer.end("ok");
  else tus.handle(request, answer);
}).listen(Number(process.env.PORT), "127.0.0.1");
