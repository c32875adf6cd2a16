-- Files that a machine is to run, has run, or was running when the power went.

CREATE TABLE jobs (
    id         BIGINT NOT NULL PRIMARY KEY,
    device_id  TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    bytes      BIGINT NOT NULL,
    sha256     TEXT   NOT NULL,           -- of the whole content, hexadecimal
    state      TEXT   NOT NULL,           -- the hub's own word
    line       BIGINT NOT NULL DEFAULT 0, -- the last one that the machine has taken
    made_by    TEXT   NOT NULL,
    on_loss    TEXT   NOT NULL,           -- the hub's own word
    found      TEXT   NOT NULL DEFAULT '{}', -- what the check found: the hub's own JSON
    problem    TEXT,
    created_us BIGINT NOT NULL,
    started_us BIGINT,
    ended_us   BIGINT
);

CREATE INDEX jobs_of_device ON jobs (device_id, id);
