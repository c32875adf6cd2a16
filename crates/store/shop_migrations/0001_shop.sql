-- The print shop. The same text runs on SQLite and on PostgreSQL: ids are TEXT and made by the
-- program, times are microseconds since 1970 (UTC), money and weights are whole numbers.

CREATE TABLE printers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    protocol TEXT NOT NULL,
    host TEXT NOT NULL,
    port INTEGER NOT NULL,
    files_port INTEGER NOT NULL,
    tls BOOLEAN NOT NULL,
    serial_number TEXT NOT NULL,
    user_name TEXT NOT NULL,
    pin TEXT,
    model TEXT NOT NULL,
    location TEXT NOT NULL,
    tags TEXT NOT NULL,
    settings TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    bed_clear BOOLEAN NOT NULL,
    -- sealed, see store::shop::secret
    secret BYTEA,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL
);

-- A job outlives its printer, and keeps the name that the printer had.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    printer_id TEXT NOT NULL,
    printer_name TEXT NOT NULL,
    own_id TEXT,
    name TEXT NOT NULL,
    path TEXT,
    hash TEXT,
    queue_run TEXT,
    state TEXT NOT NULL,
    reason TEXT,
    started_us BIGINT NOT NULL,
    ended_us BIGINT,
    seen_us BIGINT NOT NULL,
    printed_s BIGINT,
    paused_s BIGINT NOT NULL,
    progress_permille BIGINT NOT NULL,
    layer BIGINT,
    layers BIGINT,
    filament_um BIGINT,
    filament_mg BIGINT,
    estimate_s BIGINT,
    known_by TEXT NOT NULL,
    made_by TEXT NOT NULL,
    note TEXT NOT NULL,
    -- lower-case words of the name and the printer, and of the note: neither engine can lower-case
    -- all of Unicode as the other does
    search TEXT NOT NULL,
    note_search TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL
);
CREATE INDEX jobs_by_start ON jobs (started_us, id);
CREATE INDEX jobs_of_printer ON jobs (printer_id, started_us, id);
CREATE INDEX jobs_open ON jobs (printer_id) WHERE ended_us IS NULL;

CREATE TABLE job_events (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    time_us BIGINT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (job_id, seq)
);

-- Contents, which lie in the file system under their hash.
CREATE TABLE blobs (
    hash TEXT PRIMARY KEY,
    bytes BIGINT NOT NULL,
    kind TEXT NOT NULL,
    meta TEXT NOT NULL,
    created_us BIGINT NOT NULL
);

-- Where a content lies under which name: the library, a printer, a watched folder.
CREATE TABLE files (
    id TEXT PRIMARY KEY,
    place TEXT NOT NULL,
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    bytes BIGINT,
    changed_us BIGINT,
    hash TEXT,
    state TEXT NOT NULL,
    problem TEXT,
    note TEXT NOT NULL,
    search TEXT NOT NULL,
    seen_us BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    UNIQUE (place, path)
);
CREATE INDEX files_by_hash ON files (hash);

CREATE TABLE file_tags (
    file_id TEXT NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (file_id, tag)
);
CREATE INDEX file_tags_by_tag ON file_tags (tag);

CREATE TABLE queue_items (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL,
    file_name TEXT NOT NULL,
    title TEXT NOT NULL,
    targets TEXT NOT NULL,
    needs TEXT NOT NULL,
    options TEXT NOT NULL,
    copies BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    due_us BIGINT,
    held BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    position BIGINT NOT NULL,
    note TEXT NOT NULL,
    made_by TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL
);

CREATE TABLE queue_runs (
    id TEXT PRIMARY KEY,
    item_id TEXT NOT NULL REFERENCES queue_items (id) ON DELETE CASCADE,
    printer_id TEXT NOT NULL,
    state TEXT NOT NULL,
    job_id TEXT,
    problem TEXT,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL
);
CREATE INDEX queue_runs_of_item ON queue_runs (item_id);
-- A printer does one thing at a time, whoever claims.
CREATE UNIQUE INDEX queue_runs_open ON queue_runs (printer_id)
    WHERE state IN ('claimed', 'uploading', 'starting', 'printing');

CREATE TABLE folders (
    id TEXT PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    recursive BOOLEAN NOT NULL,
    enabled BOOLEAN NOT NULL,
    created_us BIGINT NOT NULL
);

CREATE TABLE channels (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    events TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    last_us BIGINT,
    last_problem TEXT,
    -- sealed, see store::shop::secret
    settings BYTEA,
    created_us BIGINT NOT NULL
);

-- Which hub watches a printer, until when.
CREATE TABLE leases (
    printer_id TEXT PRIMARY KEY,
    hub TEXT NOT NULL,
    until_us BIGINT NOT NULL
);

-- What the watching hub has seen last, for the others.
CREATE TABLE seen (
    printer_id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    time_us BIGINT NOT NULL
);
