// Users of the tests: each test has its own, so that none sees files of another.

import { createClient, type JamClient, type UploadMetadata } from "@jam-storage/client";
import { inject } from "vitest";

export interface Person {
  user: string;
  admin: boolean;
  client: JamClient;
}

let count = 0;

/** Somebody who never stored anything. */
export function person(name: string, { admin = false } = {}): Person {
  const user = `user_${name}_${Date.now().toString(36)}${count++}`;
  const client = createClient({ baseUrl: inject("baseUrl"), getToken: () => tokenOf(user, admin) });
  return { user, admin, client };
}

/** Puts at most 100 files into somebody's storage, in one form: in their order, so that the last is the newest. */
export async function give({ user }: Person, files: File[], metadata: UploadMetadata = {}): Promise<void> {
  const { client } = person("giver", { admin: true });
  const { errors } = await client.adminUploadFiles(user, files, { metadata });
  if (errors !== undefined && errors.length > 0) throw new Error(JSON.stringify(errors));
}

/** A session token of the local issuer. */
export async function tokenOf(user: string, admin = false, ttl = 3600): Promise<string> {
  const response = await fetch(`${inject("baseUrl")}/local/sign-in`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ user, admin, ttl }),
  });
  return ((await response.json()) as { token: string }).token;
}
