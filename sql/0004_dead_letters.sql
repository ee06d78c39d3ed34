-- SPDX-License-Identifier: MIT
--
-- Events that were accepted but that PostgreSQL refused: the row as it was
-- offered, a binary COPY tuple of public.events, and why.

SET LOCAL ROLE productgraph_owner;

CREATE TABLE public.dead_letters (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	org_id uuid NOT NULL,
	project_id uuid NOT NULL,
	received_at timestamptz NOT NULL,
	sqlstate text NOT NULL,
	message text NOT NULL,
	event_id text,
	payload bytea NOT NULL
);

CREATE INDEX dead_letters_tenant_time
	ON public.dead_letters (org_id, project_id, received_at);

RESET ROLE;
