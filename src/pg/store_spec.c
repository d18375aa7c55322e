/*
 * store_spec.c
 *	  How a store is opened, as whom, and who else may know.
 *
 * A session knows what its user mapping says.  A maintenance worker has no
 * database and no user, yet what a session has committed must be folded after
 * it has gone.  So a session leaves with the shared entry of each namespace
 * that it may write to how it opens its store, credentials included, and the
 * workers do the session's work with them, in that namespace only.
 *
 * That area is kept out of core dumps.  An item is zeroed when the server or
 * the user mapping that it comes from changes, and when the namespace has been
 * unused for an hour with nothing left to fold.
 *
 * Whose endpoint a server may name is asked twice: of the current user when it
 * is named, and of the server's owner whenever it is used, because both the
 * owner and reef.allowed_endpoints may have changed.
 */
#include "postgres.h"

#include <sys/mman.h>
#include <unistd.h>

#include "access/reloptions.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "common/cryptohash.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "pg/local_cache.h"
#include "pg/options.h"
#include "pg/shmem.h"
#include "pg/store_spec.h"

#define SPEC_MAX_AGE_S 3600
#define DEFAULT_REGION "us-east-1"

/* What was left for one entry of the table. */
typedef struct SharedSpec
{
	uint64		generation;		/* of the entry; 0: nothing was left */
	ReefPgStoreSpec spec;
} SharedSpec;

static SharedSpec *shared_specs = NULL;

/* ---- from the catalogs ---- */

static bool
is_bucket(const char *location)
{
	return strncmp(location, "s3://", 5) == 0;
}

/* The length has been checked by the validator. */
static void
copy_option(List *options, const char *name, char *to, Size size)
{
	const char *value = reefpg_option_find(options, name);

	if (value != NULL)
		strlcpy(to, value, size);
}

static void
load_server_options(List *options, ReefPgStoreSpec *spec)
{
	bool		path_style = false;

	copy_option(options, "location", spec->location, sizeof(spec->location));
	copy_option(options, "endpoint", spec->endpoint, sizeof(spec->endpoint));
	copy_option(options, "region", spec->region, sizeof(spec->region));
	copy_option(options, "ca_file", spec->ca_file, sizeof(spec->ca_file));
	copy_option(options, "proxy", spec->proxy, sizeof(spec->proxy));
	copy_option(options, "profile", spec->profile, sizeof(spec->profile));
	copy_option(options, "role_arn", spec->role_arn, sizeof(spec->role_arn));
	reefpg_option_word(options, "credential_source",
					   &spec->credential_source);
	if (reefpg_option_find(options, "path_style") != NULL)
	{
		reefpg_option_boolean(options, "path_style", &path_style);
		spec->path_style = path_style ? REEF_PATH_STYLE_ON :
			REEF_PATH_STYLE_OFF;
	}
	reefpg_option_integer(options, "connect_timeout",
						  &spec->connect_timeout_ms);
}

/* The user's mapping, or the one for PUBLIC; none is no error.  *is_allowed:
 * it lets the user be who the server is. */
static void
load_mapping(Oid userid, Oid serverid, ReefPgStoreSpec *spec,
			 bool *is_allowed)
{
	HeapTuple	tuple;
	Datum		datum;
	bool		is_null;
	Oid			mapping;
	List	   *options = NIL;

	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(userid),
							ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER,
								ObjectIdGetDatum(InvalidOid),
								ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		return;
	mapping = ((Form_pg_user_mapping) GETSTRUCT(tuple))->oid;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple,
							Anum_pg_user_mapping_umoptions, &is_null);
	if (!is_null)
		options = untransformRelOptions(datum);
	copy_option(options, "access_key_id", spec->access_key_id,
				sizeof(spec->access_key_id));
	copy_option(options, "secret_access_key", spec->secret_access_key,
				sizeof(spec->secret_access_key));
	copy_option(options, "session_token", spec->session_token,
				sizeof(spec->session_token));
	reefpg_option_boolean(options, "allow_server_credentials", is_allowed);
	spec->mapping_hash = GetSysCacheHashValue1(USERMAPPINGOID,
											   ObjectIdGetDatum(mapping));
	ReleaseSysCache(tuple);
}

/* ---- who may name which endpoint ---- */

