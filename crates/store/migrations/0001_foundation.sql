-- Portable SQL: TEXT ids, BIGINT unix microseconds, BOOLEAN.

CREATE TABLE peers (
    id         TEXT    NOT NULL PRIMARY KEY, -- Ed25519 public key, hexadecimal
    name       TEXT    NOT NULL UNIQUE,
    trusted    BOOLEAN NOT NULL,
    reach      TEXT    NOT NULL,             -- where it was last reached, JSON
    created_us BIGINT  NOT NULL
);

CREATE TABLE grants (
    peer_id    TEXT   NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    selector   TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    created_us BIGINT NOT NULL,
    PRIMARY KEY (peer_id, selector)
);

CREATE TABLE devices (
    id     TEXT    NOT NULL PRIMARY KEY,
    name   TEXT    NOT NULL UNIQUE,
    shared BOOLEAN NOT NULL,
    kind   TEXT    NOT NULL                  -- what it was when last seen, JSON
);

CREATE TABLE attachments (
    peer_id    TEXT   NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    device_id  TEXT   NOT NULL,
    name       TEXT   NOT NULL,              -- what the peer called it when last seen
    via        TEXT   NOT NULL,
    created_us BIGINT NOT NULL,
    PRIMARY KEY (peer_id, device_id)
);

CREATE TABLE invites (
    secret_hash TEXT   NOT NULL PRIMARY KEY,
    expires_us  BIGINT NOT NULL,
    grants      TEXT   NOT NULL              -- what the hub that pairs with it may do, JSON
);

-- Append-only: each entry's hash covers the one before it.
CREATE TABLE audit (
    seq     BIGINT NOT NULL PRIMARY KEY,
    time_us BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    detail  TEXT   NOT NULL,
    hash    TEXT   NOT NULL
);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
