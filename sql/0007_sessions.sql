-- SPDX-License-Identifier: MIT
--
-- Sessions: one row per (project, session.id), merged from its events in the
-- transaction that stores them.
--
-- The columns that are merged are those of aggregator/session_columns.def.

-- The daemon of an earlier release would write on: it compares the tables only
-- when it connects, and knows no sessions.  Whoever has found them fit has its
-- row in progress; in a database without one a daemon may wait for us.
DO $$
BEGIN
	IF EXISTS (SELECT FROM public.progress) AND EXISTS (
	    SELECT FROM pg_stat_activity
	    WHERE usename = 'productgraph_writer'
		AND datname = current_database() AND pid <> pg_backend_pid())
	THEN
		RAISE EXCEPTION 'productgraph_writer is connected to this '
		    'database, and must not write while its events get '
		    'their sessions'
		    USING ERRCODE = 'object_in_use',
			HINT = 'stop every productgraphd of this database first';
	END IF;
END
$$;

SET LOCAL ROLE productgraph_owner;

-- All locks at once, and first the one of create_month(): a daemon that waits
-- for us makes months meanwhile, and would hold one lock and want another.
SELECT pg_advisory_xact_lock('public.events'::regclass::oid::bigint);
LOCK TABLE public.events, public.projects IN ACCESS EXCLUSIVE MODE;

-- Of public.events, 0003 says what was true then.  Its columns are still those
-- of common/event_fields.def, but no longer in its order, which is the COPY's;
-- and session_key is sent, by the aggregator, with every event.

-- After how long without an event a session counts as closed.
ALTER TABLE public.projects
	ADD COLUMN session_timeout interval NOT NULL DEFAULT '30 minutes'
	    CHECK (session_timeout BETWEEN '1 second' AND '30 days');

-- Ascending, so that the events of a batch end up side by side in the index.
CREATE SEQUENCE public.session_keys AS bigint;

-- A first or last value is kept with the order key of the event that brought
-- it, so that events may come in any order: 8 bytes of timestamp, 9 of
-- sequence (none sorts first), then event_id, all comparable as bytes.
CREATE TABLE public.session_state (
	session_key bigint PRIMARY KEY,
	org_id uuid NOT NULL,
	project_id uuid NOT NULL,
	session_id text NOT NULL,
	started_at timestamptz NOT NULL,
	ended_at timestamptz NOT NULL,
	event_count bigint NOT NULL,
	page_count bigint NOT NULL,
	error_count bigint NOT NULL,
	user_id text,
	user_id_order bytea,
	anonymous_id text,
	anonymous_id_order bytea,
	entry_page text,
	entry_page_order bytea,
	exit_page text,
	exit_page_order bytea,
	last_journey_step_id text,
	last_journey_step_id_order bytea,
	conversion_status text,
	conversion_status_order bytea,
	user_agent text,
	user_agent_order bytea,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	UNIQUE (project_id, session_id)
)
-- Every batch updates the sessions it has events of.  No index is on a column
-- that changes, and pages keep room for every row once more, since sessions
-- that began together go on together: all updates stay on their page (HOT;
-- with 70, a fifth did not and the table ended up larger).
WITH (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.05);

-- The latest sessions of a project, however many younger ones others have.
CREATE INDEX session_state_project ON public.session_state
	(project_id, session_key);

-- PostgreSQL's hash of text, from a seed that is this database's own: whoever
-- knows the seed makes thousands of ids of one hash, and each look for one of
-- them would pass by all others.  Neither STRICT nor SET, to be inlined.
DO $$
DECLARE
	hex text := replace(gen_random_uuid()::text || gen_random_uuid()::text,
	    '-', '');
BEGIN
	EXECUTE format('CREATE FUNCTION public.event_hash(id text) '
	    'RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE '
	    'RETURN pg_catalog.hashtextextended(id, %s)',
	    ('x' || substr(hex, 1, 12) || substr(hex, 33, 4))::bit(64)::bigint);
END
$$;

REVOKE ALL ON FUNCTION public.event_hash FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.event_hash
	TO productgraph_writer, productgraph_reader, productgraph_admin;

-- Finds an event of a session by its id, in as many steps whatever the session
-- holds, and all events of a session.  Not over event_id itself: text is as
-- wide as the row is long.
CREATE INDEX events_session ON public.events
	(session_key, public.event_hash(event_id));

-- What readers see.  Open or closed follows from the clock, so nothing has to
-- be flipped when a session ends, or taken back when a late event comes.
CREATE VIEW public.sessions WITH (security_invoker = true) AS
SELECT s.session_key, s.org_id, s.project_id, s.session_id, s.user_id,
	s.anonymous_id, s.started_at, s.ended_at,
	(extract(epoch FROM s.ended_at - s.started_at) * 1000)::bigint
	    AS duration_ms,
	s.entry_page, s.exit_page, s.page_count, s.event_count, s.error_count,
	s.last_journey_step_id, s.conversion_status, s.user_agent,
	CASE WHEN s.ended_at > now()
	    - coalesce(p.session_timeout, interval '30 minutes')
	    THEN 'open' ELSE 'closed' END AS status,
	s.created_at, s.updated_at
FROM public.session_state s
LEFT JOIN public.projects p ON p.id = s.project_id;