/* "host:port" of an endpoint; that of AWS if there is none. */
static char *
endpoint_authority(const char *endpoint, const char *region)
{
	char	   *authority;

	if (endpoint == NULL || endpoint[0] == '\0')
		return psprintf("s3.%s.amazonaws.com", region != NULL &&
						region[0] != '\0' ? region : DEFAULT_REGION);
	if (strncmp(endpoint, "https://", 8) == 0)
		endpoint += 8;
	else if (strncmp(endpoint, "http://", 7) == 0)
		endpoint += 7;
	authority = pstrdup(endpoint);
	if (authority[0] != '\0' && authority[strlen(authority) - 1] == '/')
		authority[strlen(authority) - 1] = '\0';
	return authority;
}

static Size
host_size(const char *authority)
{
	const char *end = authority[0] == '[' ? strchr(authority, ']') : NULL;

	if (end != NULL)
		return end + 1 - authority;
	return strcspn(authority, ":");
}

/* "host", "host:port", "*.domain" or "*" */
static bool
endpoint_matches(const char *authority, const char *element)
{
	Size		size = host_size(authority);

	if (strcmp(element, "*") == 0)
		return true;
	if (strncmp(element, "*.", 2) == 0)
	{
		Size		tail = strlen(element + 1);

		return size > tail && pg_strncasecmp(authority + size - tail,
											 element + 1, tail) == 0;
	}
	return pg_strcasecmp(authority, element) == 0 ||
		(strlen(element) == size &&
		 pg_strncasecmp(authority, element, size) == 0);
}

/* *by_name: by itself, and not as one of many */
static bool
is_endpoint_allowed(const char *authority, bool *by_name)
{
	char	   *copy = pstrdup(reefpg_allowed_endpoints);
	List	   *elements = NIL;
	ListCell   *lc;
	bool		is_allowed = false;

	*by_name = false;
	/* A list that cannot be read allows nothing. */
	if (!SplitGUCList(copy, ',', &elements))
		return false;
	foreach(lc, elements)
	{
		const char *element = lfirst(lc);

		if (!endpoint_matches(authority, element))
			continue;
		is_allowed = true;
		*by_name |= element[0] != '*';
	}
	return is_allowed;
}

static void
report_endpoint(const char *authority)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to use endpoint \"%s\"", authority),
			 errhint("A superuser may name any endpoint, others those in reef.allowed_endpoints.")));
}

static void
report_proxy(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to use a proxy"),
			 errhint("Only a server owned by a superuser may have the option \"%s\".",
					 "proxy")));
}

/* ---- loading ---- */

/* Keys in the mapping count before what the server is told to look for. */
static bool
choose_credentials(const ReefPgServer *server, bool is_allowed,
				   ReefPgStoreSpec *spec, bool missing_ok)
{
	bool		is_by_mapping;

	if (spec->access_key_id[0] != '\0')
	{
		spec->credential_source = REEF_CREDENTIAL_GIVEN;
		memset(spec->profile, 0, sizeof(spec->profile));
		return true;
	}
	is_by_mapping = spec->credential_source == REEF_CREDENTIAL_GIVEN;
	if (superuser_arg(server->userid) || (is_allowed && !is_by_mapping))
		return true;
	if (missing_ok)
		return false;
	ereport(ERROR,
			(errcode(ERRCODE_S_R_E_PROHIBITED_SQL_STATEMENT_ATTEMPTED),
			 errmsg("credentials are required to use server \"%s\"",
					server->name),
			 is_by_mapping ?
			 errdetail("Only a superuser may use a bucket without credentials in the user mapping.") :
			 errdetail("Only a superuser may use the server's own identity, and whom a superuser has allowed it by the option \"%s\" of the user mapping.",
					   "allow_server_credentials"),
			 errhint("CREATE USER MAPPING FOR %s SERVER %s OPTIONS (access_key_id '...', secret_access_key '...')",
					 quote_identifier(GetUserNameFromId(server->userid, false)),
					 quote_identifier(server->name))));
	return false;
}

