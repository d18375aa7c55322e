/*
 * test_manifest.c
 *	  Manifests: the documented bytes, the stored copies of earlier releases,
 *	  exact values, and that damage is never taken for data.
 */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "format/manifest.h"

#include "../compat/samples.h"

#define KEY "s/t/manifest/00000000000000000012.json"

static void
read_file(const char *path, ReefBuf *out)
{
	FILE	   *file = fopen(path, "rb");
	int			c;

	reef_buf_reset(out);
	if (file == NULL)
		UNIT_FAIL("cannot open %s", path);
	while ((c = getc(file)) != EOF)
		reef_buf_append_u8(out, (uint8_t) c);
	fclose(file);
}

/* The lines of manifest.h that begin with " * |". */
static void
read_documented_bytes(ReefBuf *out)
{
	FILE	   *file = fopen("src/format/manifest.h", "r");
	char		line[200];

	if (file == NULL)
		UNIT_FAIL("cannot open manifest.h: not started from the top folder");
	while (fgets(line, sizeof(line), file) != NULL)
	{
		if (strncmp(line, " * |", 4) == 0)
			reef_buf_append(out, line + 4, strlen(line + 4));
	}
	fclose(file);
}

/* The first manifest of a namespace with one segment of one column. */
static void
encode_documented_example(ReefBuf *out)
{
	ReefColumn	column = {
		"id", {REEF_KIND_INT32, 0, 0, -1, "integer"}, 1, true, false
	};
	ReefColumnStats stats = {
		.name = "id",.has_min_max = true,.kind = REEF_KIND_INT32,
		.min.as.int32 = 7,.max.as.int32 = 9
	};
	ReefSegmentMeta segment = {
		.row_count = 3,
		.key_min = {(const uint8_t *) "\200\0\0\0\0\0\0\007", 8},
		.key_max = {(const uint8_t *) "\200\0\0\0\0\0\0\011", 8},
		.lsn_min = 2,.lsn_max = 4,.size = 901,.crc = 0x0badcafe,
		.stats_count = 1,.stats = &stats
	};
	ReefManifest manifest = {
		.version = 1,.epoch = 5,.last_applied_lsn = 4,
		.last_applied_crc = 0x121109c1,.time_ms = INT64_C(1735689600123),
		.live_row_count = 3,.rebuildable_lsn = 4,.schema = {1, &column},
		.segment_count = 1,.segments = &segment
	};
	ReefError	err;

	memcpy(manifest.namespace_id, sample_uuid, 16);
	memcpy(segment.id, sample_uuid, 16);
	UNIT_OK(reef_manifest_encode(&manifest, out, &err), &err);
}

UNIT_TEST(test_manifest__documented_example)
{
	static ReefBuf documented;
	static ReefBuf encoded;
	static ReefArena arena;
	ReefManifest manifest;
	ReefError	err;

	reef_buf_init(&documented);
	reef_buf_init(&encoded);
	reef_arena_init(&arena, 0);
	read_documented_bytes(&documented);
	encode_documented_example(&encoded);
	UNIT_EQUAL_BYTES(reef_buf_slice(&documented), reef_buf_slice(&encoded));
	UNIT_OK(reef_manifest_decode(reef_buf_slice(&documented), 1, KEY, &arena,
								 &manifest, &err), &err);
	UNIT_EQUAL_INT(manifest.segments[0].stats[0].max.as.int32, 9);
	reef_arena_release(&arena);
	reef_buf_release(&documented);
	reef_buf_release(&encoded);
}

