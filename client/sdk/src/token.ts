// Where session tokens come from. Never keeps one: a Clerk token lives for about a minute.

/** A session token; nothing when nobody is signed in. */
type Token = string | null | undefined;

/** Returns a session token; with `skipCache` a fresh one, because the last was refused. */
export type GetToken = (options: { skipCache: boolean }) => Promise<Token> | Token;

/** What this client uses of Clerk's browser object. */
interface Clerk {
  loaded?: boolean;
  session?: { getToken(options?: { skipCache?: boolean }): Promise<string | null> } | null;
}

const LONGEST_WAIT_MS = 10_000;
const POLL_MS = 50;

/** Takes tokens from `window.Clerk`, if the page has one, waiting until it is loaded. */
export const clerkToken: GetToken = async ({ skipCache }) => {
  const page = globalThis as { Clerk?: Clerk };
  const deadline = Date.now() + LONGEST_WAIT_MS;
  while (page.Clerk?.loaded === false && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return (await page.Clerk?.session?.getToken({ skipCache })) ?? null;
};
