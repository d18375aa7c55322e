/*
 * key_decode.c
 *	  Encoded keys back into values (base/document.h has the encoding).
 *
 * Two need it: a tombstone, which is a key without a document but whose key
 * columns belong in the file all the same; and the bloom filter, which was
 * built from values and not from keys.  -0 and NaN payloads are not in a key:
 * what comes back is 0 and one NaN, which compare equal to them.
 */
#include "base/document.h"
#include "engine/segment_cache.h"

#define SIGN_BIT_32 (UINT32_C(1) << 31)
#define SIGN_BIT_64 (UINT64_C(1) << 63)

static uint64_t
read_big_endian_u64(ReefReader *key)
{
	return __builtin_bswap64(reef_read_u64(key));
}

static int64_t
read_int64(ReefReader *key)
{
	return (int64_t) (read_big_endian_u64(key) ^ SIGN_BIT_64);
}

static double
read_double(ReefReader *key)
{
	uint64_t	bits = read_big_endian_u64(key);
	double		value;

	if (bits == UINT64_MAX)
		bits = UINT64_C(0x7ff8000000000000);
	else if ((bits & SIGN_BIT_64) != 0)
		bits &= ~SIGN_BIT_64;
	else
		bits = ~bits;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

static ReefInt128
read_int128(ReefReader *key)
{
	ReefUint128 high = read_big_endian_u64(key) ^ SIGN_BIT_64;

	return (ReefInt128) (high << 64 | read_big_endian_u64(key));
}

/* Up to 00 01; 00 FF stands for 00. */
static ReefSlice
read_bytes(ReefReader *key, ReefBuf *unescaped)
{
	size_t		start = key->offset;
	size_t		plain = start;	/* not yet copied from here on */
	size_t		position = start;

	reef_buf_reset(unescaped);
	for (;;)
	{
		const uint8_t *zero = NULL;

		if (position < key->size)
			zero = memchr(key->data + position, 0, key->size - position);
		if (zero == NULL || (size_t) (zero - key->data) + 1 >= key->size ||
			(zero[1] != 0x01 && zero[1] != 0xff))
		{
			key->failed = true;
			return reef_slice(NULL, 0);
		}
		position = (size_t) (zero - key->data);
		if (zero[1] == 0x01)
			break;
		reef_buf_append(unescaped, key->data + plain, position + 1 - plain);
		position += 2;
		plain = position;
	}
	key->offset = position + 2;
	if (plain == start)
		return reef_slice(key->data + start, position - start);
	reef_buf_append(unescaped, key->data + plain, position - plain);
	if (unescaped->failed)
		key->failed = true;
	return reef_buf_slice(unescaped);
}

bool
reef_key_read(ReefReader *key, ReefKind kind, ReefBuf *unescaped,
			  ReefValue *value)
{
	bool		fits = true;
	int64_t		wide;
	ReefInt128	widest;
	ReefSlice	bytes;

	memset(value, 0, sizeof(*value));
	switch (kind)
	{
		case REEF_KIND_BOOL:
			wide = reef_read_u8(key);
			fits = wide <= 1;
			value->as.boolean = wide == 1;
			break;
		case REEF_KIND_INT16:
			wide = read_int64(key);
			fits = wide >= INT16_MIN && wide <= INT16_MAX;
			value->as.int16 = (int16_t) wide;
			break;
		case REEF_KIND_INT32:
			wide = read_int64(key);
			fits = wide >= INT32_MIN && wide <= INT32_MAX;
			value->as.int32 = (int32_t) wide;
			break;
		case REEF_KIND_INT64:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			value->as.int64 = read_int64(key);
			break;
		case REEF_KIND_DATE:
			value->as.int32 = (int32_t)
				(__builtin_bswap32(reef_read_u32(key)) ^ SIGN_BIT_32);
			break;
		case REEF_KIND_DECIMAL64:
			widest = read_int128(key);
			if (widest == REEF_DECIMAL128_NAN)
				widest = REEF_DECIMAL64_NAN;
			fits = widest >= INT64_MIN && widest <= INT64_MAX;
			value->as.int64 = (int64_t) widest;
			break;
		case REEF_KIND_DECIMAL128:
			value->as.int128 = read_int128(key);
			break;
		case REEF_KIND_FLOAT32:
			value->as.float32 = (float) read_double(key);
			break;
		case REEF_KIND_FLOAT64:
			value->as.float64 = read_double(key);
			break;
		case REEF_KIND_UUID:
			bytes = reef_read_bytes(key, sizeof(value->as.uuid));
			if (bytes.size > 0)
				memcpy(value->as.uuid, bytes.data, bytes.size);
			break;
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			value->as.bytes = read_bytes(key, unescaped);
			break;
	}
	return fits && !key->failed;
}

ReefCode
reef_key_decode(ReefSlice key, const ReefSchema *schema, ReefArena *arena,
				ReefValue *values, ReefError *err)
{
	ReefReader	reader;
	ReefBuf		unescaped;
	ReefCode	rc = REEF_OK;
	int			position;
	int			i;

	for (i = 0; i < schema->column_count; i++)
	{
		memset(&values[i], 0, sizeof(values[i]));
		values[i].is_null = true;
	}
	reef_reader_init(&reader, key);
	reef_buf_init(&unescaped);
	for (position = 1; rc == REEF_OK; position++)
	{
		ReefKind	kind;

		i = reef_schema_key_column(schema, position);
		if (i < 0)
			break;
		kind = schema->columns[i].type.kind;
		if (!reef_key_read(&reader, kind, &unescaped, &values[i]))
			rc = reef_error_set(err, REEF_CORRUPT, "stored key is damaged",
								"key column \"%s\", %zu bytes of key",
								schema->columns[i].name, key.size);
		else if (reef_kind_is_variable(kind) && values[i].as.bytes.size > 0)
		{
			values[i].as.bytes = reef_arena_copy(arena, values[i].as.bytes);
			if (values[i].as.bytes.data == NULL)
				rc = reef_error_no_memory(err, key.size);
		}
	}
	if (rc == REEF_OK && reef_reader_left(&reader) > 0)
		rc = reef_error_set(err, REEF_CORRUPT, "stored key is damaged",
							"%zu bytes follow its last column",
							reef_reader_left(&reader));
	reef_buf_release(&unescaped);
	return rc;
}
