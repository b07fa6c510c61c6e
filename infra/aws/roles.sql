-- Run by the tables' owner, once after the first migration and again after each: the functions' role, which reads and
-- writes rows and nothing else. psql --set=password=... --file=roles.sql
SELECT format('CREATE ROLE jam LOGIN PASSWORD %L', :'password')
 WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'jam') \gexec
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO jam;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO jam;
-- Which migrations were applied is the owner's word.
REVOKE INSERT, UPDATE, DELETE ON public._sqlx_migrations FROM jam;
