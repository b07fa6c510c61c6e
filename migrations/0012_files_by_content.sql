-- no-transaction
-- Which files show a content, and which have none yet.
-- squawk-ignore require-lock-timeout
CREATE INDEX CONCURRENTLY user_files_by_content ON user_files (user_id, content_id);
