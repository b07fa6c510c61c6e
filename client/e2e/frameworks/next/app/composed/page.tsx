import { FileUploader, UploadList } from "@jam-storage/react";
import "@jam-storage/react/styles.css";
import { Storage } from "./storage";

/** A server component that renders the package's components. */
export default function Page() {
  return (
    <Storage>
      <FileUploader immediate />
      <UploadList />
    </Storage>
  );
}
