-- What the virus scanner said about a file: 'pending', 'clean', 'infected', 'skipped' (too large for it); NULL when there
-- was no scanner when the file came. Values of newer releases are read as 'pending', so no constraint lists them.
SET LOCAL lock_timeout = '2s';

ALTER TABLE user_files ADD COLUMN scan_state text;
