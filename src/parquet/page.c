/*
 * page.c
 *	  From the bytes of a page to a vector.
 *
 * Values without nulls of fixed width are decompressed right into the vector.
 * With nulls they are decompressed to its beginning and then spread from the
 * end, so that nothing is allocated twice.
 */
#include "parquet/page.h"

#include "base/compress.h"
#include "parquet/delta.h"
#include "parquet/plain.h"
#include "parquet/rle.h"
#include "parquet/writer.h"

static ReefCode
damaged(ReefError *err, const char *what)
{
	return reef_error_set(err, REEF_CORRUPT, "damaged parquet page", "%s",
						  what);
}

static ReefCode
codec_of(int number, ReefCodec *codec, ReefError *err)
{
	switch (number)
	{
		case REEF_COMPRESSION_NONE:
			*codec = REEF_CODEC_NONE;
			return REEF_OK;
		case REEF_COMPRESSION_ZSTD:
			*codec = REEF_CODEC_ZSTD;
			return REEF_OK;
		case REEF_COMPRESSION_LZ4_RAW:
			*codec = REEF_CODEC_LZ4;
			return REEF_OK;
		default:
			return reef_error_set(err, REEF_UNSUPPORTED,
								  "parquet compression is not supported",
								  "codec %d", number);
	}
}

/* The values part of a page, still compressed. */
typedef struct Packed
{
	ReefCodec	codec;
	ReefSlice	bytes;
	size_t		size;			/* decompressed */
} Packed;

static ReefCode
unpack(const Packed *packed, void *out, ReefError *err)
{
	if (packed->size == 0 && packed->bytes.size == 0)
		return REEF_OK;
	return reef_decompress(packed->codec, packed->bytes, out, packed->size,
						   err);
}

/* Into memory of the reader that the next page reuses. */
static ReefCode
unpack_scratch(const Packed *packed, ReefBuf *scratch, ReefSlice *bytes,
			   ReefError *err)
{
	uint8_t    *out;

	if (packed->codec == REEF_CODEC_NONE && packed->bytes.size == packed->size)
	{
		*bytes = packed->bytes;
		return REEF_OK;
	}
	reef_buf_reset(scratch);
	out = reef_buf_reserve(scratch, packed->size);
	if (out == NULL)
		return reef_error_no_memory(err, packed->size);
	REEF_TRY(unpack(packed, out, err));
	*bytes = reef_slice(out, packed->size);
	return REEF_OK;
}

static ReefCode
unpack_arena(const Packed *packed, ReefArena *arena, ReefSlice *bytes,
			 ReefError *err)
{
	uint8_t    *out = reef_arena_alloc(arena, packed->size);

	if (out == NULL)
		return reef_error_no_memory(err, packed->size);
	REEF_TRY(unpack(packed, out, err));
	*bytes = reef_slice(out, packed->size);
	return REEF_OK;
}

/* Can PLAIN bytes of the kind be decoded where they are? */
static bool
is_decoded_in_place(ReefKind kind)
{
	return !reef_kind_is_variable(kind) && kind != REEF_KIND_BOOL &&
		kind != REEF_KIND_INT16;
}

static ReefCode
decode_plain(const ReefPageColumn *column, const Packed *packed, size_t count,
			 ReefArena *arena, void *values, ReefError *err)
{
	ReefSlice	bytes;

	if (is_decoded_in_place(column->kind))
	{
		if (packed->size != count * (size_t) reef_physical_width(column->kind))
			return damaged(err, "size of values does not fit their number");
		REEF_TRY(unpack(packed, values, err));
		bytes = reef_slice(values, packed->size);
	}
	else if (reef_kind_is_variable(column->kind))
		REEF_TRY(unpack_arena(packed, arena, &bytes, err));
	else
		REEF_TRY(unpack_scratch(packed, column->scratch, &bytes, err));
	if (!reef_plain_decode(column->kind, bytes, values, count))
		return damaged(err, "values do not fit their number or type");
	return REEF_OK;
}

