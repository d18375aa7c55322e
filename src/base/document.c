/*
 * document.c
 *	  Rows as bytes: keys that memcmp orders, and documents.
 *
 * A key is for comparing; the exact values are in the document beside it.
 * Documents come back from storage, so that decoding one trusts nothing but
 * the layout it was given.
 */
#include "base/document.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define SIGN_BIT_32 (UINT32_C(1) << 31)
#define SIGN_BIT_64 (UINT64_C(1) << 63)

static void
append_big_endian_u64(ReefBuf *key, uint64_t value)
{
	reef_buf_append_u64(key, __builtin_bswap64(value));
}

static void
append_key_int64(ReefBuf *key, int64_t value)
{
	append_big_endian_u64(key, (uint64_t) value ^ SIGN_BIT_64);
}

static void
append_key_int128(ReefBuf *key, ReefInt128 value)
{
	ReefUint128 bits = (ReefUint128) value;

	append_big_endian_u64(key, (uint64_t) (bits >> 64) ^ SIGN_BIT_64);
	append_big_endian_u64(key, (uint64_t) bits);
}

static void
append_key_double(ReefBuf *key, double value)
{
	uint64_t	bits;

	if (isnan(value))
	{
		/* Of all the NaNs one, which is above infinity and below no other. */
		append_big_endian_u64(key, UINT64_MAX);
		return;
	}
	if (value == 0)
		value = 0;				/* drops the sign of -0 */
	memcpy(&bits, &value, sizeof(bits));
	if ((bits & SIGN_BIT_64) != 0)
		bits = ~bits;
	else
		bits |= SIGN_BIT_64;
	append_big_endian_u64(key, bits);
}

/*
 * 00 becomes 00 FF and the end is 00 01, so that where one value ends and
 * another goes on the one that ends is less, whatever column follows it: the
 * other has a byte above 00 there, or 00 FF.
 */
static void
append_key_bytes(ReefBuf *key, ReefSlice bytes)
{
	size_t		done = 0;

	while (done < bytes.size)
	{
		const uint8_t *start = bytes.data + done;
		const uint8_t *zero = memchr(start, 0, bytes.size - done);
		size_t		plain;

		if (zero == NULL)
		{
			reef_buf_append(key, start, bytes.size - done);
			break;
		}
		plain = (size_t) (zero - start);
		reef_buf_append(key, start, plain);
		reef_buf_append(key, "\x00\xff", 2);
		done += plain + 1;
	}
	reef_buf_append(key, "\x00\x01", 2);
}

void
reef_key_append(ReefBuf *key, ReefKind kind, const ReefValue *value)
{
	assert(!value->is_null);
	switch (kind)
	{
		case REEF_KIND_BOOL:
			reef_buf_append_u8(key, value->as.boolean);
			return;
		case REEF_KIND_INT16:
			append_key_int64(key, value->as.int16);
			return;
		case REEF_KIND_INT32:
			append_key_int64(key, value->as.int32);
			return;
		case REEF_KIND_INT64:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			append_key_int64(key, value->as.int64);
			return;
		case REEF_KIND_DATE:
			reef_buf_append_u32(key,
								__builtin_bswap32((uint32_t) value->as.int32 ^
												  SIGN_BIT_32));
			return;
		case REEF_KIND_DECIMAL64:
			append_key_int128(key, value->as.int64 == REEF_DECIMAL64_NAN ?
							  REEF_DECIMAL128_NAN : value->as.int64);
			return;
		case REEF_KIND_DECIMAL128:
			append_key_int128(key, value->as.int128);
			return;
		case REEF_KIND_FLOAT32:
			append_key_double(key, (double) value->as.float32);
			return;
		case REEF_KIND_FLOAT64:
			append_key_double(key, value->as.float64);
			return;
		case REEF_KIND_UUID:
			reef_buf_append(key, value->as.uuid, sizeof(value->as.uuid));
			return;
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			append_key_bytes(key, value->as.bytes);
			return;
	}
	assert(false);
}

bool
reef_key_kind_is_allowed(ReefKind kind)
{
	return kind != REEF_KIND_JSON;
}

/* Not memcpy of the union: the bytes are little-endian on every machine. */
static void
append_value(ReefBuf *document, ReefKind kind, const ReefValue *value)
{
	uint32_t	bits32;
	uint64_t	bits64;

	switch (kind)
	{
		case REEF_KIND_BOOL:
			reef_buf_append_u8(document, value->as.boolean);
			return;
		case REEF_KIND_INT16:
			reef_buf_append_u16(document, (uint16_t) value->as.int16);
			return;
		case REEF_KIND_INT32:
		case REEF_KIND_DATE:
			reef_buf_append_u32(document, (uint32_t) value->as.int32);
			return;
		case REEF_KIND_INT64:
		case REEF_KIND_DECIMAL64:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			reef_buf_append_u64(document, (uint64_t) value->as.int64);
			return;
		case REEF_KIND_FLOAT32:
			memcpy(&bits32, &value->as.float32, sizeof(bits32));
			reef_buf_append_u32(document, bits32);
			return;
		case REEF_KIND_FLOAT64:
			memcpy(&bits64, &value->as.float64, sizeof(bits64));
			reef_buf_append_u64(document, bits64);
			return;
		case REEF_KIND_DECIMAL128:
			reef_buf_append_u64(document, (uint64_t) value->as.int128);
			reef_buf_append_u64(document,
								(uint64_t) ((ReefUint128) value->as.int128 >> 64));
			return;
		case REEF_KIND_UUID:
			reef_buf_append(document, value->as.uuid, sizeof(value->as.uuid));
			return;
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			reef_buf_append_slice(document, value->as.bytes);
			return;
	}
	assert(false);
}