bool
reefpg_spec_load(const ReefPgServer *server, ReefPgStoreSpec *spec,
				 bool missing_ok)
{
	ForeignServer *foreign = GetForeignServer(server->serverid);
	char	   *authority;
	bool		by_name;
	bool		is_allowed;
	bool		may_be_server = false;

	memset(spec, 0, sizeof(*spec));
	load_server_options(foreign->options, spec);
	spec->read_only = server->read_only;
	spec->request_timeout_ms = server->request_timeout_ms < 0 ?
		reefpg_request_timeout_ms : server->request_timeout_ms;
	spec->max_retries = server->max_retries < 0 ?
		reefpg_max_retries : server->max_retries;
	spec->server_hash = GetSysCacheHashValue1(FOREIGNSERVEROID,
											  ObjectIdGetDatum(server->serverid));
	if (!is_bucket(spec->location))
		return true;

	load_mapping(server->userid, server->serverid, spec, &may_be_server);
	authority = endpoint_authority(spec->endpoint, spec->region);
	is_allowed = is_endpoint_allowed(authority, &by_name);
	spec->allow_metadata = by_name;
	if (!superuser_arg(foreign->owner))
	{
		if ((!is_allowed || spec->proxy[0] != '\0') && missing_ok)
			return false;
		if (!is_allowed)
			report_endpoint(authority);
		if (spec->proxy[0] != '\0')
			report_proxy();
	}
	return choose_credentials(server, may_be_server, spec, missing_ok);
}

static const char *
text_or_null(const char *text)
{
	return text[0] == '\0' ? NULL : text;
}

ReefCode
reefpg_spec_open(const ReefPgStoreSpec *spec, ReefStore **store,
				 ReefError *err)
{
	ReefStoreOptions options = {
		.location = spec->location,
		.read_only = spec->read_only,
		.request_timeout_us = (int64) spec->request_timeout_ms * 1000,
		.max_retries = spec->max_retries,
		.endpoint = text_or_null(spec->endpoint),
		.region = text_or_null(spec->region),
		.path_style = (ReefPathStyle) spec->path_style,
		.ca_file = text_or_null(spec->ca_file),
		.proxy = text_or_null(spec->proxy),
		.allow_metadata = spec->allow_metadata,
		.connect_timeout_us = (int64) spec->connect_timeout_ms * 1000,
		.credential_source = (ReefCredentialSource) spec->credential_source,
		.profile = text_or_null(spec->profile),
		.role_arn = text_or_null(spec->role_arn),
		.access_key_id = text_or_null(spec->access_key_id),
		.secret_access_key = text_or_null(spec->secret_access_key),
		.session_token = text_or_null(spec->session_token),
		.cache = reefpg_local_cache()
	};

	return reef_store_open(reefpg_host(), &options, store, err);
}

void
reefpg_spec_check_server(List *options)
{
	ReefPgStoreSpec spec;
	ReefStore  *store;
	ReefError	err;
	char	   *authority;
	bool		by_name;

	memset(&spec, 0, sizeof(spec));
	load_server_options(options, &spec);
	if (!is_bucket(spec.location))
		return;
	reef_error_init(&err);
	REEFPG_CHECK(reefpg_spec_open(&spec, &store, &err), &err, NULL);
	reef_store_close(store);
	if (superuser())
		return;
	authority = endpoint_authority(spec.endpoint, spec.region);
	if (!is_endpoint_allowed(authority, &by_name))
		report_endpoint(authority);
	if (spec.proxy[0] != '\0')
		report_proxy();
}

static void
digest_text(pg_cryptohash_ctx *context, const char *text)
{
	/* with its end, so that no two rows of texts are the same bytes */
	if (pg_cryptohash_update(context, (const uint8 *) text,
							 strlen(text) + 1) < 0)
		elog(ERROR, "could not compute a digest");
}

void
reefpg_spec_identity(const ReefPgStoreSpec *spec,
					 uint8 identity[REEFPG_IDENTITY_SIZE])
{
	pg_cryptohash_ctx *context;
	uint8		digest[32];

	memset(identity, 0, REEFPG_IDENTITY_SIZE);
	if (!is_bucket(spec->location))
		return;
	context = pg_cryptohash_create(PG_SHA256);
	if (context == NULL || pg_cryptohash_init(context) < 0)
		elog(ERROR, "could not compute a digest");
	digest_text(context, spec->location);
	digest_text(context, spec->endpoint);
	digest_text(context, psprintf("%d", spec->credential_source));
	digest_text(context, spec->profile);
	digest_text(context, spec->role_arn);
	digest_text(context, spec->access_key_id);
	digest_text(context, spec->secret_access_key);
	digest_text(context, spec->session_token);
	if (pg_cryptohash_final(context, digest, sizeof(digest)) < 0)
		elog(ERROR, "could not compute a digest");
	pg_cryptohash_free(context);
	memcpy(identity, digest, REEFPG_IDENTITY_SIZE);
}

