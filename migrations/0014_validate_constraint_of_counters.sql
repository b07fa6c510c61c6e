-- Reads the ledger once, while others write it.
SET LOCAL lock_timeout = '2s';
ALTER TABLE user_storage VALIDATE CONSTRAINT user_storage_counters_check;
