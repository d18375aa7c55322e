/*
 * verify_object.c
 *	  What every check needs: reporting, pace, identity, names for people.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/maintenance.h"
#include "engine/verify.h"

/* Bytes of decoded pages that a check keeps. */
#define VERIFY_PAGE_CACHE_SIZE ((size_t) 4 * 1024 * 1024)

/* How many manifests and records say what the namespace's id is. */
#define IDENTITY_MANIFESTS 8
#define IDENTITY_RECORDS 16

#define LIST_PAGE_SIZE 1000

void
reef_verify_init(ReefVerify *verify, ReefNamespace *ns,
				 ReefFindingVisitor visit, void *arg)
{
	memset(verify, 0, sizeof(*verify));
	verify->ns = ns;
	verify->visit = visit;
	verify->arg = arg;
	verify->severity_max = REEF_SEVERITY_ERROR;
	verify->settings = *ns->settings;
	verify->settings.page_cache = NULL;
	verify->settings.page_cache_size = VERIFY_PAGE_CACHE_SIZE;
	verify->phase = "verifying";
}

/* ---- findings ---- */

static ReefCode
report(ReefVerify *verify, ReefSeverity severity, const char *object,
	   const char *check_name, const char *detail, ReefError *err)
{
	ReefFinding finding = {severity, object, check_name, detail};

	if (finding.severity > verify->severity_max)
		finding.severity = verify->severity_max;
	if (finding.severity == REEF_SEVERITY_ERROR)
		verify->errors++;
	if (finding.severity == REEF_SEVERITY_WARNING)
		verify->warnings++;
	if (verify->visit == NULL)
		return REEF_OK;
	return verify->visit(verify->arg, &finding, err);
}

ReefCode
reef_finding_report(ReefVerify *verify, ReefError *err, ReefSeverity severity,
					const char *object, const char *check_name,
					const char *detail, ...)
{
	char		text[1000];
	va_list		args;

	va_start(args, detail);
	vsnprintf(text, sizeof(text), detail, args);
	va_end(args);
	return report(verify, severity, object, check_name, text, err);
}

ReefCode
reef_finding_report_error(ReefVerify *verify, ReefSeverity severity,
						  const char *object, const char *check_name,
						  const ReefError *found, ReefError *err)
{
	char		text[1100];

	snprintf(text, sizeof(text), "%s: %s", found->message, found->detail);
	return report(verify, severity, object, check_name, text, err);
}

bool
reef_verify_is_damage(ReefCode rc, const ReefError *err)
{
	return rc == REEF_CORRUPT || (rc != REEF_OK && err->os_errno == EIO);
}

/* ---- pace ---- */

ReefCode
reef_verify_step(ReefVerify *verify, uint64_t bytes, ReefError *err)
{
	const ReefHost *host = verify->ns->host;

	if (host->cancelled(host->arg))
		return reef_error_set(err, REEF_CANCELLED, "verifying was cancelled",
							  "namespace \"%s\"", verify->ns->name);
	if (host->progress != NULL)
		host->progress(host->arg, verify->phase, verify->done, verify->total);
	return reef_io_throttle(verify->ns, &verify->window_start_us,
							&verify->window_bytes, bytes, err);
}

void
reef_verify_begin_phase(ReefVerify *verify, const char *phase, uint64_t total)
{
	verify->phase = phase;
	verify->done = 0;
	verify->total = total;
}

ReefCode
reef_verify_has_moved(ReefVerify *verify, uint64_t version_max,
					  bool *has_moved, ReefError *err)
{
	ReefArena	arena;
	uint64_t   *versions;
	int			count;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	rc = reef_manifest_list(verify->ns, version_max, &arena, &versions, &count,
							err);
	reef_arena_release(&arena);
	*has_moved = rc == REEF_OK && count > 0;
	return rc;
}

/* ---- lists ---- */

static ReefCode
append_numbers(ReefVerify *verify, ReefObjectKind kind,
			   const ReefObjectList *list, ReefBuf *out, ReefError *err)
{
	size_t		i;

	for (i = 0; i < list->count; i++)
	{
		ReefObjectName name;

		reef_layout_parse(verify->ns->prefix, list->objects[i].key, &name);
		if (name.kind == kind)
			reef_buf_append(out, &name.number, sizeof(name.number));
	}
	return reef_buf_check(out, err);
}