/* Replace indexes by what they stand for. */
static void
look_up(const ReefPageDictionary *dictionary, size_t element_size,
		const uint32_t *indexes, size_t count, void *values)
{
	typedef struct Wide
	{
		uint64_t	part[2];
	} Wide;

	switch (element_size)
	{
		case 2:
			for (size_t i = 0; i < count; i++)
				((uint16_t *) values)[i] =
					((const uint16_t *) dictionary->values)[indexes[i]];
			break;
		case 4:
			for (size_t i = 0; i < count; i++)
				((uint32_t *) values)[i] =
					((const uint32_t *) dictionary->values)[indexes[i]];
			break;
		case 8:
			for (size_t i = 0; i < count; i++)
				((uint64_t *) values)[i] =
					((const uint64_t *) dictionary->values)[indexes[i]];
			break;
		case 16:
			for (size_t i = 0; i < count; i++)
				((Wide *) values)[i] =
					((const Wide *) dictionary->values)[indexes[i]];
			break;
		default:
			for (size_t i = 0; i < count; i++)
				((uint8_t *) values)[i] =
					((const uint8_t *) dictionary->values)[indexes[i]];
	}
}

static ReefCode
decode_indexes(const ReefPageColumn *column, const Packed *packed,
			   size_t count, ReefArena *arena, void *values, ReefError *err)
{
	ReefSlice	bytes;
	uint32_t   *indexes;
	uint32_t	max = 0;

	if (column->dictionary == NULL)
		return damaged(err, "dictionary indexes without a dictionary");
	REEF_TRY(unpack_scratch(packed, column->scratch, &bytes, err));
	if (count == 0)
		return REEF_OK;
	if (bytes.size < 1 || bytes.data[0] > REEF_RLE_MAX_BIT_WIDTH)
		return damaged(err, "bit width of dictionary indexes");
	indexes = reef_arena_alloc(arena, count * sizeof(uint32_t));
	if (indexes == NULL)
		return reef_error_no_memory(err, count * sizeof(uint32_t));
	if (!reef_rle_decode(reef_slice(bytes.data + 1, bytes.size - 1),
						 bytes.data[0], column->is_exact, indexes, count))
		return damaged(err, "dictionary indexes do not fit their number");
	for (size_t i = 0; i < count; i++)
		max = indexes[i] > max ? indexes[i] : max;
	if (max >= column->dictionary->count)
		return damaged(err, "index beyond the dictionary");
	look_up(column->dictionary,
			(size_t) reef_vector_element_size(column->kind), indexes, count,
			values);
	return REEF_OK;
}

static ReefCode
decode_delta(const ReefPageColumn *column, const Packed *packed, size_t count,
			 ReefArena *arena, void *values, ReefError *err)
{
	bool		is_int32 = column->physical == REEF_PHYSICAL_INT32;
	bool		ok;
	int64_t    *wide = values;
	ReefSlice	bytes;

	if (!is_int32 && column->physical != REEF_PHYSICAL_INT64)
		return damaged(err, "delta encoding of a column without integers");
	REEF_TRY(unpack_scratch(packed, column->scratch, &bytes, err));
	if (is_int32)
		wide = reef_arena_alloc(arena, count * sizeof(int64_t));
	if (wide == NULL)
		return reef_error_no_memory(err, count * sizeof(int64_t));
	ok = reef_delta_decode(bytes, column->is_exact, wide, count);
	if (ok && is_int32)
	{
		/* in place, through memcpy because the type changes */
		for (size_t i = 0; i < count; i++)
		{
			int32_t		v = (int32_t) (uint32_t) wide[i];

			memcpy((uint8_t *) wide + i * sizeof(v), &v, sizeof(v));
		}
		ok = reef_plain_convert_int32(column->kind, (const void *) wide,
									  values, count);
	}
	else if (ok)
		ok = reef_plain_convert_int64(column->kind, wide, values, count);
	return ok ? REEF_OK : damaged(err, "deltas do not fit their number or type");
}

