/*
 * manifest_decode.c
 *	  Reading a manifest (manifest.h has the format).
 *
 * The bytes come from storage and may be anybody's.  The first line is
 * compared before the body is parsed, so that a cut or changed object is
 * damage and never a newer format.  Getters check type and range, remember
 * only the first mismatch and where in the document it was, and return zero
 * from then on: a list of members reads as a list, and its end is checked
 * once.
 */
#include "format/manifest.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "base/document.h"
#include "format/check.h"
#include "format/layout.h"
#include "format/manifest_text.h"

#define DAMAGED "manifest is damaged"

/* Longest possible first line. */
#define FIRST_LINE_MAX_SIZE 64

typedef struct Decoder
{
	const char *key;			/* the object's name */
	ReefArena  *arena;
	ReefError  *err;
	ReefCode	code;			/* REEF_OK: nothing found so far */
	char		path[64];		/* of the present object: "segments[3]." */
} Decoder;

static void
mismatch(Decoder *decoder, const char *member, const char *problem)
{
	if (decoder->code == REEF_OK)
		decoder->code = reef_error_set(decoder->err, REEF_CORRUPT, DAMAGED,
									   "\"%s\": %s%s %s", decoder->key,
									   decoder->path, member, problem);
}

static void *
allocate(Decoder *decoder, size_t size)
{
	void	   *place = NULL;

	if (decoder->code == REEF_OK)
	{
		place = reef_arena_calloc(decoder->arena, size);
		if (place == NULL)
			decoder->code = reef_error_no_memory(decoder->err, size);
	}
	return place;
}

static int64_t
get_integer(Decoder *decoder, const json_t *object, const char *member,
			int64_t min, int64_t max)
{
	const json_t *value = json_object_get(object, member);

	if (!json_is_integer(value))
		mismatch(decoder, member, "is not an integer");
	else if (json_integer_value(value) < min ||
			 json_integer_value(value) > max)
		mismatch(decoder, member, "is out of range");
	else
		return json_integer_value(value);
	return 0;
}

static uint64_t
get_count(Decoder *decoder, const json_t *object, const char *member)
{
	return (uint64_t) get_integer(decoder, object, member, 0, INT64_MAX);
}

static bool
get_boolean(Decoder *decoder, const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);

	if (!json_is_boolean(value))
		mismatch(decoder, member, "is not a boolean");
	return json_is_true(value);
}

/* Borrowed from the tree, "" after a mismatch; never has a NUL inside. */
static const char *
get_text(Decoder *decoder, const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);

	if (json_is_string(value))
		return json_string_value(value);
	mismatch(decoder, member, "is not a string");
	return "";
}

static const char *
get_string(Decoder *decoder, const json_t *object, const char *member)
{
	const char *text = get_text(decoder, object, member);
	char	   *copy = allocate(decoder, strlen(text) + 1);

	if (copy != NULL)
		memcpy(copy, text, strlen(text));
	return copy;
}

/* Hex text of any number of bytes. */
static ReefSlice
get_hex(Decoder *decoder, const json_t *object, const char *member)
{
	const char *text = get_text(decoder, object, member);
	size_t		size = strlen(text) / 2;
	uint8_t    *bytes = allocate(decoder, size);

	if (bytes == NULL)
		return reef_slice(NULL, 0);
	if (!reef_text_parse_hex(text, bytes))
	{
		mismatch(decoder, member, "is not hex text");
		return reef_slice(NULL, 0);
	}
	return reef_slice(bytes, size);
}

static void
get_id(Decoder *decoder, const json_t *object, const char *member,
	   uint8_t id[16])
{
	ReefSlice	bytes = get_hex(decoder, object, member);

	if (bytes.size == 16)
		memcpy(id, bytes.data, 16);
	else
		mismatch(decoder, member, "is not 16 bytes");
}

static uint32_t
get_crc(Decoder *decoder, const json_t *object, const char *member)
{
	ReefSlice	bytes = get_hex(decoder, object, member);
	uint32_t	crc = 0;
	size_t		i;

	if (bytes.size != 4)
		mismatch(decoder, member, "is not 4 bytes");
	else
	{
		for (i = 0; i < 4; i++)
			crc = crc * 256 + bytes.data[i];
	}
	return crc;
}

