-- The tables that every service has beside its own. Names and columns of `outbox` follow the
-- Debezium outbox router, so that change data capture can take the relay's place.

-- What was consumed already: one row per record, named by a digest of topic and deduplication
-- key (16 bytes, because this is the table with most rows), dropped after the retention.
CREATE TABLE inbox (
    event_id uuid PRIMARY KEY,
    processed_at timestamptz NOT NULL
);
CREATE INDEX inbox_processed_at ON inbox USING brin (processed_at) WITH (pages_per_range = 16);

-- What is to be published; the relay deletes a row once the broker has acknowledged it.
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL,
    aggregatetype text NOT NULL,
    aggregateid text NOT NULL,
    type text NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL,
    headers jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION outbox_notify() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('outbox', ''); RETURN NULL; END $$;
CREATE TRIGGER outbox_notify AFTER INSERT ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION outbox_notify();

-- Intents to act on the outside world. `due_at` is also the end of a lease, and `lease_token`
-- fences off an executor whose lease ran out.
CREATE TABLE effects (
    id text PRIMARY KEY,
    type text NOT NULL,
    payload jsonb NOT NULL,
    cause jsonb NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    lease_token uuid,
    last_error text
);
CREATE INDEX effects_due_at ON effects (due_at);

-- Messages to self at an instant. `generation` changes whenever the deadline is set again.
CREATE TABLE deadlines (
    name text NOT NULL,
    subject text NOT NULL,
    due_at timestamptz NOT NULL,
    type text NOT NULL,
    payload jsonb NOT NULL,
    cause jsonb NOT NULL,
    generation uuid NOT NULL,
    PRIMARY KEY (name, subject)
);
CREATE INDEX deadlines_due_at ON deadlines (due_at);

-- Messages that refer to something not known yet. `origin` is where and how the record came.
CREATE TABLE parked (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    event_id uuid PRIMARY KEY,
    keys text[] NOT NULL,
    until timestamptz NOT NULL,
    reason text NOT NULL,
    type text NOT NULL,
    payload jsonb NOT NULL,
    origin jsonb NOT NULL,
    parked_at timestamptz NOT NULL
);
CREATE INDEX parked_keys ON parked USING gin (keys) WITH (fastupdate = off);
CREATE INDEX parked_until ON parked (until);

-- Records that can never succeed, with their bytes, until an operator has looked.
-- `headers` is a list of [name, hexadecimal bytes]: a header need not be text.
CREATE TABLE quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key bytea,
    headers jsonb NOT NULL DEFAULT '[]',
    value bytea,
    reason text NOT NULL,
    return_id text,
    order_id text,
    at timestamptz NOT NULL,
    redrive_requested_at timestamptz,
    redriven_at timestamptz
);
CREATE INDEX quarantine_redrive ON quarantine (redrive_requested_at)
    WHERE redrive_requested_at IS NOT NULL;

-- Tables that grow and shrink all the time are vacuumed by rows that died, not by share.
ALTER TABLE outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE effects SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE deadlines SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE parked SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