-- The events of a session in their order.  What the caller may not see is not
-- there: row security applies.
CREATE FUNCTION public.session_events(project uuid, session text)
RETURNS SETOF public.events
LANGUAGE sql STABLE STRICT
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT e.* FROM public.session_state s
	JOIN public.events e ON e.session_key = s.session_key
	    AND e."timestamp" BETWEEN s.started_at AND s.ended_at
	WHERE s.project_id = project AND s.session_id = session
	ORDER BY e."timestamp", e.sequence NULLS FIRST, e.event_id COLLATE "C"
$$;

ALTER TABLE public.session_state ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON public.session_state
	FOR SELECT TO productgraph_reader
	USING (org_id = (SELECT
	    nullif(current_setting('app.current_org_id', true), '')::uuid));
CREATE POLICY every_organization ON public.session_state
	TO productgraph_writer, productgraph_admin
	USING (true) WITH CHECK (true);

GRANT SELECT ON public.session_state, public.sessions
	TO productgraph_reader, productgraph_admin;
GRANT SELECT, INSERT, UPDATE ON public.session_state TO productgraph_writer;
GRANT USAGE ON SEQUENCE public.session_keys TO productgraph_writer;
-- To find repeats.
GRANT SELECT (session_key, "timestamp", event_id) ON public.events
	TO productgraph_writer;
GRANT UPDATE (last_used_at) ON public.api_keys TO productgraph_writer;

REVOKE ALL ON FUNCTION public.session_events FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.session_events
	TO productgraph_reader, productgraph_admin;

-- Triggers need no grant to fire; nobody else should hang them on tables.
REVOKE ALL ON FUNCTION public.touch_updated_at, public.notify_keys FROM PUBLIC;

-- Events that an earlier release stored belong to no session yet.  It stored
-- repeats too: as everywhere, the first received counts.  The others stay, but
-- in no session: their key is 0, which the sequence never gives.
INSERT INTO public.session_state (session_key, org_id, project_id, session_id,
	started_at, ended_at, event_count, page_count, error_count,
	user_id, user_id_order, anonymous_id, anonymous_id_order,
	entry_page, entry_page_order, exit_page, exit_page_order,
	last_journey_step_id, last_journey_step_id_order,
	conversion_status, conversion_status_order)
SELECT nextval('public.session_keys'), s.*
FROM (
	SELECT org_id, project_id, session_id,
		min("timestamp") AS started_at, max("timestamp"),
		count(*), count(*) FILTER (WHERE event_type = 'page.view'),
		count(*) FILTER (WHERE event_type = 'error'),
		(array_agg(user_id ORDER BY o) FILTER (WHERE user_id <> ''))[1],
		(array_agg(o ORDER BY o) FILTER (WHERE user_id <> ''))[1],
		(array_agg(anonymous_id ORDER BY o)
		    FILTER (WHERE anonymous_id <> ''))[1],
		(array_agg(o ORDER BY o) FILTER (WHERE anonymous_id <> ''))[1],
		(array_agg(page_path ORDER BY o)
		    FILTER (WHERE page_path <> ''))[1],
		(array_agg(o ORDER BY o) FILTER (WHERE page_path <> ''))[1],
		(array_agg(page_path ORDER BY o DESC)
		    FILTER (WHERE page_path <> ''))[1],
		(array_agg(o ORDER BY o DESC) FILTER (WHERE page_path <> ''))[1],
		(array_agg(journey_step_id ORDER BY o DESC)
		    FILTER (WHERE journey_step_id <> ''))[1],
		(array_agg(o ORDER BY o DESC)
		    FILTER (WHERE journey_step_id <> ''))[1],
		(array_agg(conversion_status ORDER BY o DESC)
		    FILTER (WHERE conversion_status <> ''))[1],
		(array_agg(o ORDER BY o DESC)
		    FILTER (WHERE conversion_status <> ''))[1]
	FROM (
		SELECT *,
			int8send(((extract(epoch FROM "timestamp") - 946684800)
			    * 1000000)::bigint # (~9223372036854775807))
			|| CASE WHEN sequence IS NULL
			    THEN '\x000000000000000000'::bytea
			    ELSE '\x01'::bytea
				|| int8send(sequence # (~9223372036854775807))
			    END
			|| convert_to(event_id, 'UTF8') AS o
		FROM (
			SELECT DISTINCT ON (project_id, session_id, event_id) *
			FROM public.events
			ORDER BY project_id, session_id, event_id, received_at,
			    tableoid, ctid
		) AS received
	) AS ordered
	GROUP BY org_id, project_id, session_id
	ORDER BY min(received_at)
) AS s;

UPDATE public.events e SET session_key = s.session_key
FROM (
	SELECT DISTINCT ON (project_id, session_id, event_id)
		project_id, session_id, tableoid AS leaf, ctid AS place
	FROM public.events
	ORDER BY project_id, session_id, event_id, received_at, tableoid, ctid
) AS received
JOIN public.session_state s USING (project_id, session_id)
WHERE e.tableoid = received.leaf AND e.ctid = received.place;

UPDATE public.events SET session_key = 0 WHERE session_key IS NULL;

-- A daemon of an earlier release that connects later does not send the column,
-- and so finds that it does not fit.  New months are made LIKE this.
ALTER TABLE public.events ALTER session_key SET NOT NULL;

RESET ROLE;

-- productgraphctl asks which version it speaks to.  The table is not the
-- owner's but that of whoever migrates.
GRANT SELECT ON public.schema_migrations TO productgraph_admin;