static void
get_uuid(Decoder *decoder, const json_t *object, const char *member,
		 uint8_t uuid[16])
{
	if (!reef_uuid_parse(get_text(decoder, object, member), uuid))
		mismatch(decoder, member, "is not a UUID");
}

static ReefKind
get_kind(Decoder *decoder, const json_t *object, const char *member)
{
	ReefKind	kind = reef_kind_of_name(get_text(decoder, object, member));

	if (kind == 0)
		mismatch(decoder, member, "is not a kind");
	return kind;
}

/* An array of objects; *count of them, 0 after a mismatch. */
static const json_t *
get_array(Decoder *decoder, const json_t *object, const char *member,
		  int *count)
{
	const json_t *array = json_object_get(object, member);
	size_t		size = json_array_size(array);
	size_t		i;

	*count = 0;
	if (!json_is_array(array))
		mismatch(decoder, member, "is not an array");
	else if (size > INT32_MAX)
		mismatch(decoder, member, "is too long");
	for (i = 0; i < size && decoder->code == REEF_OK; i++)
	{
		if (!json_is_object(json_array_get(array, i)))
			mismatch(decoder, member, "has something that is not an object");
	}
	if (decoder->code == REEF_OK)
		*count = (int) size;
	return array;
}

static ReefInt128
get_decimal(Decoder *decoder, const json_t *object, const char *member,
			ReefInt128 min, ReefInt128 max)
{
	const char *text = get_text(decoder, object, member);
	ReefInt128	value = 0;

	if (strcmp(text, "NaN") == 0)
		return max;
	if (!reef_text_parse_int128(text, &value) || value < min || value >= max)
		mismatch(decoder, member, "is not a decimal number");
	return value;
}

static double
get_real(Decoder *decoder, const json_t *object, const char *member)
{
	const json_t *value = json_object_get(object, member);
	const char *text;

	if (json_is_real(value))
		return json_real_value(value);
	text = get_text(decoder, object, member);
	if (strcmp(text, "NaN") == 0)
		return NAN;
	if (strcmp(text, "Infinity") == 0)
		return INFINITY;
	if (strcmp(text, "-Infinity") == 0)
		return -INFINITY;
	mismatch(decoder, member, "is not a number");
	return 0;
}

static float
get_float(Decoder *decoder, const json_t *object, const char *member)
{
	double		value = get_real(decoder, object, member);

	if (isfinite(value) &&
		(fabs(value) > 3.4028234663852886e38 || (double) (float) value != value))
	{
		mismatch(decoder, member, "is not a float4");
		return 0;
	}
	return (float) value;
}

static ReefSlice
get_bytes(Decoder *decoder, const json_t *object, const char *member,
		  ReefKind kind)
{
	const json_t *value = json_object_get(object, member);
	const char *text;

	if (json_is_object(value))
		return get_hex(decoder, value, "hex");
	if (kind == REEF_KIND_BYTES)
		mismatch(decoder, member, "is not hex text");
	text = get_string(decoder, object, member);
	return text == NULL ? reef_slice(NULL, 0) : reef_slice_of_string(text);
}

static ReefValue
get_bound(Decoder *decoder, const json_t *object, const char *member,
		  ReefKind kind)
{
	ReefValue	value = {.is_null = false};

	switch (kind)
	{
		case REEF_KIND_BOOL:
			value.as.boolean = get_boolean(decoder, object, member);
			break;
		case REEF_KIND_INT16:
			value.as.int16 = (int16_t) get_integer(decoder, object, member,
												   INT16_MIN, INT16_MAX);
			break;
		case REEF_KIND_INT32:
		case REEF_KIND_DATE:
			value.as.int32 = (int32_t) get_integer(decoder, object, member,
												   INT32_MIN, INT32_MAX);
			break;
		case REEF_KIND_INT64:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			value.as.int64 = get_integer(decoder, object, member, INT64_MIN,
										 INT64_MAX);
			break;
		case REEF_KIND_FLOAT32:
			value.as.float32 = get_float(decoder, object, member);
			break;
		case REEF_KIND_FLOAT64:
			value.as.float64 = get_real(decoder, object, member);
			break;
		case REEF_KIND_DECIMAL64:
			value.as.int64 = (int64_t)
				get_decimal(decoder, object, member, INT64_MIN,
							REEF_DECIMAL64_NAN);
			break;
		case REEF_KIND_DECIMAL128:
			value.as.int128 =
				get_decimal(decoder, object, member,
							-REEF_DECIMAL128_NAN - 1, REEF_DECIMAL128_NAN);
			break;
		case REEF_KIND_UUID:
			get_uuid(decoder, object, member, value.as.uuid);
			break;
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			value.as.bytes = get_bytes(decoder, object, member, kind);
			break;
	}
	return value;
}

