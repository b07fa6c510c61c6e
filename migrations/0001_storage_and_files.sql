-- The ledger (one row a user) and the files (one row a file). Everything is keyed by (user_id, id),
-- and no query crosses users, so that users can be moved to other databases one day.

CREATE TABLE user_storage (
    user_id        text        PRIMARY KEY CHECK (user_id ~ '^[A-Za-z0-9_-]{1,64}$')
  , max_bytes      bigint      NOT NULL DEFAULT 10737418240 CHECK (max_bytes >= 0)
    -- Stored files, trash included. Kept by the triggers below, never written by the service.
  , total_bytes    bigint      NOT NULL DEFAULT 0 CHECK (total_bytes >= 0)
  , file_count     bigint      NOT NULL DEFAULT 0 CHECK (file_count >= 0)
    -- The part of them that is in the trash.
  , trash_bytes    bigint      NOT NULL DEFAULT 0 CHECK (trash_bytes >= 0)
  , trash_count    bigint      NOT NULL DEFAULT 0 CHECK (trash_count >= 0)
    -- The part that is not, by type.
  , video_bytes    bigint      NOT NULL DEFAULT 0 CHECK (video_bytes >= 0)
  , video_count    bigint      NOT NULL DEFAULT 0 CHECK (video_count >= 0)
  , image_bytes    bigint      NOT NULL DEFAULT 0 CHECK (image_bytes >= 0)
  , image_count    bigint      NOT NULL DEFAULT 0 CHECK (image_count >= 0)
  , scene_bytes    bigint      NOT NULL DEFAULT 0 CHECK (scene_bytes >= 0)
  , scene_count    bigint      NOT NULL DEFAULT 0 CHECK (scene_count >= 0)
  , project_bytes  bigint      NOT NULL DEFAULT 0 CHECK (project_bytes >= 0)
  , project_count  bigint      NOT NULL DEFAULT 0 CHECK (project_count >= 0)
  , audio_bytes    bigint      NOT NULL DEFAULT 0 CHECK (audio_bytes >= 0)
  , audio_count    bigint      NOT NULL DEFAULT 0 CHECK (audio_count >= 0)
    -- Promised to uploads under way: the sum of their rows' reserved_bytes.
  , reserved_bytes bigint      NOT NULL DEFAULT 0 CHECK (reserved_bytes >= 0)
    -- Raised to revoke every signed URL of this user.
  , url_epoch      integer     NOT NULL DEFAULT 0
  , created_at     timestamptz NOT NULL DEFAULT now()
  , updated_at     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50); -- updated by every upload: room on the page keeps those updates off the index

CREATE TABLE user_files (
    user_id          text             NOT NULL REFERENCES user_storage (user_id)
  , id               uuid             NOT NULL
  , file_name        text             NOT NULL
    -- People read names: sort them as people do, not by byte.
  , original_name    text             NOT NULL COLLATE "und-x-icu" CHECK (octet_length(original_name) BETWEEN 1 AND 255)
  , file_type        text             NOT NULL CHECK (file_type IN ('video', 'image', 'scene', 'project', 'audio'))
  , mime_type        text             NOT NULL
  , file_size        bigint           NOT NULL CHECK (file_size >= 0)
    -- Which store holds the bytes; an object store becomes a second value.
  , bucket           text             NOT NULL DEFAULT 'volume' CHECK (bucket IN ('volume'))
    -- Relative to the storage root.
  , file_path        text             NOT NULL
  , sha256           bytea            NOT NULL CHECK (octet_length(sha256) = 32)
  , width            integer          CHECK (width > 0)
  , height           integer          CHECK (height > 0)
  , duration_seconds double precision CHECK (duration_seconds >= 0)
  , package_name     text
  , tags             text[]           NOT NULL DEFAULT '{}'
  , is_favorite      boolean          NOT NULL DEFAULT false
    -- Asset fields that a listing filters by are columns; those that only travel with the file are one document.
  , asset_category   text             CHECK (asset_category IN ('character', 'object', 'scene', 'greenscreen', 'background', 'full_video', 'clip', 'template', 'audio'))
  , usage_tags       text[]           NOT NULL DEFAULT '{}'
  , character_names  text[]           NOT NULL DEFAULT '{}'
  , audio_category   text             CHECK (audio_category IN ('jingle', 'commercial_song', 'radio_song', 'voiceover', 'sfx', 'background_music'))
  , asset_details    jsonb            NOT NULL DEFAULT '{}'
    -- Raised to revoke every signed URL of this file.
  , url_epoch        integer          NOT NULL DEFAULT 0
  , upload_date      timestamptz      NOT NULL DEFAULT now()
  , created_at       timestamptz      NOT NULL DEFAULT now()
  , updated_at       timestamptz      NOT NULL DEFAULT now()
  , deleted_at       timestamptz
  , PRIMARY KEY (user_id, id)
);

