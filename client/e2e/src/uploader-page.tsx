// A page of another application with the uploader alone. Its title shows what its listeners received.

import { createClient } from "@jam-storage/client";
import { FileUploader, StorageProvider, UploadList } from "@jam-storage/react";
import { createRoot } from "react-dom/client";

const asked = new URLSearchParams(location.search);
const service = asked.get("service") ?? "";
const client = createClient({ baseUrl: `${service}/api/`, getToken: () => asked.get("token") });
const tell = (what: string) => {
  document.title += `${what};`;
};

const root = document.getElementById("root");
if (root !== null)
  createRoot(root).render(
    <StorageProvider client={client}>
      <FileUploader
        immediate
        accept="image/*,.txt"
        maxFiles={2}
        maxSize={100_000}
        disabled={asked.has("disabled")}
        onUploaded={(files) => tell(`stored ${files.map(({ originalName }) => originalName).sort()}`)}
        onError={(errors) => tell(`refused ${errors.map(({ name, error }) => `${name} ${error.code}`)}`)}
      />
      <UploadList />
    </StorageProvider>,
  );
