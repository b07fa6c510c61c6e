-- Films that browsers cannot stream get a derivative that they can, made by jobs that take long.

-- NULL: nobody has looked at the file yet.
ALTER TABLE user_files ADD COLUMN needs_playback boolean;

ALTER TABLE derivatives
    DROP CONSTRAINT derivatives_kind_check
  , ADD CONSTRAINT derivatives_kind_check CHECK (kind IN ('default', 'small', 'medium', 'large', 'playback'))
    -- Percent; NULL unless it is being made and takes long.
  , ADD COLUMN progress smallint CHECK (progress BETWEEN 0 AND 100);

-- Long jobs are run one at a time beside the others, so that they never hold them up.
ALTER TABLE jobs ADD COLUMN is_long boolean NOT NULL DEFAULT false;
DROP INDEX jobs_ready;
CREATE INDEX jobs_ready ON jobs (is_long, run_at) WHERE state = 'ready';
-- Whoever asks for a derivative, or wants it no more, finds its job by the file.
CREATE INDEX jobs_by_derived_file ON jobs ((task ->> 'file')) WHERE task ->> 'task' = 'derive';
