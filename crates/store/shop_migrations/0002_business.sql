-- What a shop that sells knows: its spools, its customers, what they ordered. Money is whole cents
-- with the currency beside it, weights are milligrams. `extra` is a JSON object of what came with
-- a row that was imported and has no column of its own.

CREATE TABLE materials (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    brand TEXT NOT NULL,
    color TEXT NOT NULL,
    color_hex TEXT,
    vendor TEXT NOT NULL,
    batch TEXT,
    diameter_um BIGINT,
    whole_mg BIGINT,
    left_mg BIGINT,
    cents_per_kg BIGINT,
    currency TEXT NOT NULL,
    bought_us BIGINT,
    printer_id TEXT,
    location TEXT NOT NULL,
    active BOOLEAN NOT NULL,
    note TEXT NOT NULL,
    extra TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL
);

-- What a print took from a spool. The job may be forgotten, what was used stays used.
CREATE TABLE material_uses (
    id TEXT PRIMARY KEY,
    material_id TEXT NOT NULL REFERENCES materials (id) ON DELETE CASCADE,
    job_id TEXT,
    used_mg BIGINT NOT NULL,
    cents BIGINT,
    currency TEXT NOT NULL,
    time_us BIGINT NOT NULL,
    extra TEXT NOT NULL
);
CREATE INDEX material_uses_of ON material_uses (material_id, time_us);

CREATE TABLE customers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT,
    phone TEXT,
    address TEXT,
    note TEXT NOT NULL,
    extra TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL
);

-- An order outlives its customer, who may have a right to be forgotten.
CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    customer_id TEXT REFERENCES customers (id) ON DELETE SET NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    payment TEXT NOT NULL,
    price_cents BIGINT,
    currency TEXT NOT NULL,
    due_us BIGINT,
    note TEXT NOT NULL,
    extra TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    updated_us BIGINT NOT NULL
);
CREATE INDEX orders_of_customer ON orders (customer_id);

-- Prints of an order. One that was planned and never begun has a name and no job.
CREATE TABLE order_jobs (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    job_id TEXT,
    name TEXT NOT NULL,
    extra TEXT NOT NULL
);
CREATE INDEX order_jobs_of ON order_jobs (order_id);

-- Files of an order: one of ours, or a link to elsewhere.
CREATE TABLE order_files (
    id TEXT PRIMARY KEY,
    order_id TEXT NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    file_id TEXT,
    url TEXT,
    name TEXT NOT NULL,
    extra TEXT NOT NULL,
    created_us BIGINT NOT NULL
);
CREATE INDEX order_files_of ON order_files (order_id);

-- What a print cost, and for whom it was. Beside the job, whose row the printer's task writes.
CREATE TABLE job_costs (
    job_id TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    business BOOLEAN NOT NULL,
    customer TEXT NOT NULL,
    material_cents BIGINT,
    power_cents BIGINT,
    currency TEXT NOT NULL,
    extra TEXT NOT NULL
);

-- What came with a printer that was imported and has no column: a JSON object, no secrets.
CREATE TABLE printer_extras (
    printer_id TEXT PRIMARY KEY,
    extra TEXT NOT NULL
);
