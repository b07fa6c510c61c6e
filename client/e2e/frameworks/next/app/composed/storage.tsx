"use client";

import { createClient } from "@jam-storage/client";
import { StorageProvider } from "@jam-storage/react";
import type { ReactNode } from "react";

const client = createClient({ baseUrl: "https://files.example.com" });

export function Storage({ children }: { children: ReactNode }) {
  return <StorageProvider client={client}>{children}</StorageProvider>;
}
