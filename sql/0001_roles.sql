-- SPDX-License-Identifier: MIT
--
-- Roles and schemas.
--
-- Roles belong to the whole cluster, so another database of the same cluster
-- may have made them, or be making them now.  None gets a password here: the
-- operator sets those, or lets pg_hba.conf do without.
--
--   productgraph_owner   owns every object; nobody logs in as it
--   productgraph_writer  the aggregator: appends events, reads keys
--   productgraph_reader  whoever reads for a tenant: row security always applies
--   productgraph_admin   productgraphctl: organisations, projects, keys

DO $$
DECLARE
	role text;
BEGIN
	FOREACH role IN ARRAY ARRAY[
	    'productgraph_owner NOLOGIN', 'productgraph_writer LOGIN',
	    'productgraph_reader LOGIN', 'productgraph_admin LOGIN']
	LOOP
		BEGIN
			EXECUTE 'CREATE ROLE ' || role;
		EXCEPTION WHEN duplicate_object OR unique_violation THEN
			NULL;
		END;
	END LOOP;

	-- A role found rather than made must not be one that policies skip.
	SELECT rolname INTO role FROM pg_roles
	WHERE rolname IN ('productgraph_writer', 'productgraph_reader',
	    'productgraph_admin')
	    AND (rolsuper OR rolbypassrls)
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'role "%" bypasses row security', role
		    USING HINT = 'ALTER ROLE ' || role ||
			' NOSUPERUSER NOBYPASSRLS;';
	END IF;

	-- The files that follow SET LOCAL ROLE productgraph_owner.
	IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
		EXECUTE format('GRANT productgraph_owner TO %I', current_user);
	END IF;
END
$$;

GRANT USAGE, CREATE ON SCHEMA public TO productgraph_owner;

-- The months of events.  Row security does not follow a query that names a
-- partition, so partitions lie where only the writer can reach them.
CREATE SCHEMA partitions AUTHORIZATION productgraph_owner;
GRANT USAGE ON SCHEMA partitions TO productgraph_writer;
