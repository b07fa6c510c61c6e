-- What the service may do with the owner's tables: read and write rows. Backups read. Run by the owner after migrations.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO jam;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO jam;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO "jam-backup";
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO "jam-backup";
-- Which migrations were applied is the owner's word.
DO $$
BEGIN
    IF to_regclass('public._sqlx_migrations') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON public._sqlx_migrations FROM jam;
    END IF;
END $$;