static void
check_stored_segments(const ReefManifest *manifest)
{
	const ReefSegmentMeta *segment = &manifest->segments[0];

	UNIT_EQUAL_INT(manifest->segment_count, 2);
	UNIT_EQUAL_BYTES(reef_slice(segment->id, 16), reef_slice(sample_uuid, 16));
	UNIT_EQUAL_INT(segment->level, 1);
	UNIT_EQUAL_INT(segment->row_count, 90);
	UNIT_EQUAL_BYTES(segment->key_min, reef_slice("\001", 1));
	UNIT_EQUAL_BYTES(segment->key_max, reef_slice("\002\0", 2));
	UNIT_EQUAL_INT(segment->lsn_min, 1);
	UNIT_EQUAL_INT(segment->lsn_max, 9);
	UNIT_EQUAL_INT(segment->size, 4711);
	UNIT_EQUAL_INT(segment->crc, 0x01020304);
	UNIT_EQUAL_INT(segment->stats_count, 4);
	UNIT_EQUAL_STRING(segment->stats[0].name, "id");
	UNIT_EQUAL_INT(segment->stats[0].kind, REEF_KIND_INT32);
	UNIT_EQUAL_INT(segment->stats[0].min.as.int32, -5);
	UNIT_EQUAL_INT(segment->stats[1].null_count, 2);
	UNIT_EQUAL_BYTES(segment->stats[1].min.as.bytes,
					 reef_slice("\303\204pfel", 6));
	UNIT_EQUAL_BYTES(segment->stats[1].max.as.bytes, reef_slice("\377", 1));
	UNIT_EQUAL_INT(segment->stats[2].has_min_max, false);
	UNIT_CHECK(signbit(segment->stats[3].min.as.float64) != 0);
	UNIT_CHECK(segment->stats[3].max.as.float64 == 0.1);
	UNIT_EQUAL_INT(manifest->segments[1].tombstone_count, 3);
	UNIT_EQUAL_INT(manifest->segments[1].superseding_count, 4);
	UNIT_EQUAL_INT(manifest->segments[1].crc, 0xfffffffe);
}

UNIT_TEST(test_manifest__the_stored_basic_manifest_reads_and_is_still_written)
{
	static ReefBuf stored;
	static ReefBuf encoded;
	static ReefArena arena;
	ReefManifest manifest;
	ReefError	err;

	reef_buf_init(&stored);
	reef_buf_init(&encoded);
	reef_arena_init(&arena, 0);
	read_file(SAMPLE_DIR "manifest-basic.json", &stored);
	UNIT_OK(reef_manifest_decode(reef_buf_slice(&stored), 12, KEY, &arena,
								 &manifest, &err), &err);
	UNIT_EQUAL_INT(manifest.version, 12);
	UNIT_EQUAL_INT(manifest.parent_version, 11);
	UNIT_EQUAL_BYTES(reef_slice(manifest.namespace_id, 16),
					 reef_slice(sample_uuid, 16));
	UNIT_EQUAL_INT(manifest.epoch, 5);
	UNIT_EQUAL_INT(manifest.last_applied_lsn, 16);
	UNIT_EQUAL_INT(manifest.last_applied_crc, 0xdeadbeef);
	UNIT_EQUAL_INT(manifest.time_ms, INT64_C(1735689600123));
	UNIT_EQUAL_INT(manifest.live_row_count, 93);
	UNIT_EQUAL_INT(manifest.schema.column_count, 4);
	UNIT_EQUAL_STRING(manifest.schema.columns[1].type.pg_type,
					  "character varying(20)");
	UNIT_EQUAL_INT(manifest.schema.columns[1].type.length, 20);
	UNIT_EQUAL_INT(manifest.schema.columns[1].has_bloom, true);
	UNIT_EQUAL_INT(manifest.schema.columns[2].type.precision, 15);
	UNIT_CHECK(manifest.schema.columns[3].type.pg_type == NULL);
	check_stored_segments(&manifest);
	UNIT_EQUAL_INT(manifest.idempotency_count, 2);
	UNIT_EQUAL_BYTES(manifest.idempotency[0].key, reef_slice("order-17", 8));
	UNIT_EQUAL_BYTES(manifest.idempotency[1].key, reef_slice("\0\377", 2));
	UNIT_EQUAL_INT(manifest.idempotency[1].lsn, 16);
	UNIT_EQUAL_INT(manifest.transaction_count, 1);
	UNIT_EQUAL_INT(manifest.transactions[0].time_ms, INT64_C(1735689600001));

	/* what was decoded is the same again, and so is what we build today */
	UNIT_OK(reef_manifest_encode(&manifest, &encoded, &err), &err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&encoded), reef_buf_slice(&stored));
	sample_manifest(&manifest);
	reef_buf_reset(&encoded);
	UNIT_OK(reef_manifest_encode(&manifest, &encoded, &err), &err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&encoded), reef_buf_slice(&stored));
	reef_arena_release(&arena);
	reef_buf_release(&stored);
	reef_buf_release(&encoded);
}