static void
decode_columns(Decoder *decoder, const json_t *body, ReefSchema *schema)
{
	int			count;
	const json_t *array = get_array(decoder, body, "columns", &count);
	int			i;

	if (count > REEF_COLUMN_MAX_COUNT)
		mismatch(decoder, "columns", "has too many");
	schema->columns = allocate(decoder, (size_t) count * sizeof(ReefColumn));
	for (i = 0; i < count && decoder->code == REEF_OK; i++)
	{
		const json_t *object = json_array_get(array, (size_t) i);
		ReefColumn *column = &schema->columns[i];
		ReefType   *type = &column->type;

		snprintf(decoder->path, sizeof(decoder->path), "columns[%d].", i);
		column->name = get_string(decoder, object, "name");
		type->kind = get_kind(decoder, object, "kind");
		type->precision = (uint8_t) get_integer(decoder, object, "precision",
												0, UINT8_MAX);
		type->scale = (uint8_t) get_integer(decoder, object, "scale", 0,
											UINT8_MAX);
		type->length = (int32_t) get_integer(decoder, object, "length", -1,
											 INT32_MAX);
		if (!json_is_null(json_object_get(object, "type")))
			type->pg_type = get_string(decoder, object, "type");
		column->key_position = (int) get_integer(decoder, object,
												 "key_position", 0,
												 REEF_COLUMN_MAX_COUNT);
		column->not_null = get_boolean(decoder, object, "not_null");
		column->has_bloom = get_boolean(decoder, object, "bloom");
	}
	schema->column_count = count;
	decoder->path[0] = '\0';
}

/* decoder->path is that of the segment, number "segment". */
static void
decode_stats(Decoder *decoder, const json_t *object, int segment,
			 ReefSegmentMeta *meta)
{
	int			count;
	const json_t *array = get_array(decoder, object, "stats", &count);
	int			i;

	if (count > REEF_COLUMN_MAX_COUNT)
		mismatch(decoder, "stats", "has too many");
	meta->stats = allocate(decoder, (size_t) count * sizeof(ReefColumnStats));
	for (i = 0; i < count && decoder->code == REEF_OK; i++)
	{
		const json_t *source = json_array_get(array, (size_t) i);
		ReefColumnStats *stats = &meta->stats[i];

		snprintf(decoder->path, sizeof(decoder->path),
				 "segments[%d].stats[%d].", segment, i);
		stats->name = get_string(decoder, source, "name");
		stats->null_count = get_count(decoder, source, "nulls");
		stats->has_min_max = json_object_get(source, "kind") != NULL;
		if (!stats->has_min_max)
			continue;
		stats->kind = get_kind(decoder, source, "kind");
		stats->min = get_bound(decoder, source, "min", stats->kind);
		stats->max = get_bound(decoder, source, "max", stats->kind);
	}
	meta->stats_count = count;
}

static void
decode_segments(Decoder *decoder, const json_t *body, ReefManifest *manifest)
{
	int			count;
	const json_t *array = get_array(decoder, body, "segments", &count);
	int			i;

	manifest->segments = allocate(decoder,
								  (size_t) count * sizeof(ReefSegmentMeta));
	for (i = 0; i < count && decoder->code == REEF_OK; i++)
	{
		const json_t *object = json_array_get(array, (size_t) i);
		ReefSegmentMeta *meta = &manifest->segments[i];

		snprintf(decoder->path, sizeof(decoder->path), "segments[%d].", i);
		get_uuid(decoder, object, "id", meta->id);
		meta->level = (int) get_integer(decoder, object, "level", 0, 1);
		meta->row_count = get_count(decoder, object, "rows");
		meta->tombstone_count = get_count(decoder, object, "tombstones");
		meta->superseding_count = get_count(decoder, object, "superseding");
		meta->key_min = get_hex(decoder, object, "key_min");
		meta->key_max = get_hex(decoder, object, "key_max");
		meta->lsn_min = get_count(decoder, object, "lsn_min");
		meta->lsn_max = get_count(decoder, object, "lsn_max");
		meta->size = get_count(decoder, object, "bytes");
		meta->crc = get_crc(decoder, object, "crc32c");
		decode_stats(decoder, object, i, meta);
	}
	manifest->segment_count = count;
	decoder->path[0] = '\0';
}

