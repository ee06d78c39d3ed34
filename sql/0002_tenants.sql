-- SPDX-License-Identifier: MIT
--
-- Organisations (the tenants), their projects, and API keys.

SET LOCAL ROLE productgraph_owner;

-- What may be a slug.  Not what looks like a UUID: a project is named by
-- either, and one project's slug must never be another's id.
CREATE DOMAIN public.slug AS text
	CHECK (VALUE ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$')
	CHECK (VALUE !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$');

CREATE TABLE public.organizations (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	name text NOT NULL,
	slug public.slug NOT NULL UNIQUE,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.projects (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	org_id uuid NOT NULL REFERENCES public.organizations,
	name text NOT NULL,
	slug public.slug NOT NULL,
	settings jsonb NOT NULL DEFAULT '{}'
	    CHECK (jsonb_typeof(settings) = 'object'),
	require_api_key boolean NOT NULL DEFAULT true,
	-- Empty: any origin.
	allowed_origins text[] NOT NULL DEFAULT '{}'
	    CHECK (array_position(allowed_origins, NULL) IS NULL),
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	UNIQUE (org_id, slug),
	UNIQUE (org_id, id)
);

-- A keyless event names its project by the slug alone.
CREATE UNIQUE INDEX projects_keyless_slug ON public.projects (slug)
	WHERE NOT require_api_key;

CREATE TABLE public.api_keys (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	org_id uuid NOT NULL,
	project_id uuid NOT NULL,
	name text NOT NULL,
	-- The first characters, so that a person can tell keys apart.
	prefix text NOT NULL,
	key_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(key_sha256) = 32),
	created_at timestamptz NOT NULL DEFAULT now(),
	expires_at timestamptz,
	revoked_at timestamptz,
	last_used_at timestamptz,
	FOREIGN KEY (org_id, project_id) REFERENCES public.projects (org_id, id)
);

CREATE INDEX api_keys_project ON public.api_keys (project_id);

CREATE FUNCTION public.touch_updated_at() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	NEW.updated_at := now();
	RETURN NEW;
END
$$;

CREATE TRIGGER touch BEFORE UPDATE ON public.organizations
	FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();
CREATE TRIGGER touch BEFORE UPDATE ON public.projects
	FOR EACH ROW EXECUTE FUNCTION public.touch_updated_at();

-- Aggregators listen, read everything again and tell their workers: a key
-- revoked by any means stops working at once.
CREATE FUNCTION public.notify_keys() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
	NOTIFY productgraph_keys;
	RETURN NULL;
END
$$;

CREATE TRIGGER notify_keys
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.organizations
	FOR EACH STATEMENT EXECUTE FUNCTION public.notify_keys();
CREATE TRIGGER notify_keys
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.projects
	FOR EACH STATEMENT EXECUTE FUNCTION public.notify_keys();
-- Not for last_used_at, which changes with every use.
CREATE TRIGGER notify_keys
	AFTER INSERT OR DELETE OR TRUNCATE
	    OR UPDATE OF org_id, project_id, key_sha256, expires_at, revoked_at
	ON public.api_keys
	FOR EACH STATEMENT EXECUTE FUNCTION public.notify_keys();

RESET ROLE;
