-- What the owners of serial machines say of them: the hub's own JSON.

ALTER TABLE devices ADD COLUMN machine TEXT NOT NULL DEFAULT '{}';
