/*
 * origin.c
 *	  Recognise our own files.
 *
 * A file is ours if either its created_by or any of its keys says so: then
 * all of what a file of ours has must be there, so that a damaged name cannot
 * make a file pass as somebody else's, whose footer has no checksum.
 */
#include "parquet/origin.h"

#include <stdlib.h>

#include "base/crc32c.h"
#include "parquet/type.h"

#define OUR_CREATOR "reef_fdw"
#define OUR_PREFIX "reef."

static ReefCode
damaged(ReefError *err, const char *what)
{
	return reef_error_set(err, REEF_CORRUPT, "damaged parquet footer", "%s",
						  what);
}

static bool
begins_with(ReefSlice bytes, const char *prefix)
{
	size_t		size = strlen(prefix);

	return bytes.size >= size && memcmp(bytes.data, prefix, size) == 0;
}

static const ReefParquetPair *
find_pair(const ReefParquetFooter *footer, const char *key)
{
	for (int i = 0; i < footer->pair_count; i++)
		if (reef_slice_equal(footer->pairs[i].key, reef_slice_of_string(key)))
			return &footer->pairs[i];
	return NULL;
}

/* Eight lower-case hex digits. */
static bool
read_crc(const uint8_t *digits, uint32_t *crc)
{
	*crc = 0;
	for (int i = 0; i < REEF_PARQUET_CRC_DIGITS; i++)
	{
		uint8_t		d = digits[i];

		if (d >= '0' && d <= '9')
			d = (uint8_t) (d - '0');
		else if (d >= 'a' && d <= 'f')
			d = (uint8_t) (d - 'a' + 10);
		else
			return false;
		*crc = (*crc << 4) | d;
	}
	return true;
}

static ReefCode
verify_footer_crc(const ReefParquetFooter *footer, ReefSlice bytes,
				  ReefError *err)
{
	const ReefParquetPair *pair = find_pair(footer,
											REEF_PARQUET_KEY_FOOTER_CRC);
	uint32_t	stored;
	uint32_t	crc;
	size_t		before;

	if (pair == NULL || pair->value.size != REEF_PARQUET_CRC_DIGITS ||
		!read_crc(pair->value.data, &stored))
		return damaged(err, "its checksum is missing");
	before = (size_t) (pair->value.data - bytes.data);
	crc = reef_crc32c(0, bytes.data, before);
	crc = reef_crc32c(crc, "00000000", REEF_PARQUET_CRC_DIGITS);
	crc = reef_crc32c(crc, pair->value.data + REEF_PARQUET_CRC_DIGITS,
					  bytes.size - before - REEF_PARQUET_CRC_DIGITS);
	if (crc != stored)
		return damaged(err, "checksum");
	return REEF_OK;
}

static ReefCode
read_crcs(const ReefParquetFooter *footer, const char *key, int count,
		  ReefArena *arena, uint32_t **crcs, ReefError *err)
{
	const ReefParquetPair *pair = find_pair(footer, key);
	size_t		n = (size_t) count;

	if (pair == NULL || pair->value.size != n * REEF_PARQUET_CRC_DIGITS)
		return damaged(err, "checksums of indexes or bloom filters");
	*crcs = reef_arena_alloc(arena, n * sizeof(uint32_t));
	if (*crcs == NULL)
		return reef_error_no_memory(err, n * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++)
		if (!read_crc(pair->value.data + i * REEF_PARQUET_CRC_DIGITS,
					  &(*crcs)[i]))
			return damaged(err, "checksums of indexes or bloom filters");
	return REEF_OK;
}

static ReefCode
copy_pairs(const ReefParquetFooter *footer, ReefArena *arena,
		   ReefParquetOrigin *origin, ReefError *err)
{
	size_t		count = (size_t) footer->pair_count;

	origin->keys = reef_arena_calloc(arena, count * sizeof(char *));
	origin->values = reef_arena_calloc(arena, count * sizeof(char *));
	if (origin->keys == NULL || origin->values == NULL)
		return reef_error_no_memory(err, count * sizeof(char *));
	for (size_t i = 0; i < count; i++)
	{
		ReefSlice	key = footer->pairs[i].key;
		ReefSlice	value = footer->pairs[i].value;

		origin->keys[i] = reef_arena_strndup(arena, key.data, key.size);
		origin->values[i] = reef_arena_strndup(arena, value.data, value.size);
		if (origin->keys[i] == NULL || origin->values[i] == NULL)
			return reef_error_no_memory(err, key.size + value.size);
	}
	origin->pair_count = footer->pair_count;
	return REEF_OK;
}

