/*
 * manifest_encode.c
 *	  Writing a manifest (manifest.h has the format).
 *
 * A JSON tree is built with its members in a fixed order and printed, so that
 * equal manifests are equal bytes.  Building fails for one reason only, memory
 * (everything else was checked before), so failures stick to the encoder and
 * are reported once.
 */
#include "format/manifest.h"

#include <jansson.h>
#include <math.h>

#include "base/crc32c.h"
#include "format/check.h"
#include "format/layout.h"
#include "format/manifest_text.h"

typedef struct Encoder
{
	ReefBuf		text;			/* scratch for one string */
	bool		failed;
} Encoder;

/*
 * Not json_object(): the PostgreSQL server has a function of that name, and
 * in its process a call of ours would end up there.
 */
static json_t *
object_new(void)
{
	return json_pack("{}");
}

static void
set(Encoder *encoder, json_t *object, const char *member, json_t *value)
{
	if (json_object_set_new(object, member, value) != 0)
		encoder->failed = true;
}

static void
append(Encoder *encoder, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) != 0)
		encoder->failed = true;
}

static json_t *
integer(uint64_t value)
{
	return json_integer((json_int_t) value);
}

/* The encoder's scratch text as a JSON string; NULL when out of memory. */
static json_t *
take_text(Encoder *encoder)
{
	const void *text = encoder->text.data;

	if (encoder->text.failed)
		return NULL;
	return json_stringn(text == NULL ? "" : text, encoder->text.size);
}

static json_t *
hex(Encoder *encoder, const void *bytes, size_t size)
{
	reef_buf_reset(&encoder->text);
	reef_text_append_hex(&encoder->text, reef_slice(bytes, size));
	return take_text(encoder);
}

static json_t *
hex_u32(Encoder *encoder, uint32_t value)
{
	reef_buf_reset(&encoder->text);
	reef_buf_printf(&encoder->text, "%08x", value);
	return take_text(encoder);
}

static json_t *
decimal(Encoder *encoder, ReefInt128 value, ReefInt128 nan)
{
	if (value == nan)
		return json_string("NaN");
	reef_buf_reset(&encoder->text);
	reef_text_append_int128(&encoder->text, value);
	return take_text(encoder);
}

static json_t *
real(double value)
{
	if (isnan(value))
		return json_string("NaN");
	if (isinf(value))
		return json_string(value > 0 ? "Infinity" : "-Infinity");
	return json_real(value);
}

/* Text as a string; what a JSON string cannot be as {"hex": "..."}. */
static json_t *
text_or_hex(Encoder *encoder, ReefKind kind, ReefSlice bytes)
{
	json_t	   *object;

	if (kind != REEF_KIND_BYTES && reef_text_is_plain(bytes))
		return json_stringn(bytes.size == 0 ? "" : (const char *) bytes.data,
							bytes.size);
	object = object_new();
	set(encoder, object, "hex", hex(encoder, bytes.data, bytes.size));
	return object;
}

static json_t *
bound(Encoder *encoder, ReefKind kind, const ReefValue *value)
{
	char		uuid[37];

	switch (kind)
	{
		case REEF_KIND_BOOL:
			return json_boolean(value->as.boolean);
		case REEF_KIND_INT16:
			return json_integer(value->as.int16);
		case REEF_KIND_INT32:
		case REEF_KIND_DATE:
			return json_integer(value->as.int32);
		case REEF_KIND_INT64:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			return json_integer(value->as.int64);
		case REEF_KIND_FLOAT32:
			return real((double) value->as.float32);
		case REEF_KIND_FLOAT64:
			return real(value->as.float64);
		case REEF_KIND_DECIMAL64:
			return decimal(encoder, value->as.int64, REEF_DECIMAL64_NAN);
		case REEF_KIND_DECIMAL128:
			return decimal(encoder, value->as.int128, REEF_DECIMAL128_NAN);
		case REEF_KIND_UUID:
			reef_uuid_format(value->as.uuid, uuid);
			return json_string(uuid);
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			return text_or_hex(encoder, kind, value->as.bytes);
	}
	return NULL;
}

static json_t *
column(Encoder *encoder, const ReefColumn *source)
{
	const ReefType *type = &source->type;
	json_t	   *object = object_new();

	set(encoder, object, "name", json_string(source->name));
	set(encoder, object, "kind", json_string(reef_kind_name(type->kind)));
	set(encoder, object, "precision", json_integer(type->precision));
	set(encoder, object, "scale", json_integer(type->scale));
	set(encoder, object, "length", json_integer(type->length));
	set(encoder, object, "type", type->pg_type == NULL ? json_null() :
		json_string(type->pg_type));
	set(encoder, object, "key_position", json_integer(source->key_position));
	set(encoder, object, "not_null", json_boolean(source->not_null));
	set(encoder, object, "bloom", json_boolean(source->has_bloom));
	return object;
}

static json_t *
column_stats(Encoder *encoder, const ReefColumnStats *source)
{
	json_t	   *object = object_new();

	set(encoder, object, "name", json_string(source->name));
	set(encoder, object, "nulls", integer(source->null_count));
	if (source->has_min_max)
	{
		set(encoder, object, "kind",
			json_string(reef_kind_name(source->kind)));
		set(encoder, object, "min",
			bound(encoder, source->kind, &source->min));
		set(encoder, object, "max",
			bound(encoder, source->kind, &source->max));
	}
	return object;
}