/* ---- the shared area ---- */

static Size
area_size(void)
{
	Size		page = (Size) sysconf(_SC_PAGESIZE);

	return TYPEALIGN(page, mul_size(reefpg_max_namespaces,
									sizeof(SharedSpec)));
}

/* With room to begin it at a page. */
Size
reefpg_spec_shared_size(void)
{
	return add_size(area_size(), (Size) sysconf(_SC_PAGESIZE));
}

void
reefpg_spec_shared_init(void)
{
	Size		page = (Size) sysconf(_SC_PAGESIZE);
	bool		found;
	char	   *memory = ShmemInitStruct("reef_fdw store specifications",
										 reefpg_spec_shared_size(), &found);

	shared_specs = (SharedSpec *) TYPEALIGN(page, memory);
	if (!found)
		memset(shared_specs, 0, area_size());
#ifdef MADV_DONTDUMP
	/* Inherited by every process of the server. */
	if (madvise(shared_specs, area_size(), MADV_DONTDUMP) != 0)
		ereport(LOG,
				(errmsg("could not keep credentials out of core dumps: %m")));
#endif
}

static SharedSpec *
item_of(ReefPgEntry *entry)
{
	return &shared_specs[entry - reefpg_shared->entries];
}

static void
forget_item(SharedSpec *item)
{
	explicit_bzero(item, sizeof(*item));
}

void
reefpg_spec_leave(ReefPgEntry *entry, const ReefPgStoreSpec *spec)
{
	SharedSpec *item = item_of(entry);

	/*
	 * Read without the lock: it is only about leaving it once more or not.
	 * What a bucket's server says now is left because a change of it has the
	 * item forgotten; a directory's is kept, for workers need it, and replaced.
	 */
	if (spec->read_only ||
		(item->generation == entry->generation &&
		 (is_bucket(item->spec.location) ||
		  memcmp(&item->spec, spec, sizeof(*spec)) == 0)))
		return;
	LWLockAcquire(reefpg_shared->spec_lock, LW_EXCLUSIVE);
	item->spec = *spec;
	item->generation = entry->generation;
	LWLockRelease(reefpg_shared->spec_lock);
}

bool
reefpg_spec_take(ReefPgEntry *entry, ReefPgStoreSpec *spec)
{
	SharedSpec *item = item_of(entry);
	bool		is_there;

	LWLockAcquire(reefpg_shared->spec_lock, LW_SHARED);
	is_there = item->generation != 0 && item->generation == entry->generation;
	if (is_there)
		*spec = item->spec;
	LWLockRelease(reefpg_shared->spec_lock);
	return is_there;
}

void
reefpg_spec_expire(void)
{
	TimestampTz now = GetCurrentTimestamp();

	for (int i = 0; i < reefpg_shared->entry_count; i++)
	{
		ReefPgEntry *entry = &reefpg_shared->entries[i];
		SharedSpec *item = &shared_specs[i];
		TimestampTz last_used;
		ReefNamespaceStatus status;

		/* a guess without the lock, like the entry's use */
		if (item->generation == 0 || !is_bucket(item->spec.location))
			continue;
		last_used = (TimestampTz) pg_atomic_read_u64(&entry->last_used);
		if (!TimestampDifferenceExceeds(last_used, now, SPEC_MAX_AGE_S * 1000) ||
			!reefpg_entry_visit(entry))
			continue;
		reef_namespace_status(reefpg_host(), entry->shared, &status);
		if (status.unfolded_records == 0 && !status.has_pending_aborts)
		{
			LWLockAcquire(reefpg_shared->spec_lock, LW_EXCLUSIVE);
			forget_item(item);
			LWLockRelease(reefpg_shared->spec_lock);
		}
		reefpg_entry_release(entry);
	}
}

void
reefpg_spec_forget(uint32 hash)
{
	LWLockAcquire(reefpg_shared->spec_lock, LW_EXCLUSIVE);
	for (int i = 0; i < reefpg_shared->entry_count; i++)
	{
		SharedSpec *item = &shared_specs[i];

		if (item->generation != 0 && is_bucket(item->spec.location) &&
			(hash == 0 || hash == item->spec.server_hash ||
			 hash == item->spec.mapping_hash))
			forget_item(item);
	}
	LWLockRelease(reefpg_shared->spec_lock);
}
