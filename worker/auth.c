/* SPDX-License-Identifier: MIT */
/*
 * auth.c - which API key a request shows, and whose it is
 *
 * X-PG-API-Key wins over Authorization, which wins over ?api_key= (a beacon
 * cannot set headers).  Keys are compared by their SHA-256, so the time it
 * takes tells nothing about a key.
 */
#include "worker/auth.h"

#include <string.h>
#include <strings.h>

#include "common/timestamp.h"

/* Longer than any key of ours; only to bound what is hashed. */
#define KEY_MAX 512

static const char bearer[] = "Bearer ";

struct shown {
	const char *key;
	size_t len;
	char query[KEY_MAX];
};

/* Finds the key; AUTH_OK when one is shown. */
static enum auth_result
auth_shown(const struct http_request *req, const char *data,
    struct shown *shown, const char **detail)
{
	const struct http_view *key = &req->headers[HTTP_API_KEY];
	const struct http_view *auth = &req->headers[HTTP_AUTHORIZATION];
	const size_t skip = sizeof(bearer) - 1;

	if (key->at != 0) {
		shown->key = data + key->at;
		shown->len = key->len;
		return AUTH_OK;
	}
	if (auth->at != 0) {
		if (auth->len <= skip ||
		    strncasecmp(data + auth->at, bearer, skip) != 0) {
			*detail = "Authorization is not a Bearer token";
			return AUTH_REFUSED;
		}
		shown->key = data + auth->at + skip;
		shown->len = auth->len - skip;
		return AUTH_OK;
	}
	switch (http_query_param(data + req->query.at, req->query.len,
	    "api_key", shown->query, sizeof(shown->query), &shown->len)) {
	case HTTP_DONE:
		shown->key = shown->query;
		return AUTH_OK;
	case HTTP_BAD:
		*detail = "malformed api_key";
		return AUTH_REFUSED;
	case HTTP_MORE:
		break;
	}
	return AUTH_NONE;
}

enum auth_result
auth_check(const struct keytable *keys, const struct http_request *req,
    const char *data, struct project *project, const char **detail)
{
	const struct http_view *origin = &req->headers[HTTP_ORIGIN];
	uint8_t hash[APIKEY_HASH];
	enum auth_result result;
	struct shown shown;

	if ((result = auth_shown(req, data, &shown, detail)) != AUTH_OK)
		return result;
	*detail = "unknown API key";
	if (shown.len == 0 || shown.len > KEY_MAX ||
	    apikey_hash(shown.key, shown.len, hash) == -1)
		return AUTH_REFUSED;
	switch (keytable_find_key(keys, hash, timestamp_now(),
	    origin->at == 0 ? NULL : data + origin->at, origin->len, project)) {
	case KEYTABLE_FOUND:
		return project->origin_allowed ? AUTH_OK : AUTH_FORBIDDEN;
	case KEYTABLE_EXPIRED:
		*detail = "expired API key";
		return AUTH_REFUSED;
	case KEYTABLE_EMPTY:
		return AUTH_NOT_READY;
	case KEYTABLE_UNKNOWN:
		break;
	}
	return AUTH_REFUSED;
}
