-- no-transaction
-- Listings by least width. A range in front of the order would need a sort, so the width stands at the end: what is too
-- narrow is skipped within the index, and the order is that of the page.
-- squawk-ignore require-lock-timeout
CREATE INDEX CONCURRENTLY user_files_by_width ON user_files (user_id, upload_date, id, width)
    WHERE deleted_at IS NULL AND width IS NOT NULL;