static json_t *
segment(Encoder *encoder, const ReefSegmentMeta *source)
{
	json_t	   *object = object_new();
	json_t	   *stats = json_array();
	char		id[37];
	int			i;

	reef_uuid_format(source->id, id);
	set(encoder, object, "id", json_string(id));
	set(encoder, object, "level", json_integer(source->level));
	set(encoder, object, "rows", integer(source->row_count));
	set(encoder, object, "tombstones", integer(source->tombstone_count));
	set(encoder, object, "superseding", integer(source->superseding_count));
	set(encoder, object, "key_min",
		hex(encoder, source->key_min.data, source->key_min.size));
	set(encoder, object, "key_max",
		hex(encoder, source->key_max.data, source->key_max.size));
	set(encoder, object, "lsn_min", integer(source->lsn_min));
	set(encoder, object, "lsn_max", integer(source->lsn_max));
	set(encoder, object, "bytes", integer(source->size));
	set(encoder, object, "crc32c", hex_u32(encoder, source->crc));
	for (i = 0; i < source->stats_count; i++)
		append(encoder, stats, column_stats(encoder, &source->stats[i]));
	set(encoder, object, "stats", stats);
	return object;
}

static json_t *
columns(Encoder *encoder, const ReefSchema *schema)
{
	json_t	   *array = json_array();
	int			i;

	for (i = 0; i < schema->column_count; i++)
		append(encoder, array, column(encoder, &schema->columns[i]));
	return array;
}

static json_t *
segments(Encoder *encoder, const ReefManifest *manifest)
{
	json_t	   *array = json_array();
	int			i;

	for (i = 0; i < manifest->segment_count; i++)
		append(encoder, array, segment(encoder, &manifest->segments[i]));
	return array;
}

/* An object of "idempotency" or "transactions". */
static json_t *
entry(Encoder *encoder, const char *name, ReefSlice bytes, uint64_t lsn,
	  int64_t time_ms)
{
	json_t	   *object = object_new();

	set(encoder, object, name, hex(encoder, bytes.data, bytes.size));
	set(encoder, object, "lsn", integer(lsn));
	set(encoder, object, "time_ms", json_integer(time_ms));
	return object;
}

static json_t *
transaction(Encoder *encoder, const ReefManifestTransaction *source)
{
	json_t	   *object = entry(encoder, "id", reef_slice(source->id, 16),
							   source->lsn, source->time_ms);
	json_t	   *participants;
	int			i;

	if (source->participant_count == 0)
		return object;
	participants = json_array();
	for (i = 0; i < source->participant_count; i++)
	{
		json_t	   *participant = object_new();

		set(encoder, participant, "name",
			hex(encoder, source->participants[i].data,
				source->participants[i].size));
		append(encoder, participants, participant);
	}
	set(encoder, object, "participants", participants);
	return object;
}

static json_t *
body(Encoder *encoder, const ReefManifest *manifest)
{
	json_t	   *object = object_new();
	json_t	   *idempotency = json_array();
	json_t	   *transactions = json_array();
	int			i;

	set(encoder, object, "format", json_integer(REEF_MANIFEST_FORMAT_VERSION));
	set(encoder, object, "version", integer(manifest->version));
	set(encoder, object, "parent_version", integer(manifest->parent_version));
	set(encoder, object, "namespace_id",
		hex(encoder, manifest->namespace_id, sizeof(manifest->namespace_id)));
	set(encoder, object, "epoch", integer(manifest->epoch));
	set(encoder, object, "last_applied_lsn",
		integer(manifest->last_applied_lsn));
	set(encoder, object, "last_applied_crc",
		hex_u32(encoder, manifest->last_applied_crc));
	set(encoder, object, "time_ms", json_integer(manifest->time_ms));
	set(encoder, object, "live_rows", integer(manifest->live_row_count));
	if (manifest->rebuildable_lsn != 0)
		set(encoder, object, "rebuildable_lsn",
			integer(manifest->rebuildable_lsn));
	set(encoder, object, "columns", columns(encoder, &manifest->schema));
	set(encoder, object, "segments", segments(encoder, manifest));
	for (i = 0; i < manifest->idempotency_count; i++)
	{
		const ReefIdempotencyEntry *source = &manifest->idempotency[i];

		append(encoder, idempotency, entry(encoder, "key", source->key,
										   source->lsn, source->time_ms));
	}
	set(encoder, object, "idempotency", idempotency);
	for (i = 0; i < manifest->transaction_count; i++)
		append(encoder, transactions,
			   transaction(encoder, &manifest->transactions[i]));
	set(encoder, object, "transactions", transactions);
	return object;
}

static int
dump(const char *bytes, size_t size, void *out)
{
	reef_buf_append(out, bytes, size);
	return 0;
}

ReefCode
reef_manifest_encode(const ReefManifest *manifest, ReefBuf *out,
					 ReefError *err)
{
	Encoder		encoder = {.failed = false};
	ReefBuf		printed;
	json_t	   *tree;

	REEF_TRY(reef_manifest_check(manifest, REEF_INVALID, err));
	reef_buf_init(&printed);
	reef_buf_init(&encoder.text);
	tree = body(&encoder, manifest);
	if (tree == NULL || encoder.failed ||
		json_dump_callback(tree, dump, &printed,
						   JSON_INDENT(1) | JSON_REAL_PRECISION(17)) != 0)
		printed.failed = true;
	json_decref(tree);
	reef_buf_release(&encoder.text);
	reef_buf_append_u8(&printed, '\n');
	if (!printed.failed)
	{
		reef_buf_printf(out, REEF_MANIFEST_MAGIC " %d %zu %08x\n",
						REEF_MANIFEST_FORMAT_VERSION, printed.size,
						reef_crc32c(0, printed.data, printed.size));
		reef_buf_append(out, printed.data, printed.size);
	}
	else
		out->failed = true;
	reef_buf_release(&printed);
	return reef_buf_check(out, err);
}
