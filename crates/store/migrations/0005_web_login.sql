-- Who may open the web UI from the network, and who has.

CREATE TABLE web_accounts (
    name       TEXT   NOT NULL PRIMARY KEY,
    password   TEXT   NOT NULL,              -- argon2id, PHC string
    changed_us BIGINT NOT NULL
);

CREATE TABLE web_sessions (
    id         TEXT   NOT NULL PRIMARY KEY,  -- what people call it
    account    TEXT   NOT NULL REFERENCES web_accounts (name) ON DELETE CASCADE,
    token_hash TEXT   NOT NULL UNIQUE,       -- BLAKE3 of the cookie
    since_us   BIGINT NOT NULL,
    seen_us    BIGINT NOT NULL,
    address    TEXT   NOT NULL,
    agent      TEXT   NOT NULL
);
