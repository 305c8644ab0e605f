-- One row per order: the aggregate, and what SQL has to see of it.
CREATE TABLE order_money (
    order_id text PRIMARY KEY,
    version bigint NOT NULL,
    customer_id text NOT NULL,
    loyalty_account text NOT NULL,
    currency text NOT NULL,
    document jsonb NOT NULL
);

-- From a processor's reference to the orders that it belongs to: webhooks name nothing else.
CREATE TABLE payments (
    order_id text NOT NULL,
    payment_id text NOT NULL,
    processor text NOT NULL,
    processor_reference text NOT NULL,
    PRIMARY KEY (order_id, payment_id, processor_reference)
);
CREATE INDEX payments_reference ON payments (processor_reference);

-- Double entry, append-only: a correction is another entry. Within one book and holder, `amount`
-- of `unit` (a currency's minor unit, or points) moves from `source` to `target`.
CREATE TABLE ledger (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    book text NOT NULL CHECK (book IN ('payment', 'store_credit', 'loyalty', 'reversal')),
    holder text NOT NULL,
    order_id text NOT NULL,
    source text NOT NULL,
    target text NOT NULL CHECK (target <> source),
    amount bigint NOT NULL CHECK (amount > 0),
    unit text NOT NULL,
    test boolean NOT NULL,
    return_id text,
    refund_id text,
    cause text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX ledger_order ON ledger (order_id);
CREATE INDEX ledger_refund ON ledger (refund_id) WHERE refund_id IS NOT NULL;

-- What the ledger's payment book adds up to. Never more goes out than came in: at every instant,
-- whoever writes, whatever the program believes.
CREATE TABLE payment_balances (
    order_id text NOT NULL,
    payment_id text NOT NULL,
    test boolean NOT NULL,
    currency text NOT NULL,
    captured bigint NOT NULL DEFAULT 0 CHECK (captured >= 0),
    reserved bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    pending bigint NOT NULL DEFAULT 0 CHECK (pending >= 0),
    settled bigint NOT NULL DEFAULT 0 CHECK (settled >= 0),
    unknown bigint NOT NULL DEFAULT 0 CHECK (unknown >= 0),
    disputed bigint NOT NULL DEFAULT 0 CHECK (disputed >= 0),
    PRIMARY KEY (order_id, payment_id, test),
    CONSTRAINT never_more_than_captured
        CHECK (reserved + pending + settled + unknown <= captured)
);

-- What customers hold: store credit per currency, points per program.
CREATE TABLE account_balances (
    book text NOT NULL,
    holder text NOT NULL,
    unit text NOT NULL,
    test boolean NOT NULL,
    balance bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (book, holder, unit, test),
    -- Points may be owed (they were spent before the goods came back); credit may not.
    CONSTRAINT credit_is_not_overdrawn CHECK (book <> 'store_credit' OR balance >= 0)
);

CREATE FUNCTION keep_balances() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
BEGIN
    -- Rows first, without amounts: a CHECK would judge the difference instead of the sum.
    INSERT INTO payment_balances (order_id, payment_id, test, currency)
    SELECT DISTINCT order_id, holder, test, unit FROM entries WHERE book = 'payment'
    ORDER BY order_id, holder, test
    ON CONFLICT DO NOTHING;
    UPDATE payment_balances AS kept SET
        captured = kept.captured - change.customer,
        reserved = kept.reserved + change.reserved,
        pending = kept.pending + change.pending,
        settled = kept.settled + change.settled,
        unknown = kept.unknown + change.unknown,
        disputed = kept.disputed + change.disputed
    FROM (
        SELECT order_id, holder, test,
            sum(amount) FILTER (WHERE account = 'customer') AS customer,
            sum(amount) FILTER (WHERE account = 'reserved') AS reserved,
            sum(amount) FILTER (WHERE account = 'pending') AS pending,
            sum(amount) FILTER (WHERE account = 'settled') AS settled,
            sum(amount) FILTER (WHERE account = 'unknown') AS unknown,
            sum(amount) FILTER (WHERE account = 'disputed') AS disputed
        FROM (
            SELECT order_id, holder, test, target AS account, amount
            FROM entries WHERE book = 'payment'
            UNION ALL
            SELECT order_id, holder, test, source, -amount FROM entries WHERE book = 'payment'
            UNION ALL
            SELECT order_id, holder, test, account, 0 FROM entries,
                unnest(ARRAY['customer', 'reserved', 'pending', 'settled', 'unknown', 'disputed'])
                    AS account
            WHERE book = 'payment'
        ) AS sides GROUP BY order_id, holder, test
    ) AS change
    WHERE kept.order_id = change.order_id AND kept.payment_id = change.holder
        AND kept.test = change.test;

    INSERT INTO account_balances (book, holder, unit, test)
    SELECT DISTINCT book, holder, unit, test FROM entries WHERE book <> 'payment'
    ORDER BY book, holder, unit, test
    ON CONFLICT DO NOTHING;
    UPDATE account_balances AS kept SET balance = kept.balance + change.balance
    FROM (
        SELECT book, holder, unit, test,
            sum(CASE WHEN target = 'customer' THEN amount
                     WHEN source = 'customer' THEN -amount ELSE 0 END) AS balance
        FROM entries WHERE book <> 'payment' GROUP BY book, holder, unit, test
    ) AS change
    WHERE kept.book = change.book AND kept.holder = change.holder
        AND kept.unit = change.unit AND kept.test = change.test;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_balances AFTER INSERT ON ledger
    REFERENCING NEW TABLE AS entries FOR EACH STATEMENT EXECUTE FUNCTION keep_balances();

-- A refund as it was released: written once, before anything is submitted.
CREATE TABLE refund_intents (
    refund_id text PRIMARY KEY,
    return_id text NOT NULL,
    order_id text NOT NULL,
    method text NOT NULL,
    payment_id text,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    decision_sequence integer NOT NULL,
    replaces_refund_id text,
    test boolean NOT NULL,
    cause text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX refund_intents_return ON refund_intents (return_id);

-- Every change of a refund's state.
CREATE TABLE refund_moves (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    refund_id text NOT NULL,
    event text NOT NULL,
    state text NOT NULL,
    attempt integer NOT NULL,
    idempotency_key text NOT NULL,
    processor_reference text,
    detail text NOT NULL,
    cause text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX refund_moves_refund ON refund_moves (refund_id);

-- The right to submit under a key: whoever inserts the row submits, nobody else ever does.
CREATE TABLE submissions (
    refund_id text NOT NULL,
    attempt integer NOT NULL,
    tries integer NOT NULL,
    idempotency_key text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (refund_id, attempt, tries)
);

-- Credit notes: numbers without gaps within a series, given under its lock.
CREATE TABLE credit_notes (
    series text NOT NULL,
    ordinal bigint NOT NULL CHECK (ordinal > 0),
    number text NOT NULL UNIQUE,
    order_id text NOT NULL,
    return_id text NOT NULL,
    refund_id text NOT NULL,
    rate_bps integer NOT NULL,
    net bigint NOT NULL,
    tax bigint NOT NULL,
    currency text NOT NULL,
    original_reference text NOT NULL,
    period text NOT NULL,
    test boolean NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (series, ordinal)
);
CREATE INDEX credit_notes_period ON credit_notes (period);

CREATE TABLE store_credits (
    credit_id text PRIMARY KEY,
    customer_id text NOT NULL,
    order_id text NOT NULL,
    return_id text NOT NULL,
    refund_id text NOT NULL UNIQUE,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    test boolean NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX store_credits_customer ON store_credits (customer_id);

-- Events that a processor sent and signed. Their bodies may name people, so only what is needed
-- to look the object up is kept, with a digest of the bytes.
CREATE TABLE webhook_events (
    event_id text PRIMARY KEY,
    type text NOT NULL,
    object_type text NOT NULL,
    object_id text NOT NULL,
    body_sha256 text NOT NULL,
    order_id text,
    at timestamptz NOT NULL
);