void
reef_document_append(ReefBuf *document, const ReefColumn *columns,
					 int column_count, const ReefValue *values)
{
	size_t		bitmap_size = ((size_t) column_count + 7) / 8;
	uint8_t    *bitmap = reef_buf_reserve(document, bitmap_size);
	int			i;

	if (bitmap == NULL)
		return;
	memset(bitmap, 0, bitmap_size);
	for (i = 0; i < column_count; i++)
	{
		if (!values[i].is_null)
			bitmap[i / 8] = (uint8_t) (bitmap[i / 8] | 1u << (i % 8));
	}
	document->size += bitmap_size;

	for (i = 0; i < column_count; i++)
	{
		if (!values[i].is_null)
			append_value(document, columns[i].type.kind, &values[i]);
	}
}

/* Bytes that no value of the kind has fail the reader as missing ones do. */
static void
read_value(ReefReader *reader, ReefKind kind, ReefValue *value)
{
	uint32_t	bits32;
	uint64_t	bits64;
	ReefSlice	bytes;

	switch (kind)
	{
		case REEF_KIND_BOOL:
			bits32 = reef_read_u8(reader);
			if (bits32 > 1)
				reader->failed = true;
			value->as.boolean = bits32 == 1;
			return;
		case REEF_KIND_INT16:
			value->as.int16 = (int16_t) reef_read_u16(reader);
			return;
		case REEF_KIND_INT32:
		case REEF_KIND_DATE:
			value->as.int32 = (int32_t) reef_read_u32(reader);
			return;
		case REEF_KIND_INT64:
		case REEF_KIND_DECIMAL64:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			value->as.int64 = (int64_t) reef_read_u64(reader);
			return;
		case REEF_KIND_FLOAT32:
			bits32 = reef_read_u32(reader);
			memcpy(&value->as.float32, &bits32, sizeof(bits32));
			return;
		case REEF_KIND_FLOAT64:
			bits64 = reef_read_u64(reader);
			memcpy(&value->as.float64, &bits64, sizeof(bits64));
			return;
		case REEF_KIND_DECIMAL128:
			bits64 = reef_read_u64(reader);
			value->as.int128 = (ReefInt128)
				((ReefUint128) reef_read_u64(reader) << 64 | bits64);
			return;
		case REEF_KIND_UUID:
			bytes = reef_read_bytes(reader, sizeof(value->as.uuid));
			if (bytes.size > 0)
				memcpy(value->as.uuid, bytes.data, bytes.size);
			return;
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			value->as.bytes = reef_read_slice(reader);
			return;
	}
	assert(false);
}

ReefCode
reef_document_decode(ReefSlice document, const ReefColumn *columns,
					 int column_count, ReefValue *values, ReefError *err)
{
	size_t		bitmap_size = ((size_t) column_count + 7) / 8;
	ReefReader	reader;
	ReefSlice	bitmap;
	int			i;

	reef_reader_init(&reader, document);
	bitmap = reef_read_bytes(&reader, bitmap_size);
	if (reader.failed)
		return reef_error_set(err, REEF_CORRUPT,
							  "stored row is damaged",
							  "%zu bytes are too few for %d columns",
							  document.size, column_count);

	/* The bits of columns that do not exist are zero. */
	if (column_count % 8 != 0 &&
		bitmap.data[bitmap_size - 1] >> (column_count % 8) != 0)
		return reef_error_set(err, REEF_CORRUPT,
							  "stored row is damaged",
							  "it has values for more than %d columns",
							  column_count);

	for (i = 0; i < column_count; i++)
	{
		memset(&values[i], 0, sizeof(values[i]));
		values[i].is_null = (bitmap.data[i / 8] >> (i % 8) & 1) == 0;
		if (values[i].is_null)
			continue;
		read_value(&reader, columns[i].type.kind, &values[i]);
		if (reader.failed)
			return reef_error_set(err, REEF_CORRUPT,
								  "stored row is damaged",
								  "column \"%s\" at offset %zu of %zu",
								  columns[i].name, reader.offset,
								  document.size);
	}
	if (reef_reader_left(&reader) > 0)
		return reef_error_set(err, REEF_CORRUPT,
							  "stored row is damaged",
							  "%zu bytes follow its last value",
							  reef_reader_left(&reader));
	return REEF_OK;
}

ReefCode
reef_document_key(const ReefColumn *columns, int column_count,
				  const ReefValue *values, ReefBuf *key, ReefError *err)
{
	size_t		start = key->size;
	int			position;

	for (position = 1;; position++)
	{
		int			i = 0;

		while (i < column_count && columns[i].key_position != position)
			i++;
		if (i == column_count)
			break;
		if (values[i].is_null)
			return reef_error_set(err, REEF_CORRUPT,
								  "stored row has no key",
								  "key column \"%s\" is null",
								  columns[i].name);
		reef_key_append(key, columns[i].type.kind, &values[i]);
	}
	if (position == 1)
		return reef_error_set(err, REEF_CORRUPT, "stored row has no key",
							  "none of its %d columns is part of the key",
							  column_count);
	REEF_TRY(reef_buf_check(key, err));
	if (key->size - start > REEF_KEY_MAX_SIZE)
		return reef_error_set(err, REEF_LIMIT, "key is too large",
							  "it has %zu bytes, the limit is %d",
							  key->size - start, REEF_KEY_MAX_SIZE);
	return REEF_OK;
}