-- One index a sort order; the id breaks ties, so that a cursor has exactly one place to continue from.
CREATE INDEX user_files_by_upload_date   ON user_files (user_id, upload_date, id)   WHERE deleted_at IS NULL;
CREATE INDEX user_files_by_created_at    ON user_files (user_id, created_at, id)    WHERE deleted_at IS NULL;
CREATE INDEX user_files_by_original_name ON user_files (user_id, original_name, id) WHERE deleted_at IS NULL;
CREATE INDEX user_files_by_file_name     ON user_files (user_id, file_name, id)     WHERE deleted_at IS NULL;
CREATE INDEX user_files_by_file_size     ON user_files (user_id, file_size, id)     WHERE deleted_at IS NULL;
CREATE INDEX user_files_by_duration      ON user_files (user_id, coalesce(duration_seconds, -1::double precision), id) WHERE deleted_at IS NULL;
-- One a filter, in the default order.
CREATE INDEX user_files_by_type           ON user_files (user_id, file_type, upload_date, id)      WHERE deleted_at IS NULL;
CREATE INDEX user_files_by_package        ON user_files (user_id, package_name, upload_date, id)   WHERE deleted_at IS NULL AND package_name IS NOT NULL;
CREATE INDEX user_files_by_asset_category ON user_files (user_id, asset_category, upload_date, id) WHERE deleted_at IS NULL AND asset_category IS NOT NULL;
CREATE INDEX user_files_by_audio_category ON user_files (user_id, audio_category, upload_date, id) WHERE deleted_at IS NULL AND audio_category IS NOT NULL;
CREATE INDEX user_files_favorites         ON user_files (user_id, upload_date, id)                 WHERE deleted_at IS NULL AND is_favorite;
CREATE INDEX user_files_by_tags            ON user_files USING gin (tags);
CREATE INDEX user_files_by_usage_tags      ON user_files USING gin (usage_tags);
CREATE INDEX user_files_by_character_names ON user_files USING gin (character_names);
-- The trash, and what in it is due for removal.
CREATE INDEX user_files_trash ON user_files (user_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX user_files_trash_due ON user_files (deleted_at) WHERE deleted_at IS NOT NULL;

-- Statement level: a batch of 500 files costs one update of the user's row.
CREATE FUNCTION update_user_storage() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    UPDATE user_storage s
       SET total_bytes   = s.total_bytes   + sign * d.total_bytes,   file_count    = s.file_count    + sign * d.file_count
         , trash_bytes   = s.trash_bytes   + sign * d.trash_bytes,   trash_count   = s.trash_count   + sign * d.trash_count
         , video_bytes   = s.video_bytes   + sign * d.video_bytes,   video_count   = s.video_count   + sign * d.video_count
         , image_bytes   = s.image_bytes   + sign * d.image_bytes,   image_count   = s.image_count   + sign * d.image_count
         , scene_bytes   = s.scene_bytes   + sign * d.scene_bytes,   scene_count   = s.scene_count   + sign * d.scene_count
         , project_bytes = s.project_bytes + sign * d.project_bytes, project_count = s.project_count + sign * d.project_count
         , audio_bytes   = s.audio_bytes   + sign * d.audio_bytes,   audio_count   = s.audio_count   + sign * d.audio_count
         , updated_at    = now()
      FROM (
        SELECT user_id
             , sum(file_size)::bigint AS total_bytes, count(*) AS file_count
             , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NOT NULL), 0)::bigint AS trash_bytes
             , count(*) FILTER (WHERE deleted_at IS NOT NULL) AS trash_count
             , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NULL AND file_type = 'video'), 0)::bigint AS video_bytes
             , count(*) FILTER (WHERE deleted_at IS NULL AND file_type = 'video') AS video_count
             , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NULL AND file_type = 'image'), 0)::bigint AS image_bytes
             , count(*) FILTER (WHERE deleted_at IS NULL AND file_type = 'image') AS image_count
             , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NULL AND file_type = 'scene'), 0)::bigint AS scene_bytes
             , count(*) FILTER (WHERE deleted_at IS NULL AND file_type = 'scene') AS scene_count
             , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NULL AND file_type = 'project'), 0)::bigint AS project_bytes
             , count(*) FILTER (WHERE deleted_at IS NULL AND file_type = 'project') AS project_count
             , coalesce(sum(file_size) FILTER (WHERE deleted_at IS NULL AND file_type = 'audio'), 0)::bigint AS audio_bytes
             , count(*) FILTER (WHERE deleted_at IS NULL AND file_type = 'audio') AS audio_count
          FROM changed
         GROUP BY user_id
      ) d
     WHERE s.user_id = d.user_id;
    RETURN NULL;
