-- Work under way: files coming in, pictures made from files, jobs of the worker.

-- An upload session: one file on its way in. Its row names every path it may use on the volume before the path exists,
-- and holds the reservation, so that a crash at any point leaves a row that tells the janitor what to undo or finish.
CREATE TABLE uploads (
    user_id        text        NOT NULL REFERENCES user_storage (user_id)
  , id             uuid        NOT NULL
    -- The id the finished file will have.
  , file_id        uuid        NOT NULL
  , state          text        NOT NULL DEFAULT 'receiving' CHECK (state IN ('receiving', 'finalizing', 'cancelling'))
  , reserved_bytes bigint      NOT NULL CHECK (reserved_bytes >= 0)
  , staging_path   text        NOT NULL
    -- Where the finished bytes go; settled before they are renamed.
  , final_path     text        NOT NULL
    -- The process that receives it; its lock file on the volume proves it alive.
  , instance_id    uuid        NOT NULL
  , created_at     timestamptz NOT NULL DEFAULT now()
  , expires_at     timestamptz NOT NULL
  , PRIMARY KEY (user_id, id)
);
CREATE INDEX uploads_by_instance ON uploads (instance_id);
CREATE INDEX uploads_by_expiry ON uploads (expires_at);

-- Something made from a file's bytes that can be made again. The row names its path before the path exists.
CREATE TABLE derivatives (
    user_id          text        NOT NULL
  , file_id          uuid        NOT NULL
  , kind             text        NOT NULL CHECK (kind IN ('default', 'small', 'medium', 'large'))
  , mime_type        text        NOT NULL
  , path             text        NOT NULL
  , state            text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'ready', 'failed'))
  , file_size        bigint      CHECK (file_size > 0)
    -- Why it failed, for the file's owner.
  , error            text
    -- Whoever holds an unexpired lease makes it; everybody else waits.
  , lease_expires_at timestamptz
  , updated_at       timestamptz NOT NULL DEFAULT now()
  , PRIMARY KEY (user_id, file_id, kind, mime_type)
  , FOREIGN KEY (user_id, file_id) REFERENCES user_files (user_id, id) ON DELETE CASCADE
  , CHECK ((state = 'ready') = (file_size IS NOT NULL))
);

-- Work for the worker. A finished job's row is gone; a dead one stays with its reason until an operator retries it.
CREATE TABLE jobs (
    id               uuid        PRIMARY KEY
  , user_id          text        NOT NULL
  , task             jsonb       NOT NULL
  , state            text        NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'running', 'dead'))
  , attempts         integer     NOT NULL DEFAULT 0
  , run_at           timestamptz NOT NULL DEFAULT now()
    -- Whoever holds the current token may finish the job; a lapsed lease lets another worker take it.
  , lease_token      uuid
  , lease_expires_at timestamptz
  , last_error       text
  , created_at       timestamptz NOT NULL DEFAULT now()
  , CHECK ((state = 'running') = (lease_token IS NOT NULL AND lease_expires_at IS NOT NULL))
);
CREATE INDEX jobs_ready ON jobs (run_at) WHERE state = 'ready';
CREATE INDEX jobs_running ON jobs (lease_expires_at) WHERE state = 'running';