ReefCode
reef_verify_list_numbers(ReefVerify *verify, ReefObjectKind kind,
						 uint64_t after, ReefArena *arena, uint64_t **numbers,
						 size_t *count, ReefError *err)
{
	char		prefix[REEF_OBJECT_KEY_SIZE];
	char		start_after[REEF_OBJECT_KEY_SIZE] = "";
	size_t		listed = LIST_PAGE_SIZE;
	ReefBuf		found;
	ReefCode	rc = REEF_OK;

	*numbers = NULL;
	*count = 0;
	reef_layout_list_prefix(verify->ns->prefix, kind, prefix);
	if (after > 0 && kind == REEF_OBJECT_WAL)
		reef_layout_wal_key(verify->ns->prefix, after, start_after);
	else if (after > 0)
		reef_layout_manifest_key(verify->ns->prefix, after, start_after);
	reef_buf_init(&found);
	while (rc == REEF_OK && listed == LIST_PAGE_SIZE)
	{
		ReefObjectList list;

		reef_object_list_init(&list);
		rc = reef_verify_step(verify, 0, err);
		if (rc == REEF_OK)
			rc = reef_store_list(verify->ns->store, prefix, start_after,
								 LIST_PAGE_SIZE, &list, err);
		if (rc == REEF_OK)
			rc = append_numbers(verify, kind, &list, &found, err);
		listed = list.count;
		if (listed > 0)
			memcpy(start_after, list.objects[listed - 1].key,
				   sizeof(start_after));
		reef_object_list_release(&list);
	}
	if (rc == REEF_OK && found.size > 0)
	{
		*numbers = reef_arena_alloc(arena, found.size);
		if (*numbers == NULL)
			rc = reef_error_no_memory(err, found.size);
		else
		{
			memcpy(*numbers, found.data, found.size);
			*count = found.size / sizeof(uint64_t);
		}
	}
	reef_buf_release(&found);
	return rc;
}

/* ---- identity ---- */

typedef struct Vote
{
	uint8_t		id[16];
	int			votes;
} Vote;

typedef struct Votes
{
	int			count;
	Vote		votes[IDENTITY_MANIFESTS + IDENTITY_RECORDS];
} Votes;

static void
vote(Votes *votes, const uint8_t id[16])
{
	int			i;

	for (i = 0; i < votes->count; i++)
	{
		if (memcmp(votes->votes[i].id, id, 16) == 0)
		{
			votes->votes[i].votes++;
			return;
		}
	}
	memcpy(votes->votes[votes->count].id, id, 16);
	votes->votes[votes->count++].votes = 1;
}

/* An object that cannot be read has no vote. */
static ReefCode
vote_of(ReefVerify *verify, ReefObjectKind kind, uint64_t number, Votes *votes,
		ReefError *err)
{
	ReefArena	arena;
	ReefBuf		bytes;
	ReefManifest manifest;
	ReefRecord	record;
	ReefCode	rc;

	reef_arena_init(&arena, 0);
	reef_buf_init(&bytes);
	if (kind == REEF_OBJECT_MANIFEST)
	{
		rc = reef_manifest_load(verify->ns, number, &arena, &manifest, &bytes,
								err);
		if (rc == REEF_OK)
			vote(votes, manifest.namespace_id);
	}
	else
	{
		rc = reef_record_load(verify->ns, number, &arena, &record, err);
		if (rc == REEF_OK)
			vote(votes, record.header.namespace_id);
	}
	reef_buf_release(&bytes);
	reef_arena_release(&arena);
	if (rc == REEF_NOT_FOUND || rc == REEF_UNSUPPORTED ||
		reef_verify_is_damage(rc, err))
		return REEF_OK;
	return rc;
}

static ReefCode
vote_of_newest(ReefVerify *verify, ReefObjectKind kind, size_t limit,
			   Votes *votes, ReefArena *arena, ReefError *err)
{
	uint64_t   *numbers;
	size_t		count;
	size_t		i;

	REEF_TRY(reef_verify_list_numbers(verify, kind, 0, arena, &numbers, &count,
									  err));
	for (i = 0; i < count && i < limit; i++)
		REEF_TRY(vote_of(verify, kind, numbers[count - 1 - i], votes, err));
	return REEF_OK;
}

ReefCode
reef_verify_identity(ReefVerify *verify, uint8_t id[16], bool *is_known,
					 ReefError *err)
{
	Votes		votes = {0};
	ReefArena	arena;
	ReefCode	rc;
	int			best = 0;
	int			i;

	reef_arena_init(&arena, 0);
	rc = vote_of_newest(verify, REEF_OBJECT_MANIFEST, IDENTITY_MANIFESTS,
						&votes, &arena, err);
	if (rc == REEF_OK)
		rc = vote_of_newest(verify, REEF_OBJECT_WAL, IDENTITY_RECORDS, &votes,
							&arena, err);
	reef_arena_release(&arena);
	*is_known = votes.count > 0;
	memset(id, 0, 16);
	for (i = 1; i < votes.count; i++)
	{
		if (votes.votes[i].votes > votes.votes[best].votes)
			best = i;
	}
	if (votes.count > 0)
		memcpy(id, votes.votes[best].id, 16);
	return rc;
}

