-- Resumable uploads: sessions that outlive connections, processes and reboots.

-- NULL: a resumable upload, which belongs to no process. Only its expiry ends it.
ALTER TABLE uploads ALTER COLUMN instance_id DROP NOT NULL;

-- What a resumable upload is beyond its row in uploads, which names its paths and holds its reservation while it is
-- open. This row stays when that one goes: with a file id the upload is complete, without one it was given up.
CREATE TABLE upload_sessions (
    user_id         text        NOT NULL REFERENCES user_storage (user_id)
  , id              uuid        NOT NULL
    -- SHA-256 of the secret in its URL; the secret itself is not kept.
  , secret_hash     bytea       NOT NULL CHECK (octet_length(secret_hash) = 32)
    -- NULL: not known yet.
  , length          bigint      CHECK (length >= 0)
    -- Bytes that are on disk whatever happens, and the SHA-256 under way over them, so that nothing is read twice.
  , durable_offset  bigint      NOT NULL DEFAULT 0 CHECK (durable_offset >= 0)
  , midstate        bytea       NOT NULL
    -- The boot of the kernel in which bytes may have been written after them: only the same one still has them.
    -- NULL: such bytes do not count.
  , boot_id         uuid
    -- Raised by every writer, and to ask one in another process to stop. Only the latest may record its progress.
  , writer_epoch    bigint      NOT NULL DEFAULT 0
    -- A file of its own, a part of one, or the whole that parts are joined to.
  , role            text        NOT NULL DEFAULT 'file' CHECK (role IN ('file', 'part', 'joined'))
    -- The parts, in their order.
  , part_ids        uuid[]      NOT NULL DEFAULT '{}'
    -- What its file will be called, be declared as and be described by.
  , original_name   text        NOT NULL CHECK (octet_length(original_name) BETWEEN 1 AND 255)
  , declared_type   text        CHECK (declared_type IN ('video', 'image', 'scene', 'project', 'audio'))
  , metadata        jsonb       NOT NULL
    -- The same as the client wrote it, to be told again.
  , sent_metadata   text
    -- What the whole content must hash to, if the client said.
  , expected_sha256 bytea       CHECK (octet_length(expected_sha256) = 32)
    -- The client's name for this creation: a repetition finds this row instead of making another.
  , idempotency_key text
    -- The finished file.
  , file_id         uuid
  , created_at      timestamptz NOT NULL DEFAULT now()
    -- Last progress. Ended sessions are forgotten a day after it.
  , touched_at      timestamptz NOT NULL DEFAULT now()
  , PRIMARY KEY (user_id, id)
  , CHECK (durable_offset <= length)
);
-- The URL of an upload names no user.
CREATE UNIQUE INDEX upload_sessions_by_id ON upload_sessions (id);
CREATE UNIQUE INDEX upload_sessions_by_key ON upload_sessions (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX upload_sessions_by_touch ON upload_sessions (touched_at);
