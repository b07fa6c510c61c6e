-- A picture of a file in about 25 bytes, so that a page paints something before any picture has arrived.
-- NULL until its first picture is made.
ALTER TABLE user_files ADD COLUMN thumbhash bytea CHECK (octet_length(thumbhash) BETWEEN 5 AND 40);
