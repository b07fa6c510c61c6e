// Choosing files and saying what they are.

import { FileUploader } from "@jam-storage/react";
import { Dialog } from "../dialog.js";

interface UploadDialogProps {
  onClose: () => void;
  targetUserId?: string;
}

export function UploadDialog({ onClose, targetUserId }: UploadDialogProps) {
  const title = targetUserId === undefined ? "Upload" : `Upload for ${targetUserId}`;
  return (
    <Dialog title={title} wide onClose={onClose}>
      <FileUploader targetUserId={targetUserId} onStart={onClose} />
    </Dialog>
  );
}