ReefCode
reef_parquet_origin_verify(const ReefParquetFooter *footer, ReefSlice bytes,
						   ReefArena *arena, ReefParquetOrigin *origin,
						   ReefError *err)
{
	memset(origin, 0, sizeof(*origin));
	REEF_TRY(copy_pairs(footer, arena, origin, err));
	origin->is_ours = begins_with(footer->created_by, OUR_CREATOR);
	for (int i = 0; i < footer->pair_count; i++)
		if (begins_with(footer->pairs[i].key, OUR_PREFIX))
			origin->is_ours = true;
	if (!origin->is_ours)
		return REEF_OK;
	REEF_TRY(verify_footer_crc(footer, bytes, err));
	for (int g = 0; g < footer->row_group_count; g++)
		for (int c = 0; c < footer->row_groups[g].chunk_count; c++)
			origin->bloom_count +=
				footer->row_groups[g].chunks[c].bloom_offset != 0;
	REEF_TRY(read_crcs(footer, REEF_PARQUET_KEY_INDEX_CRC,
					   footer->row_group_count, arena, &origin->index_crcs,
					   err));
	return read_crcs(footer, REEF_PARQUET_KEY_BLOOM_CRC, origin->bloom_count,
					 arena, &origin->bloom_crcs, err);
}

/* A decimal number and the blank behind it. */
static bool
read_number(const char **p, long *number)
{
	char	   *end;

	*number = strtol(*p, &end, 10);
	if (end == *p || *end != ' ')
		return false;
	*p = end + 1;
	return true;
}

/* "<kind> <length> <key position> <PostgreSQL type>\n" */
static bool
describe_column(const char **line, ReefArena *arena,
				const ReefParquetElement *element, ReefColumn *column)
{
	const char *p = *line;
	const char *blank = strchr(p, ' ');
	char	   *name;
	const char *end;
	long		length;
	long		key_position;

	if (blank == NULL)
		return false;
	name = reef_arena_strndup(arena, p, (size_t) (blank - p));
	if (name == NULL)
		return false;
	column->type.kind = reef_kind_of_name(name);
	p = blank + 1;
	if (!reef_element_is_of(element, &column->type) ||
		!read_number(&p, &length) || !read_number(&p, &key_position) ||
		length < -1 || length > INT32_MAX || key_position < 0 ||
		key_position > REEF_COLUMN_MAX_COUNT)
		return false;
	end = strchr(p, '\n');
	if (end == NULL)
		return false;
	column->type.length = (int32_t) length;
	column->key_position = (int) key_position;
	if (end > p)
	{
		column->type.pg_type = reef_arena_strndup(arena, p,
												  (size_t) (end - p));
		if (column->type.pg_type == NULL)
			return false;
	}
	*line = end + 1;
	return true;
}

ReefCode
reef_parquet_origin_describe(const ReefParquetOrigin *origin,
							 const ReefParquetFooter *footer,
							 ReefArena *arena, ReefSchema *schema,
							 ReefError *err)
{
	const char *line;

	if (!origin->is_ours)
		return REEF_OK;
	line = reef_parquet_origin_value(origin, REEF_PARQUET_KEY_COLUMNS);
	if (line == NULL)
		return damaged(err, "the description of its columns is missing");
	for (int i = 0; i < schema->column_count; i++)
	{
		if (!describe_column(&line, arena, &footer->elements[i + 1],
							 &schema->columns[i]))
			return damaged(err, "the description of its columns");
		schema->columns[i].has_bloom = footer->row_group_count > 0 &&
			footer->row_groups[0].chunk_count > i &&
			footer->row_groups[0].chunks[i].bloom_offset != 0;
	}
	return REEF_OK;
}

const char *
reef_parquet_origin_value(const ReefParquetOrigin *origin, const char *key)
{
	for (int i = 0; i < origin->pair_count; i++)
		if (strcmp(origin->keys[i], key) == 0)
			return origin->values[i];
	return NULL;
}

uint32_t
reef_parquet_origin_bloom_crc(const ReefParquetOrigin *origin,
							  const ReefParquetFooter *footer, int row_group,
							  int column)
{
	int			before = 0;

	for (int g = 0; g <= row_group; g++)
		for (int c = 0; c < footer->row_groups[g].chunk_count; c++)
			if ((g < row_group || c < column) &&
				footer->row_groups[g].chunks[c].bloom_offset != 0)
				before++;
	return origin->bloom_crcs[before];
}