/* Booleans as runs, behind their own size. */
static ReefCode
decode_boolean_runs(const ReefPageColumn *column, const Packed *packed,
					size_t count, uint8_t *values, ReefError *err)
{
	ReefSlice	bytes;
	size_t		false_count;

	REEF_TRY(unpack_scratch(packed, column->scratch, &bytes, err));
	if (count == 0)
		return REEF_OK;
	if (column->kind != REEF_KIND_BOOL || bytes.size < 4 ||
		reef_get_u32(bytes.data) != bytes.size - 4 ||
		!reef_rle_decode_levels(reef_slice(bytes.data + 4, bytes.size - 4),
								column->is_exact, values, count,
								&false_count))
		return damaged(err, "runs do not fit their number or type");
	/* levels are decoded as "is null": the other way round */
	for (size_t i = 0; i < count; i++)
		values[i] ^= 1;
	return REEF_OK;
}

/* Move count values at the beginning to the places of rows that have one. */
static void
spread(void *values, const uint8_t *nulls, size_t row_count, size_t count,
	   size_t element_size)
{
	uint8_t    *base = values;

	for (size_t i = row_count; i-- > 0;)
	{
		if (nulls[i])
			memset(base + i * element_size, 0, element_size);
		else
		{
			count--;
			if (i != count)
				memcpy(base + i * element_size, base + count * element_size,
					   element_size);
		}
	}
}

static ReefCode
decode_values(const ReefPageColumn *column, int encoding,
			  const Packed *packed, size_t row_count, const uint8_t *nulls,
			  size_t count, ReefArena *arena, ReefVector *vector,
			  ReefError *err)
{
	size_t		element_size = (size_t) reef_vector_element_size(column->kind);
	void	   *values = reef_arena_alloc(arena, row_count * element_size);

	if (values == NULL)
		return reef_error_no_memory(err, row_count * element_size);
	switch (encoding)
	{
		case REEF_ENCODING_PLAIN:
			REEF_TRY(decode_plain(column, packed, count, arena, values, err));
			break;
		case REEF_ENCODING_PLAIN_DICTIONARY:
		case REEF_ENCODING_RLE_DICTIONARY:
			REEF_TRY(decode_indexes(column, packed, count, arena, values,
									err));
			break;
		case REEF_ENCODING_DELTA_BINARY_PACKED:
			REEF_TRY(decode_delta(column, packed, count, arena, values, err));
			break;
		case REEF_ENCODING_RLE:
			REEF_TRY(decode_boolean_runs(column, packed, count, values, err));
			break;
		default:
			return reef_error_set(err, REEF_UNSUPPORTED,
								  "parquet encoding is not supported",
								  "encoding %d", encoding);
	}
	if (count < row_count)
		spread(values, nulls, row_count, count, element_size);
	vector->kind = column->kind;
	vector->nulls = count < row_count ? nulls : NULL;
	vector->values = values;
	return REEF_OK;
}

/* A v1 page is compressed as a whole, its levels behind their size. */
static ReefCode
split_v1(const ReefPageColumn *column, const ReefPageHeader *header,
		 ReefSlice body, ReefArena *arena, ReefSlice *levels, Packed *packed,
		 ReefError *err)
{
	ReefSlice	bytes;
	size_t		size = 0;

	packed->bytes = body;
	packed->size = header->uncompressed_size;
	REEF_TRY(unpack_arena(packed, arena, &bytes, err));
	if (column->is_optional)
	{
		if (header->level_encoding != REEF_ENCODING_RLE)
			return reef_error_set(err, REEF_UNSUPPORTED,
								  "parquet encoding is not supported",
								  "levels in encoding %d",
								  header->level_encoding);
		if (bytes.size < 4 || reef_get_u32(bytes.data) > bytes.size - 4)
			return damaged(err, "size of levels");
		size = 4 + (size_t) reef_get_u32(bytes.data);
		*levels = reef_slice(bytes.data + 4, size - 4);
	}
	packed->codec = REEF_CODEC_NONE;
	packed->bytes = reef_slice(bytes.data + size, bytes.size - size);
	packed->size = bytes.size - size;
	return REEF_OK;
}

