-- Users who left: told by the identity provider's webhooks.

-- When the identity provider deleted the user. The row stays, with a quota of nothing, so that neither a late delivery
-- nor a token that is still valid sets storage up again.
ALTER TABLE user_storage ADD COLUMN deleted_at timestamptz;

-- Deliveries that were acted on: a repetition does nothing.
CREATE TABLE webhook_deliveries (
    id          text        PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 255)
  , received_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (received_at);
