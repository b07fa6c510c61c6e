-- Contents apart from names: a content is immutable bytes with what they are, a file is one name of a content. A copy and
-- an upload of known content are further names of one content; the ledger still counts each file. First step of three:
-- the release before works on this schema as it did, by the triggers below. docs/decisions/0044 has the steps.
SET LOCAL lock_timeout = '2s';

CREATE TABLE contents (
    user_id          text             NOT NULL,
    -- The id of the first file that showed it.
    id               uuid             NOT NULL,
    bucket           text             NOT NULL DEFAULT 'volume',
    -- Where its bytes are: what `file_path` says of one of the files that show it. Each has a hard link of its own until
    -- the release before is gone, which removes the path of a file that it purges.
    key              text             NOT NULL,
    size             bigint           NOT NULL,
    sha256           bytea            NOT NULL,
    mime_type        text             NOT NULL,
    -- Pixels.
    -- squawk-ignore prefer-bigint-over-int
    width            integer,
    -- squawk-ignore prefer-bigint-over-int
    height           integer,
    duration_seconds double precision,
    needs_playback   boolean,
    thumbhash        bytea,
    scan_state       text,
    created_at       timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, id),
    -- One, because each is parsed anew by each statement.
    CONSTRAINT contents_check CHECK (
        size >= 0 AND octet_length(sha256) = 32 AND width > 0 AND height > 0 AND duration_seconds >= 0
        AND octet_length(thumbhash) BETWEEN 5 AND 40)
);

-- The triggers below write here for the release before, whose role gets its rights to new tables only after the migration.
DO $$
DECLARE
    allowed record;
BEGIN
    FOR allowed IN
        SELECT grantee, privilege_type FROM information_schema.role_table_grants
         WHERE table_schema = 'public' AND table_name = 'user_files' AND grantee <> grantor
    LOOP
        EXECUTE format('GRANT %s ON contents TO %I', allowed.privilege_type, allowed.grantee);
    END LOOP;
END $$;

-- The content that a file shows. NULL only until `jam-admin migrate` has given each older file its content.
ALTER TABLE user_files ADD COLUMN content_id uuid;

-- A new file without a content brings its own. One with a content shows what that says.
CREATE FUNCTION give_content() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    shown contents;
BEGIN
    SELECT * INTO shown FROM contents WHERE user_id = NEW.user_id AND id = NEW.content_id;
    IF FOUND THEN
        NEW.width := shown.width;
        NEW.height := shown.height;
        NEW.duration_seconds := shown.duration_seconds;
        NEW.needs_playback := shown.needs_playback;
        NEW.thumbhash := shown.thumbhash;
        NEW.scan_state := shown.scan_state;
    ELSE
        NEW.content_id := NEW.id;
        INSERT INTO contents (user_id, id, bucket, key, size, sha256, mime_type, width, height, duration_seconds
                            , needs_playback, thumbhash, scan_state)
        VALUES (NEW.user_id, NEW.id, NEW.bucket, NEW.file_path, NEW.file_size, NEW.sha256, NEW.mime_type, NEW.width
              , NEW.height, NEW.duration_seconds, NEW.needs_playback, NEW.thumbhash, NEW.scan_state)
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER user_files_give_content BEFORE INSERT ON user_files
    FOR EACH ROW EXECUTE FUNCTION give_content();

-- Files repeat the facts of their content, because a page of a listing that joins takes twice as long.
CREATE FUNCTION show_content() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE user_files
       SET width = NEW.width, height = NEW.height, duration_seconds = NEW.duration_seconds
         , needs_playback = NEW.needs_playback, thumbhash = NEW.thumbhash, scan_state = NEW.scan_state
     WHERE user_id = NEW.user_id AND content_id = NEW.id
       AND (width, height, duration_seconds, needs_playback, thumbhash, scan_state)
           IS DISTINCT FROM
           (NEW.width, NEW.height, NEW.duration_seconds, NEW.needs_playback, NEW.thumbhash, NEW.scan_state);
    RETURN NULL;
END $$;

CREATE TRIGGER contents_changed
    AFTER UPDATE OF width, height, duration_seconds, needs_playback, thumbhash, scan_state ON contents
    FOR EACH ROW EXECUTE FUNCTION show_content();

-- The release before records facts with the file.
CREATE FUNCTION take_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE contents
       SET width = NEW.width, height = NEW.height, duration_seconds = NEW.duration_seconds
         , needs_playback = NEW.needs_playback, thumbhash = NEW.thumbhash, scan_state = NEW.scan_state
     WHERE user_id = NEW.user_id AND id = NEW.content_id;
    RETURN NULL;
END $$;

CREATE TRIGGER user_files_take_facts
    AFTER UPDATE OF width, height, duration_seconds, needs_playback, thumbhash, scan_state ON user_files
    FOR EACH ROW WHEN (
        pg_trigger_depth() = 0
        AND (OLD.width, OLD.height, OLD.duration_seconds, OLD.needs_playback, OLD.thumbhash, OLD.scan_state)
            IS DISTINCT FROM
            (NEW.width, NEW.height, NEW.duration_seconds, NEW.needs_playback, NEW.thumbhash, NEW.scan_state))
    EXECUTE FUNCTION take_facts();

-- A content lives as long as a file shows it, and what was made of it with it. Its bytes are then at the path of a file
-- that is left.
CREATE FUNCTION release_contents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM contents c
     USING removed r
     WHERE c.user_id = r.user_id AND c.id = coalesce(r.content_id, r.id)
       AND NOT EXISTS (SELECT FROM user_files f WHERE f.user_id = c.user_id AND f.content_id = c.id);

    DELETE FROM derivatives d
     USING removed r
     WHERE d.user_id = r.user_id AND d.file_id = coalesce(r.content_id, r.id)
       AND NOT EXISTS (SELECT FROM user_files f WHERE f.user_id = d.user_id AND f.content_id = d.file_id);

    UPDATE contents c
       SET key = other.file_path
      FROM removed r
     CROSS JOIN LATERAL (
            SELECT f.file_path FROM user_files f
             WHERE f.user_id = r.user_id AND f.content_id = r.content_id
             ORDER BY f.id LIMIT 1) other
     WHERE c.user_id = r.user_id AND c.id = r.content_id AND c.key = r.file_path;
    RETURN NULL;
END $$;

CREATE TRIGGER user_files_released AFTER DELETE ON user_files
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION release_contents();

-- `derivatives.file_id` is the id of a content from here on. The release before says a file's.
-- squawk-ignore ban-drop-constraint
ALTER TABLE derivatives DROP CONSTRAINT derivatives_user_id_file_id_fkey;

CREATE FUNCTION make_of_content() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.file_id := coalesce(
        (SELECT f.content_id FROM user_files f WHERE f.user_id = NEW.user_id AND f.id = NEW.file_id)
      , NEW.file_id);
    RETURN NEW;
END $$;

CREATE TRIGGER derivatives_make_of_content BEFORE INSERT ON derivatives
    FOR EACH ROW EXECUTE FUNCTION make_of_content();