/* A v2 page has its levels uncompressed in front. */
static ReefCode
split_v2(const ReefPageHeader *header, ReefSlice body, ReefSlice *levels,
		 Packed *packed, ReefError *err)
{
	size_t		size = header->definition_size;

	if (header->repetition_size != 0 || size > body.size ||
		size > header->uncompressed_size ||
		header->row_count != header->value_count ||
		header->null_count > header->value_count)
		return damaged(err, "sizes in the page header");
	*levels = reef_slice(body.data, size);
	if (!header->is_compressed)
		packed->codec = REEF_CODEC_NONE;
	packed->bytes = reef_slice(body.data + size, body.size - size);
	packed->size = header->uncompressed_size - size;
	if (packed->codec == REEF_CODEC_NONE && packed->bytes.size != packed->size)
		return damaged(err, "sizes in the page header");
	return REEF_OK;
}

ReefCode
reef_page_decode(const ReefPageColumn *column, const ReefPageHeader *header,
				 ReefSlice body, ReefArena *arena, ReefVector *vector,
				 ReefError *err)
{
	size_t		row_count = header->value_count;
	size_t		null_count = 0;
	uint8_t    *nulls = NULL;
	ReefSlice	levels = {0};
	Packed		packed = {0};

	REEF_TRY(codec_of(column->codec, &packed.codec, err));
	if (row_count > REEF_PAGE_MAX_ROWS ||
		header->uncompressed_size > REEF_PAGE_MAX_SIZE)
		return reef_error_set(err, REEF_LIMIT, "parquet page is too large",
							  "%zu rows, %u bytes", row_count,
							  header->uncompressed_size);
	if (header->type == REEF_PAGE_DATA_V2)
		REEF_TRY(split_v2(header, body, &levels, &packed, err));
	else
		REEF_TRY(split_v1(column, header, body, arena, &levels, &packed, err));
	if (column->is_optional)
	{
		nulls = reef_arena_alloc(arena, row_count);
		if (nulls == NULL)
			return reef_error_no_memory(err, row_count);
		if (!reef_rle_decode_levels(levels, column->is_exact, nulls, row_count,
									&null_count))
			return damaged(err, "levels do not fit the number of rows");
	}
	else if (levels.size != 0)
		return damaged(err, "levels of a required column");
	if (header->type == REEF_PAGE_DATA_V2 && null_count != header->null_count)
		return damaged(err, "number of nulls");
	return decode_values(column, header->encoding, &packed, row_count, nulls,
						 row_count - null_count, arena, vector, err);
}

ReefCode
reef_page_decode_dictionary(const ReefPageColumn *column,
							const ReefPageHeader *header, ReefSlice body,
							ReefArena *arena, ReefPageDictionary *dictionary,
							ReefError *err)
{
	size_t		count = header->value_count;
	size_t		width = (size_t) reef_physical_width(column->kind);
	size_t		element_size = (size_t) reef_vector_element_size(column->kind);
	Packed		packed = {0};
	void	   *values;

	REEF_TRY(codec_of(column->codec, &packed.codec, err));
	if (header->type != REEF_PAGE_DICTIONARY)
		return damaged(err, "no dictionary where there must be one");
	if (header->encoding != REEF_ENCODING_PLAIN &&
		header->encoding != REEF_ENCODING_PLAIN_DICTIONARY)
		return reef_error_set(err, REEF_UNSUPPORTED,
							  "parquet encoding is not supported",
							  "dictionary in encoding %d", header->encoding);
	if (header->uncompressed_size > REEF_PAGE_MAX_SIZE)
		return reef_error_set(err, REEF_LIMIT, "parquet page is too large",
							  "dictionary of %u bytes",
							  header->uncompressed_size);
	/* a byte array takes four bytes at least */
	if (column->kind == REEF_KIND_BOOL ||
		count > header->uncompressed_size / (width > 0 ? width : 4))
		return damaged(err, "number of dictionary entries");
	values = reef_arena_alloc(arena, count * element_size);
	if (values == NULL)
		return reef_error_no_memory(err, count * element_size);
	packed.bytes = body;
	packed.size = header->uncompressed_size;
	REEF_TRY(decode_plain(column, &packed, count, arena, values, err));
	dictionary->count = count;
	dictionary->values = values;
	return REEF_OK;
}