static void
decode_idempotency(Decoder *decoder, const json_t *body,
				   ReefManifest *manifest)
{
	int			count;
	const json_t *array = get_array(decoder, body, "idempotency", &count);
	int			i;

	manifest->idempotency =
		allocate(decoder, (size_t) count * sizeof(ReefIdempotencyEntry));
	for (i = 0; i < count && decoder->code == REEF_OK; i++)
	{
		const json_t *object = json_array_get(array, (size_t) i);
		ReefIdempotencyEntry *entry = &manifest->idempotency[i];

		snprintf(decoder->path, sizeof(decoder->path), "idempotency[%d].", i);
		entry->key = get_hex(decoder, object, "key");
		entry->lsn = get_count(decoder, object, "lsn");
		entry->time_ms = get_integer(decoder, object, "time_ms", INT64_MIN,
									 INT64_MAX);
	}
	manifest->idempotency_count = count;
	decoder->path[0] = '\0';
}

static void
decode_participants(Decoder *decoder, const json_t *object,
					ReefManifestTransaction *transaction)
{
	const json_t *array;
	ReefSlice  *names;
	int			count;
	int			i;

	if (json_object_get(object, "participants") == NULL)
		return;
	array = get_array(decoder, object, "participants", &count);
	names = allocate(decoder, (size_t) count * sizeof(*names));
	for (i = 0; i < count && decoder->code == REEF_OK; i++)
		names[i] = get_hex(decoder, json_array_get(array, (size_t) i), "name");
	transaction->participants = names;
	transaction->participant_count = count;
}

static void
decode_transactions(Decoder *decoder, const json_t *body,
					ReefManifest *manifest)
{
	int			count;
	const json_t *array = get_array(decoder, body, "transactions", &count);
	int			i;

	manifest->transactions =
		allocate(decoder, (size_t) count * sizeof(ReefManifestTransaction));
	for (i = 0; i < count && decoder->code == REEF_OK; i++)
	{
		const json_t *object = json_array_get(array, (size_t) i);
		ReefManifestTransaction *transaction = &manifest->transactions[i];

		snprintf(decoder->path, sizeof(decoder->path), "transactions[%d].", i);
		get_id(decoder, object, "id", transaction->id);
		transaction->lsn = get_count(decoder, object, "lsn");
		transaction->time_ms = get_integer(decoder, object, "time_ms",
										   INT64_MIN, INT64_MAX);
		decode_participants(decoder, object, transaction);
	}
	manifest->transaction_count = count;
	decoder->path[0] = '\0';
}

static void
decode_body(Decoder *decoder, const json_t *body, ReefManifest *manifest)
{
	memset(manifest, 0, sizeof(*manifest));
	manifest->version = get_count(decoder, body, "version");
	manifest->parent_version = get_count(decoder, body, "parent_version");
	get_id(decoder, body, "namespace_id", manifest->namespace_id);
	manifest->epoch = get_count(decoder, body, "epoch");
	manifest->last_applied_lsn = get_count(decoder, body, "last_applied_lsn");
	manifest->last_applied_crc = get_crc(decoder, body, "last_applied_crc");
	manifest->time_ms = get_integer(decoder, body, "time_ms", INT64_MIN,
									INT64_MAX);
	manifest->live_row_count = get_count(decoder, body, "live_rows");
	if (json_object_get(body, "rebuildable_lsn") != NULL)
		manifest->rebuildable_lsn = get_count(decoder, body,
											  "rebuildable_lsn");
	decode_columns(decoder, body, &manifest->schema);
	decode_segments(decoder, body, manifest);
	decode_idempotency(decoder, body, manifest);
	decode_transactions(decoder, body, manifest);
}

/* Decimal digits up to the next space; false if there are none or too many. */
static bool
read_decimal(const char **place, const char *end, uint64_t *value)
{
	const char *start = *place;

	*value = 0;
	while (*place < end && **place >= '0' && **place <= '9' &&
		   *place - start < 10)
		*value = *value * 10 + (uint64_t) (*(*place)++ - '0');
	return *place > start && *place < end && *(*place)++ == ' ';
}

