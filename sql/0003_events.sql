-- SPDX-License-Identifier: MIT
--
-- Events, one partition per month.
--
-- The columns are those of common/event_fields.def, in its order; the
-- aggregator compares names and types when it connects.

SET LOCAL ROLE productgraph_owner;

CREATE TABLE public.events (
	org_id uuid NOT NULL,
	project_id uuid NOT NULL,
	received_at timestamptz NOT NULL,
	"timestamp" timestamptz NOT NULL,
	client_timestamp timestamptz,
	event_id text NOT NULL,
	session_id text NOT NULL,
	event_type text NOT NULL,
	event_name text,
	sequence bigint,
	user_id text,
	anonymous_id text,
	user_org_id text,
	user_org_name text,
	page_path text,
	page_title text,
	page_url text,
	page_referrer text,
	ui_component_name text,
	ui_component_path text,
	ui_component_type text,
	ui_action text,
	ui_element text,
	ui_element_text text,
	ui_viewport text,
	ui_scroll_position double precision,
	ui_state_key text,
	ui_state_before text,
	ui_state_after text,
	ui_state_change_type text,
	journey_id text,
	journey_step_id text,
	journey_step_name text,
	conversion_status text,
	api_method text,
	api_path text,
	api_status_code integer,
	api_duration_ms double precision,
	duration_ms double precision,
	error_type text,
	error_message text,
	error_stack text,
	error_component text,
	performance_lcp_ms double precision,
	performance_fid_ms double precision,
	performance_inp_ms double precision,
	performance_cls double precision,
	performance_ttfb_ms double precision,
	snapshot_url text,
	snapshot_viewport text,
	device_viewport text,
	metadata jsonb,
	attributes jsonb,
	-- Not sent: filled in by the aggregator where sessions are known.
	session_key bigint
) PARTITION BY RANGE ("timestamp");

-- No default partition: with one, attaching a month waits for every reader.
-- No B-tree over text: one costs a third of what can be written.
CREATE INDEX events_tenant_time ON public.events
	USING brin (org_id, project_id, "timestamp");

-- Makes the partition of the month that holds the given day, unless it exists,
-- and returns its name within the schema "partitions".
--
-- The writer may call this but owns nothing.  A month must touch
-- [now - 10 years - 1 month, now + 32 days], which is what workers let through
-- and some; so no client can make partitions without end.  The error is of
-- class 22, data exception: the rows of such a month become dead letters.
--
-- CREATE TABLE ... (LIKE ...) and ATTACH block no reader and no writer of other
-- months, which CREATE TABLE ... PARTITION OF would.
CREATE FUNCTION public.create_month(month date) RETURNS text
LANGUAGE plpgsql STRICT SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
	first timestamptz := date_trunc('month', month::timestamptz);
	next timestamptz := first + interval '1 month';
	leaf text := to_char(first, '"events_y"YYYY"m"MM');
	grantee text;
BEGIN
	IF next <= now() - interval '10 years 1 month'
	    OR first > now() + interval '32 days' THEN
		RAISE EXCEPTION 'month of % is out of bounds', month
		    USING ERRCODE = 'datetime_field_overflow';
	END IF;

	-- Two callers at once: the second finds what the first has made.
	PERFORM pg_advisory_xact_lock('public.events'::regclass::oid::bigint);
	IF to_regclass('partitions.' || leaf) IS NOT NULL THEN
		RETURN leaf;
	END IF;

	EXECUTE format('CREATE TABLE partitions.%I '
	    '(LIKE public.events INCLUDING ALL)', leaf);

	-- Default privileges may have granted something to somebody.
	FOR grantee IN
		SELECT DISTINCT CASE acl.grantee WHEN 0 THEN 'PUBLIC'
		    ELSE quote_ident(pg_get_userbyid(acl.grantee)) END
		FROM pg_class c, aclexplode(c.relacl) acl
		WHERE c.oid = to_regclass('partitions.' || leaf)
		    AND acl.grantee <> c.relowner
	LOOP
		EXECUTE format('REVOKE ALL ON partitions.%I FROM %s',
		    leaf, grantee);
	END LOOP;
	EXECUTE format('GRANT INSERT ON partitions.%I TO productgraph_writer',
	    leaf);

	EXECUTE format('ALTER TABLE public.events ATTACH PARTITION '
	    'partitions.%I FOR VALUES FROM (%L) TO (%L)', leaf, first, next);
	RETURN leaf;
END
$$;

REVOKE ALL ON FUNCTION public.create_month FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.create_month TO productgraph_writer;

RESET ROLE;
