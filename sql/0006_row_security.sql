-- SPDX-License-Identifier: MIT
--
-- Who may do what, and the wall between tenants.
--
-- The reader sees the rows of the organisation set by set_current_org().  Not
-- set, '' (which is what a SET LOCAL leaves behind) and unknown all mean no
-- rows.  The policies are not FORCEd on the owner: nobody logs in as it, and
-- migrations must see every row.
--
-- Whoever can run arbitrary SQL as the reader can set another organisation:
-- the role guards against a forgotten condition, not against a tenant with a
-- SQL prompt.

SET LOCAL ROLE productgraph_owner;

CREATE FUNCTION public.set_current_org(org uuid, local boolean DEFAULT false)
RETURNS void
LANGUAGE sql AS $$
	SELECT pg_catalog.set_config('app.current_org_id', org::text, local);
$$;

REVOKE ALL ON FUNCTION public.set_current_org FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.set_current_org
	TO productgraph_reader, productgraph_admin;

GRANT SELECT ON public.organizations, public.projects, public.events,
	public.dead_letters TO productgraph_reader;
-- All but key_sha256: no reader needs it.
GRANT SELECT (id, org_id, project_id, name, prefix, created_at, expires_at,
	revoked_at, last_used_at) ON public.api_keys TO productgraph_reader;

GRANT SELECT ON public.organizations, public.projects, public.api_keys
	TO productgraph_writer;
GRANT INSERT ON public.dead_letters TO productgraph_writer;
GRANT SELECT, INSERT, UPDATE, DELETE ON public.progress TO productgraph_writer;

GRANT SELECT, INSERT, UPDATE, DELETE
	ON public.organizations, public.projects, public.api_keys
	TO productgraph_admin;
GRANT SELECT, DELETE ON public.dead_letters TO productgraph_admin;
GRANT SELECT ON public.events, public.progress TO productgraph_admin;

-- The same two policies on every tenant table; what a role may do at all is
-- decided by the grants above.  The subquery makes the setting a constant of
-- the query, read once.
DO $$
DECLARE
	tenant record;
BEGIN
	FOR tenant IN
		SELECT * FROM (VALUES
		    ('organizations', 'id'),
		    ('projects', 'org_id'),
		    ('api_keys', 'org_id'),
		    ('events', 'org_id'),
		    ('dead_letters', 'org_id')) AS t (name, org)
	LOOP
		EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY',
		    tenant.name);
		EXECUTE format('CREATE POLICY own_organization ON public.%I '
		    'FOR SELECT TO productgraph_reader USING (%I = (SELECT '
		    'nullif(current_setting(''app.current_org_id'', true), '
		    ''''')::uuid))', tenant.name, tenant.org);
		EXECUTE format('CREATE POLICY every_organization ON public.%I '
		    'TO productgraph_writer, productgraph_admin '
		    'USING (true) WITH CHECK (true)', tenant.name);
	END LOOP;
END
$$;

RESET ROLE;
