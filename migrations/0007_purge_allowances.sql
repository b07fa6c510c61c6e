-- What an operator lets the janitor remove from the trash beyond what it removes at once by itself.

CREATE TABLE purge_allowances (
    -- Whatever went to the trash before may be removed as soon as its time there is over.
    trashed_before timestamptz NOT NULL
  , allowed_at     timestamptz NOT NULL DEFAULT now()
);
