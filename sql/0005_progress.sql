-- SPDX-License-Identifier: MIT
--
-- How far each node's rings are stored.  A batch advances its row in the
-- transaction that stores it, so a batch whose COMMIT got no answer is known
-- to have happened or not.

SET LOCAL ROLE productgraph_owner;

CREATE TABLE public.progress (
	node text,
	-- The random id of a set of rings: another set is another row.
	ring_set uuid,
	-- By slot: everything before it is stored.
	positions bigint[] NOT NULL,
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (node, ring_set)
);

RESET ROLE;