/* ---- names for people ---- */

static void
describe_value(ReefKind kind, const ReefValue *value, char *text, size_t size)
{
	switch (kind)
	{
		case REEF_KIND_BOOL:
			snprintf(text, size, "%s", value->as.boolean ? "true" : "false");
			break;
		case REEF_KIND_INT16:
			snprintf(text, size, "%d", value->as.int16);
			break;
		case REEF_KIND_INT32:
			snprintf(text, size, "%d", (int) value->as.int32);
			break;
		case REEF_KIND_INT64:
			snprintf(text, size, "%lld", (long long) value->as.int64);
			break;
		case REEF_KIND_FLOAT32:
			snprintf(text, size, "%g", (double) value->as.float32);
			break;
		case REEF_KIND_FLOAT64:
			snprintf(text, size, "%g", value->as.float64);
			break;
		case REEF_KIND_TEXT:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			snprintf(text, size, "'%.*s'",
					 (int) (value->as.bytes.size < 60 ? value->as.bytes.size : 60),
					 (const char *) value->as.bytes.data);
			break;
		case REEF_KIND_UUID:
			if (size >= 37)
				reef_uuid_format(value->as.uuid, text);
			break;
		case REEF_KIND_DECIMAL64:
		case REEF_KIND_DECIMAL128:
		case REEF_KIND_BYTES:
		case REEF_KIND_DATE:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			snprintf(text, size, "(%s)", reef_kind_name(kind));
			break;
	}
}

void
reef_key_describe(ReefSlice key, const ReefSchema *schema, char *text,
				  size_t size)
{
	ReefReader	reader;
	ReefBuf		unescaped;
	size_t		used = 0;
	size_t		i;
	int			position;

	text[0] = '\0';
	for (i = 0; i < key.size && i < 32 && used + 3 < size; i++)
		used += (size_t) snprintf(text + used, size - used, "%02x",
								  key.data[i]);
	if (i < key.size && used + 4 < size)
		used += (size_t) snprintf(text + used, size - used, "...");

	reef_reader_init(&reader, key);
	reef_buf_init(&unescaped);
	for (position = 1; used + 70 < size; position++)
	{
		int			column = reef_schema_key_column(schema, position);
		ReefValue	value;

		if (column < 0 ||
			!reef_key_read(&reader, schema->columns[column].type.kind,
						   &unescaped, &value))
			break;
		used += (size_t) snprintf(text + used, size - used, "%s",
								  position == 1 ? " (" : ", ");
		describe_value(schema->columns[column].type.kind, &value, text + used,
					   size - used);
		used += strlen(text + used);
	}
	if (position > 1 && used + 1 < size)
		snprintf(text + used, size - used, ")");
	reef_buf_release(&unescaped);
}

/* ---- sets of ids ---- */

static size_t
id_slot(const ReefIdSet *set, const uint8_t id[16])
{
	/* the last bytes of a version 7 uuid are random */
	size_t		slot = (size_t) reef_get_u64(id + 8) % set->capacity;

	while (set->is_used[slot] && memcmp(set->slots[slot], id, 16) != 0)
		slot = (slot + 1) % set->capacity;
	return slot;
}

static ReefCode
grow(ReefIdSet *set, ReefError *err)
{
	ReefIdSet	grown = *set;
	size_t		i;

	grown.capacity = set->capacity * 2 + 64;
	grown.slots = reef_arena_alloc(set->arena, grown.capacity * 16);
	grown.is_used = reef_arena_calloc(set->arena, grown.capacity);
	if (grown.slots == NULL || grown.is_used == NULL)
		return reef_error_no_memory(err, grown.capacity * 16);
	for (i = 0; i < set->capacity; i++)
	{
		size_t		slot;

		if (!set->is_used[i])
			continue;
		slot = id_slot(&grown, set->slots[i]);
		memcpy(grown.slots[slot], set->slots[i], 16);
		grown.is_used[slot] = true;
	}
	*set = grown;
	return REEF_OK;
}

ReefCode
reef_id_set_add(ReefIdSet *set, const uint8_t id[16], ReefError *err)
{
	size_t		slot;

	if (set->count * 2 >= set->capacity)
		REEF_TRY(grow(set, err));
	slot = id_slot(set, id);
	if (set->is_used[slot])
		return REEF_OK;
	memcpy(set->slots[slot], id, 16);
	set->is_used[slot] = true;
	set->count++;
	return REEF_OK;
}

bool
reef_id_set_contains(const ReefIdSet *set, const uint8_t id[16])
{
	return set->capacity > 0 && set->is_used[id_slot(set, id)];
}
