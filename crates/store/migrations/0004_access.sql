-- What a grant is bound to, and peers that are guests.

ALTER TABLE peers ADD COLUMN expires_us BIGINT;  -- a guest is forgotten then

CREATE TABLE bound_grants (
    peer_id    TEXT    NOT NULL REFERENCES peers (id) ON DELETE CASCADE,
    selector   TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    terms      TEXT    NOT NULL,                 -- when, how long, until when, JSON
    asked      BOOLEAN NOT NULL,                 -- answers a request, beside other grants
    pin        TEXT,                             -- argon2id, PHC string
    totp       TEXT,                             -- RFC 6238 secret, base32
    totp_step  BIGINT  NOT NULL,                 -- the last that was used: none is good twice
    created_us BIGINT  NOT NULL,
    PRIMARY KEY (peer_id, selector, asked)
);
INSERT INTO bound_grants (peer_id, selector, role, terms, asked, totp_step, created_us)
    SELECT peer_id, selector, role, '{}', FALSE, 0, created_us FROM grants;
DROP TABLE grants;
ALTER TABLE bound_grants RENAME TO grants;
