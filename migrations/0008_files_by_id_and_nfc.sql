-- Administrators name a file by its id alone.
CREATE INDEX user_files_by_id ON user_files (id);

-- Labels and packages that look the same are the same: what people wrote is kept in NFC, as the names of files are.
UPDATE user_files SET package_name = normalize(package_name) WHERE package_name IS NOT NFC NORMALIZED;

CREATE FUNCTION pg_temp.labels_in_nfc(labels text[]) RETURNS text[] LANGUAGE sql AS $$
    SELECT coalesce(array_agg(label ORDER BY place), '{}')
      FROM (SELECT normalize(given) AS label, min(place) AS place
              FROM unnest(labels) WITH ORDINALITY AS sent (given, place) GROUP BY 1) AS kept
$$;
UPDATE user_files SET tags = pg_temp.labels_in_nfc(tags)
 WHERE array_to_string(tags, ' ') IS NOT NFC NORMALIZED;
UPDATE user_files SET usage_tags = pg_temp.labels_in_nfc(usage_tags)
 WHERE array_to_string(usage_tags, ' ') IS NOT NFC NORMALIZED;
UPDATE user_files SET character_names = pg_temp.labels_in_nfc(character_names)
 WHERE array_to_string(character_names, ' ') IS NOT NFC NORMALIZED;
DROP FUNCTION pg_temp.labels_in_nfc;