/* Decode a copy that ends where the bytes end. */
static ReefCode
decode(const void *bytes, size_t size, ReefError *err)
{
	ReefManifest manifest;
	ReefArena	arena;
	ReefCode	rc;
	uint8_t    *copy = malloc(size);

	memcpy(copy, bytes, size);
	reef_arena_init(&arena, 1 << 20);
	rc = reef_manifest_decode(reef_slice(copy, size), 12, KEY, &arena,
							  &manifest, err);
	reef_arena_release(&arena);
	free(copy);
	return rc;
}

static void
encode_sample(ReefBuf *out)
{
	ReefManifest manifest;
	ReefError	err;

	sample_manifest(&manifest);
	UNIT_OK(reef_manifest_encode(&manifest, out, &err), &err);
}

UNIT_TEST(test_manifest__every_truncation_and_every_flipped_bit_is_damage)
{
	static ReefBuf object;
	ReefError	err;
	size_t		i;
	int			bit;

	reef_buf_init(&object);
	encode_sample(&object);
	UNIT_OK(decode(object.data, object.size, &err), &err);
	for (i = 0; i < object.size; i++)
	{
		UNIT_CODE(decode(object.data, i, &err), REEF_CORRUPT, &err);
		UNIT_CHECK(strstr(err.detail, KEY) != NULL);
		for (bit = 0; bit < 8; bit++)
		{
			object.data[i] = (uint8_t) (object.data[i] ^ 1 << bit);
			UNIT_CODE(decode(object.data, object.size, &err), REEF_CORRUPT,
					  &err);
			UNIT_CHECK(strstr(err.detail, KEY) != NULL);
			object.data[i] = (uint8_t) (object.data[i] ^ 1 << bit);
		}
	}
	reef_buf_append_u8(&object, '\n');
	UNIT_CODE(decode(object.data, object.size, &err), REEF_CORRUPT, &err);
	reef_buf_release(&object);
}

/* A body with the first line that belongs to it. */
static void
seal(int format, const char *body, size_t size, ReefBuf *out)
{
	reef_buf_reset(out);
	reef_buf_printf(out, "reef-manifest %d %zu %08x\n", format, size,
					reef_crc32c(0, body, size));
	reef_buf_append(out, body, size);
}

/* Replace the first "from" in the sample's body, seal, and decode. */
static ReefCode
decode_changed(int format, const char *from, const char *to, ReefError *err)
{
	ReefBuf		object;
	ReefBuf		body;
	const char *text;
	const char *place;
	ReefCode	rc;

	reef_buf_init(&object);
	reef_buf_init(&body);
	encode_sample(&object);
	reef_buf_append_u8(&object, '\0');
	text = strchr((const char *) object.data, '\n') + 1;
	place = strstr(text, from);
	if (place == NULL)
		UNIT_FAIL("the sample has no %s", from);
	reef_buf_append(&body, text, (size_t) (place - text));
	reef_buf_append(&body, to, strlen(to));
	place += strlen(from);
	reef_buf_append(&body, place, strlen(place));
	seal(format, (const char *) body.data, body.size, &object);
	rc = decode(object.data, object.size, err);
	reef_buf_release(&object);
	reef_buf_release(&body);
	return rc;
}

UNIT_TEST(test_manifest__a_newer_format_is_not_damage)
{
	ReefError	err;

	UNIT_CODE(decode_changed(2, "\"format\": 1", "\"format\": 2", &err),
			  REEF_UNSUPPORTED, &err);
	UNIT_CHECK(strstr(err.detail, KEY) != NULL);
	UNIT_CODE(decode_changed(2, "\"format\": 1", "\"format\": 1", &err),
			  REEF_CORRUPT, &err);
	UNIT_CODE(decode_changed(1, "\"format\": 1", "\"format\": 2", &err),
			  REEF_CORRUPT, &err);
	UNIT_CODE(decode_changed(0, "\"format\": 1", "\"format\": 0", &err),
			  REEF_CORRUPT, &err);
}

UNIT_TEST(test_manifest__unknown_members_are_ignored)
{
	ReefError	err;

	UNIT_OK(decode_changed(1, "\"rows\": 90", "\"rows\": 90, \"x\": {\"y\": 1}",
						   &err), &err);
	UNIT_OK(decode_changed(1, "\"epoch\"", "\"z\": [], \"epoch\"", &err),
			&err);
}

