-- When a ticket was handed to the account manager. A column added to a protected table is protected with it.
ALTER TABLE tickets ADD COLUMN escalated_at timestamptz CHECK (escalated_at >= opened_at);