END $$;

-- A change of type, size or trash moves bytes between counters; every other change leaves the ledger alone.
-- It is the removal of the old rows and the insertion of the new ones, summed up.
CREATE FUNCTION update_user_storage_on_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE user_storage s
       SET total_bytes   = s.total_bytes   + d.total_bytes
         , trash_bytes   = s.trash_bytes   + d.trash_bytes,   trash_count   = s.trash_count   + d.trash_count
         , video_bytes   = s.video_bytes   + d.video_bytes,   video_count   = s.video_count   + d.video_count
         , image_bytes   = s.image_bytes   + d.image_bytes,   image_count   = s.image_count   + d.image_count
         , scene_bytes   = s.scene_bytes   + d.scene_bytes,   scene_count   = s.scene_count   + d.scene_count
         , project_bytes = s.project_bytes + d.project_bytes, project_count = s.project_count + d.project_count
         , audio_bytes   = s.audio_bytes   + d.audio_bytes,   audio_count   = s.audio_count   + d.audio_count
         , updated_at    = now()
      FROM (
        SELECT user_id
             , sum(sign * file_size)::bigint AS total_bytes
             , coalesce(sum(sign * file_size) FILTER (WHERE trashed), 0)::bigint AS trash_bytes
             , coalesce(sum(sign) FILTER (WHERE trashed), 0) AS trash_count
             , coalesce(sum(sign * file_size) FILTER (WHERE NOT trashed AND file_type = 'video'), 0)::bigint AS video_bytes
             , coalesce(sum(sign) FILTER (WHERE NOT trashed AND file_type = 'video'), 0) AS video_count
             , coalesce(sum(sign * file_size) FILTER (WHERE NOT trashed AND file_type = 'image'), 0)::bigint AS image_bytes
             , coalesce(sum(sign) FILTER (WHERE NOT trashed AND file_type = 'image'), 0) AS image_count
             , coalesce(sum(sign * file_size) FILTER (WHERE NOT trashed AND file_type = 'scene'), 0)::bigint AS scene_bytes
             , coalesce(sum(sign) FILTER (WHERE NOT trashed AND file_type = 'scene'), 0) AS scene_count
             , coalesce(sum(sign * file_size) FILTER (WHERE NOT trashed AND file_type = 'project'), 0)::bigint AS project_bytes
             , coalesce(sum(sign) FILTER (WHERE NOT trashed AND file_type = 'project'), 0) AS project_count
             , coalesce(sum(sign * file_size) FILTER (WHERE NOT trashed AND file_type = 'audio'), 0)::bigint AS audio_bytes
             , coalesce(sum(sign) FILTER (WHERE NOT trashed AND file_type = 'audio'), 0) AS audio_count
          FROM (
            SELECT o.user_id, change.*
              FROM old_rows o
              JOIN new_rows n USING (user_id, id)
             CROSS JOIN LATERAL (VALUES
                    (-1, o.file_size, o.file_type, o.deleted_at IS NOT NULL)
                  , ( 1, n.file_size, n.file_type, n.deleted_at IS NOT NULL)
                  ) AS change (sign, file_size, file_type, trashed)
             WHERE (o.file_size, o.file_type, o.deleted_at IS NULL) IS DISTINCT FROM (n.file_size, n.file_type, n.deleted_at IS NULL)
          ) changes
         GROUP BY user_id
      ) d
     WHERE s.user_id = d.user_id;
    RETURN NULL;
END $$;

CREATE TRIGGER user_files_inserted AFTER INSERT ON user_files
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION update_user_storage();
CREATE TRIGGER user_files_deleted AFTER DELETE ON user_files
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION update_user_storage();
CREATE TRIGGER user_files_changed AFTER UPDATE ON user_files
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION update_user_storage_on_change();

-- Whether a user could store this many bytes now. The service itself decides by one conditional UPDATE; this is for SQL users.
CREATE FUNCTION check_storage_available(p_user_id text, p_bytes bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT total_bytes + reserved_bytes + p_bytes <= max_bytes FROM user_storage WHERE user_id = p_user_id)
      , p_bytes <= 10737418240)
$$;