UNIT_TEST(test_manifest__what_does_not_fit_is_damage_and_says_where)
{
	static const struct
	{
		const char *from;
		const char *to;
		const char *where;
	}			cases[] =
	{
		{"\"version\": 12", "\"version\": \"12\"", ": version is"},
		{"\"version\": 12", "\"version\": 12.0", ": version is"},
		{"\"version\": 12", "\"version\": 13", "contains version 13"},
		{"\"parent_version\": 11", "\"parent_version\": 12", "parent_version"},
		{"\"parent_version\": 11", "\"parent_version\": -1", "parent_version"},
		{"\"epoch\": 5", "\"epoch\": 9223372036854775808", "big integer"},
		{"\"epoch\": 5", "\"epoch\": 5, \"epoch\": 5", "duplicate"},
		{"\"epoch\": 5,", "", ": epoch is"},
		{"deadbeef", "DEADBEEF", "last_applied_crc"},
		{"deadbeef", "deadbee", "last_applied_crc"},
		{"\"namespace_id\": \"01", "\"namespace_id\": \"", "namespace_id"},
		{"\"kind\": \"int8\"", "\"kind\": \"int9\"", "columns[0].kind"},
		{"\"precision\": 15", "\"precision\": 300", "columns[2].precision"},
		{"\"precision\": 15", "\"precision\": 19", "precision"},
		{"\"name\": \"seen\"", "\"name\": \"id\"", "\"id\" occurs twice"},
		{"\"name\": \"seen\"", "\"name\": null", "columns[3].name"},
		{"\"name\": \"seen\"", "\"name\": \"a\\u0000b\"", "u0000"},
		{"\"key_position\": 1", "\"key_position\": 2", "key position 1"},
		{"\"not_null\": true", "\"not_null\": 1", "columns[0].not_null"},
		{"\"rows\": 90", "\"rows\": \"90\"", "segments[0].rows"},
		{"\"rows\": 90", "\"rows\": 89", "segments[0]"},
		{"\"rows\": 10", "\"rows\": -1", "segments[1].rows"},
		{"\"tombstones\": 3", "\"tombstones\": 11", "segments[1]"},
		{"\"key_min\": \"01\"", "\"key_min\": \"1\"", "segments[0].key_min"},
		{"\"key_min\": \"01\"", "\"key_min\": \"03\"", "segments[0]"},
		{"\"lsn_max\": 12", "\"lsn_max\": 17", "segments[1]"},
		{"\"lsn_min\": 10", "\"lsn_min\": 13", "segments[1]"},
		{"\"level\": 0", "\"level\": 2", "segments[1].level"},
		{"\"level\": 0", "\"level\": 1", "tombstones in level 1"},
		{"050607080a\"", "0506070809\"", "one segment twice"},
		{"\"stats\": []", "\"stats\": {}", "segments[1].stats"},
		{"\"stats\": []", "\"stats\": [7]", "segments[1].stats"},
		{"\"min\": -5", "\"min\": 70001", "above its maximum"},
		{"\"min\": -5", "\"min\": -3000000000", "segments[0].stats[0].min"},
		{"\"min\": -0.0", "\"min\": \"nan\"", "segments[0].stats[3].min"},
		{"\"hex\": \"ff\"", "\"hex\": \"fg\"", "stats[1].hex"},
		{"00ff\"", "6f726465722d3137\"", "idempotency key twice"},
		{"\"lsn\": 14", "\"lsn\": 17", "younger"},
		{"\"segments\": [", "\"segments\": [[], ", ": segments has"},
		{"\n}\n", "\n}{}\n", "end of file"},
		{"\"transactions\"", "\"transaction\"", ": transactions is"},
	};
	ReefError	err;
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		UNIT_CODE(decode_changed(1, cases[i].from, cases[i].to, &err),
				  REEF_CORRUPT, &err);
		if (strstr(err.detail, cases[i].where) == NULL)
			UNIT_FAIL("\"%s\" does not say \"%s\"", err.detail,
					  cases[i].where);
		if (strstr(err.detail, KEY) == NULL)
			UNIT_FAIL("\"%s\" does not name the object", err.detail);
	}
}