/* Take the first line off; what follows it must be what it says. */
static ReefCode
check_first_line(ReefSlice bytes, const char *key, uint64_t *format,
				 ReefSlice *body, ReefError *err)
{
	const char *start = (const char *) bytes.data;
	const char *end = bytes.size == 0 ? NULL :
		memchr(start, '\n', bytes.size < FIRST_LINE_MAX_SIZE ? bytes.size :
			   FIRST_LINE_MAX_SIZE);
	const char *place;
	uint64_t	size;
	char		crc_text[9];

	if (end == NULL ||
		(size_t) (end - start) <= strlen(REEF_MANIFEST_MAGIC " ") ||
		memcmp(start, REEF_MANIFEST_MAGIC " ",
			   strlen(REEF_MANIFEST_MAGIC " ")) != 0)
		return reef_error_set(err, REEF_CORRUPT, DAMAGED,
							  "\"%s\" does not begin as one", key);
	place = start + strlen(REEF_MANIFEST_MAGIC " ");
	if (!read_decimal(&place, end, format) ||
		!read_decimal(&place, end, &size) || end - place != 8)
		return reef_error_set(err, REEF_CORRUPT, DAMAGED,
							  "\"%s\": its first line is not of any version",
							  key);
	*body = reef_slice(end + 1, bytes.size - (size_t) (end + 1 - start));
	if (body->size != size)
		return reef_error_set(err, REEF_CORRUPT, DAMAGED,
							  "\"%s\" has %zu bytes after its first line, "
							  "not %llu", key, body->size,
							  (unsigned long long) size);
	snprintf(crc_text, sizeof(crc_text), "%08x",
			 reef_crc32c(0, body->data, body->size));
	if (memcmp(crc_text, place, 8) != 0)
		return reef_error_set(err, REEF_CORRUPT, DAMAGED,
							  "\"%s\": wrong checksum of the %zu bytes after "
							  "its first line", key, body->size);
	return REEF_OK;
}

/* The version is in the first line and, under the checksum, in the body. */
static ReefCode
check_format(const json_t *tree, uint64_t format, const char *key,
			 ReefError *err)
{
	const json_t *member = json_object_get(tree, "format");

	if (!json_is_integer(member) || format == 0 ||
		json_integer_value(member) != (json_int_t) format)
		return reef_error_set(err, REEF_CORRUPT, DAMAGED,
							  "\"%s\": format is not that of its first line",
							  key);
	if (format > REEF_MANIFEST_FORMAT_VERSION)
		return reef_error_set(err, REEF_UNSUPPORTED,
							  "manifest has a newer format",
							  "\"%s\" has version %llu, we know up to %d", key,
							  (unsigned long long) format,
							  REEF_MANIFEST_FORMAT_VERSION);
	return REEF_OK;
}

ReefCode
reef_manifest_decode(ReefSlice bytes, uint64_t version, const char *key,
					 ReefArena *arena, ReefManifest *manifest, ReefError *err)
{
	Decoder		decoder = {.key = key, .arena = arena, .err = err};
	ReefSlice	body = {NULL, 0};
	uint64_t	format = 0;
	json_error_t problem;
	json_t	   *tree;
	ReefCode	rc;

	REEF_TRY(check_first_line(bytes, key, &format, &body, err));
	tree = json_loadb((const char *) body.data, body.size,
					  JSON_REJECT_DUPLICATES, &problem);
	if (tree == NULL && json_error_code(&problem) == json_error_out_of_memory)
		return reef_error_no_memory(err, body.size);
	if (tree == NULL)
		return reef_error_set(err, REEF_CORRUPT, DAMAGED,
							  "\"%s\": %s at line %d, byte %d of its body", key,
							  problem.text, problem.line, problem.position);
	rc = check_format(tree, format, key, err);
	if (rc == REEF_OK)
	{
		decode_body(&decoder, tree, manifest);
		rc = decoder.code;
	}
	json_decref(tree);
	REEF_TRY(rc);
	if (manifest->version != version)
		return reef_error_set(err, REEF_CORRUPT,
							  "manifest is not the one its name says",
							  "\"%s\" contains version %llu", key,
							  (unsigned long long) manifest->version);
	rc = reef_manifest_check(manifest, REEF_CORRUPT, err);
	if (rc != REEF_OK)
		return reef_error_add(err, "in \"%s\"", key);
	return REEF_OK;
}
