// A server whose answers a test writes down beforehand.

import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: unknown;
}

export interface Received {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

/** Answers in order; after the last one it repeats the last. `hang` never answers. */
export async function scriptedServer(...answers: (Answer | "hang" | "reset")[]) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = "", url = "", headers } = request;
    received.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
    const answer = answers[Math.min(received.length, answers.length) - 1];
    if (answer === "reset" || answer === undefined) return request.socket.destroy();
    if (answer === "hang") return;
    response.writeHead(answer.status, { "Content-Type": "application/json", ...answer.headers });
    response.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

/** A failure as the service words it. */
export function problem(status: number, code: string, more: Record<string, unknown> = {}): Answer {
  return {
    status,
    body: { success: false, error: `It is ${code}.`, code, requestId: "r-1", ...more },
  };
}