UNIT_TEST(test_manifest__first_lines_that_are_none_are_damage)
{
	static const char *const objects[] = {
		"", "\n", "reef-manifest", "reef-manifest ", "reef-manifest 1\n",
		"reef-manifest 1 2\n{}", "reef-manifest 1 2 00000000\n{}",
		"reef-manifest 1 99999999999 00000000\n{}",
		"reef-manifest -1 2 00000000\n{}", "reef-manifest 1  00000000\n{}",
		"Reef-manifest 1 2 00000000\n{}"
	};
	static ReefBuf object;
	ReefError	err;
	size_t		i;

	for (i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
		UNIT_CODE(decode(objects[i], strlen(objects[i]), &err), REEF_CORRUPT,
				  &err);
	reef_buf_init(&object);
	seal(1, "[]", 2, &object);
	UNIT_CODE(decode(object.data, object.size, &err), REEF_CORRUPT, &err);
	seal(1, "", 0, &object);
	UNIT_CODE(decode(object.data, object.size, &err), REEF_CORRUPT, &err);
	reef_buf_release(&object);
}

UNIT_TEST(test_manifest__deep_nesting_does_not_exhaust_the_stack)
{
	static ReefBuf object;
	static char body[1 << 20];
	ReefError	err;

	memset(body, '[', sizeof(body));
	reef_buf_init(&object);
	seal(1, body, sizeof(body), &object);
	UNIT_CODE(decode(object.data, object.size, &err), REEF_CORRUPT, &err);
	reef_buf_release(&object);
}

/* Bit for bit, where the kind has a width. */
static void
check_value(ReefKind kind, const ReefValue *actual, const ReefValue *expected)
{
	if (reef_kind_is_variable(kind))
		UNIT_EQUAL_BYTES(actual->as.bytes, expected->as.bytes);
	else
		UNIT_EQUAL_BYTES(reef_slice(&actual->as,
									(size_t) reef_kind_width(kind)),
						 reef_slice(&expected->as,
									(size_t) reef_kind_width(kind)));
}

/* Through a manifest and back, as the bounds of a segment. */
static void
check_bounds(ReefKind kind, ReefValue min, ReefValue max)
{
	static ReefBuf bytes;
	static ReefArena arena;
	ReefColumnStats stats = {
		.name = "c",.has_min_max = true,.kind = kind,.min = min,.max = max
	};
	ReefSegmentMeta segment = {.stats_count = 1,.stats = &stats};
	ReefManifest manifest = {
		.version = 12,.segment_count = 1,.segments = &segment
	};
	ReefManifest decoded;
	ReefError	err;

	reef_buf_init(&bytes);
	reef_arena_init(&arena, 0);
	UNIT_OK(reef_manifest_encode(&manifest, &bytes, &err), &err);
	UNIT_OK(reef_manifest_decode(reef_buf_slice(&bytes), 12, KEY, &arena,
								 &decoded, &err), &err);
	UNIT_EQUAL_INT(decoded.segments[0].stats[0].kind, kind);
	check_value(kind, &decoded.segments[0].stats[0].min, &min);
	check_value(kind, &decoded.segments[0].stats[0].max, &max);
	reef_arena_release(&arena);
	reef_buf_release(&bytes);
}

#define VALUE(member, value) ((ReefValue) {.as.member = value})
#define TEXT(text) VALUE(bytes, reef_slice((text), sizeof(text) - 1))

UNIT_TEST(test_manifest__extreme_values_come_back_exactly)
{
	check_bounds(REEF_KIND_BOOL, VALUE(boolean, false), VALUE(boolean, true));
	check_bounds(REEF_KIND_INT16, VALUE(int16, INT16_MIN),
				 VALUE(int16, INT16_MAX));
	check_bounds(REEF_KIND_INT32, VALUE(int32, INT32_MIN),
				 VALUE(int32, INT32_MAX));
	check_bounds(REEF_KIND_INT64, VALUE(int64, INT64_MIN),
				 VALUE(int64, INT64_MAX));
	check_bounds(REEF_KIND_DATE, VALUE(int32, INT32_MIN),
				 VALUE(int32, INT32_MAX));
	check_bounds(REEF_KIND_TIMESTAMPTZ, VALUE(int64, INT64_MIN),
				 VALUE(int64, INT64_MAX));
	check_bounds(REEF_KIND_FLOAT32, VALUE(float32, -INFINITY),
				 VALUE(float32, NAN));
	check_bounds(REEF_KIND_FLOAT32, VALUE(float32, -3.4028234663852886e38f),
				 VALUE(float32, 3.4028234663852886e38f));
	check_bounds(REEF_KIND_FLOAT32, VALUE(float32, -0.0f),
				 VALUE(float32, 1e-45f));
	check_bounds(REEF_KIND_FLOAT64, VALUE(float64, -INFINITY),
				 VALUE(float64, INFINITY));
	check_bounds(REEF_KIND_FLOAT64, VALUE(float64, -0.0),
				 VALUE(float64, 5e-324));
	check_bounds(REEF_KIND_FLOAT64, VALUE(float64, 0.1),
				 VALUE(float64, NAN));
	check_bounds(REEF_KIND_FLOAT64, VALUE(float64, -1.7976931348623157e308),
				 VALUE(float64, 1.7976931348623157e308));
	check_bounds(REEF_KIND_DECIMAL64, VALUE(int64, INT64_MIN),
				 VALUE(int64, REEF_DECIMAL64_NAN));
	check_bounds(REEF_KIND_DECIMAL128,
				 VALUE(int128, -REEF_DECIMAL128_NAN - 1),
				 VALUE(int128, REEF_DECIMAL128_NAN));
	check_bounds(REEF_KIND_DECIMAL128, VALUE(int128, 0),
				 VALUE(int128, REEF_DECIMAL128_NAN - 1));
	check_bounds(REEF_KIND_UUID, VALUE(uuid, {0}), VALUE(uuid, {255}));
	check_bounds(REEF_KIND_TEXT, TEXT(""), TEXT("a\"\\\n\x01\x7f\303\244"));
	check_bounds(REEF_KIND_TEXT, TEXT("a\0b"), TEXT("\360\220\200"));
	check_bounds(REEF_KIND_TEXT, TEXT("\355\240\200"),
				 TEXT("\364\217\277\277"));
	check_bounds(REEF_KIND_BYTES, TEXT(""), TEXT("a"));
	check_bounds(REEF_KIND_OTHER, TEXT("{\"hex\": \"00\"}"),
				 TEXT("{\"hex\": \"01\"}"));
	check_bounds(REEF_KIND_JSON, TEXT("[1]"), TEXT("[1]"));
}

UNIT_TEST(test_manifest__random_numbers_come_back_exactly)
{
	int			round;

	for (round = 0; round < 2000; round++)
	{
		uint64_t	bits = unit_random();
		uint32_t	bits32 = (uint32_t) (bits >> 32);
		ReefValue	value;

		memset(&value, 0, sizeof(value));
		memcpy(&value.as.float64, &bits, 8);
		if (!isnan(value.as.float64))
			check_bounds(REEF_KIND_FLOAT64, value, value);
		memcpy(&value.as.float32, &bits32, 4);
		if (!isnan(value.as.float32))
			check_bounds(REEF_KIND_FLOAT32, value, value);
		value.as.int128 = (ReefInt128) ((ReefUint128) bits << 64 |
										unit_random()) >>
			unit_random_below(127);
		check_bounds(REEF_KIND_DECIMAL128, value, value);
	}
}

UNIT_TEST(test_manifest__the_encoder_refuses_what_the_decoder_would)
{
	static ReefBuf out;
	ReefManifest manifest;
	ReefSegmentMeta swapped[2];
	ReefError	err;

	reef_buf_init(&out);
	sample_manifest(&manifest);
	manifest.last_applied_lsn = 11;
	UNIT_CODE(reef_manifest_encode(&manifest, &out, &err), REEF_INVALID, &err);
	sample_manifest(&manifest);
	manifest.parent_version = 12;
	UNIT_CODE(reef_manifest_encode(&manifest, &out, &err), REEF_INVALID, &err);
	sample_manifest(&manifest);
	manifest.live_row_count = (uint64_t) INT64_MAX + 1;
	UNIT_CODE(reef_manifest_encode(&manifest, &out, &err), REEF_INVALID, &err);
	sample_manifest(&manifest);
	swapped[0] = manifest.segments[1];
	swapped[1] = manifest.segments[0];
	manifest.segments = swapped;
	UNIT_CODE(reef_manifest_encode(&manifest, &out, &err), REEF_INVALID, &err);
	/* overlapping in level 1 */
	swapped[0].level = swapped[1].level = 1;
	swapped[0].tombstone_count = 0;
	UNIT_CODE(reef_manifest_encode(&manifest, &out, &err), REEF_INVALID, &err);
	UNIT_EQUAL_INT(out.size, 0);
	reef_buf_release(&out);
}
