import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Where `./local-dev/up` runs, for `npm run dev`. */
const service = "http://127.0.0.1:3001";

export default defineConfig({
  plugins: [react()],
  build: { target: "es2022", reportCompressedSize: true },
  server: { proxy: { "/api": service, "/f": service, "/health": service, "/local": service } },
});
