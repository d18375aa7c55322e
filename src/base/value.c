/*
 * value.c
 *	  What is known about each kind, and the order of its values.
 */
#include "base/value.h"

#include <assert.h>
#include <math.h>

/* Indexed by ReefKind; width 0 means variable. */
static const struct
{
	const char *name;
	int			width;
}			kinds[REEF_KIND_MAX + 1] =
{
	[REEF_KIND_BOOL] = {"bool", 1},
	[REEF_KIND_INT16] = {"int2", 2},
	[REEF_KIND_INT32] = {"int4", 4},
	[REEF_KIND_INT64] = {"int8", 8},
	[REEF_KIND_FLOAT32] = {"float4", 4},
	[REEF_KIND_FLOAT64] = {"float8", 8},
	[REEF_KIND_DECIMAL64] = {"decimal64", 8},
	[REEF_KIND_DECIMAL128] = {"decimal128", 16},
	[REEF_KIND_TEXT] = {"text", 0},
	[REEF_KIND_BYTES] = {"bytea", 0},
	[REEF_KIND_UUID] = {"uuid", 16},
	[REEF_KIND_DATE] = {"date", 4},
	[REEF_KIND_TIME] = {"time", 8},
	[REEF_KIND_TIMESTAMP] = {"timestamp", 8},
	[REEF_KIND_TIMESTAMPTZ] = {"timestamptz", 8},
	[REEF_KIND_JSON] = {"json", 0},
	[REEF_KIND_OTHER] = {"other", 0},
};

bool
reef_kind_is_valid(unsigned kind)
{
	return kind <= REEF_KIND_MAX && kinds[kind].name != NULL;
}

int
reef_kind_width(ReefKind kind)
{
	assert(reef_kind_is_valid(kind));
	return kinds[kind].width;
}

bool
reef_kind_is_variable(ReefKind kind)
{
	return reef_kind_width(kind) == 0;
}

const char *
reef_kind_name(ReefKind kind)
{
	assert(reef_kind_is_valid(kind));
	return kinds[kind].name;
}

ReefKind
reef_kind_of_name(const char *name)
{
	unsigned	kind;

	for (kind = 1; kind <= REEF_KIND_MAX; kind++)
	{
		if (reef_kind_is_valid(kind) && strcmp(kinds[kind].name, name) == 0)
			return (ReefKind) kind;
	}
	return (ReefKind) 0;
}

static int
compare_doubles(double a, double b)
{
	if (isnan(a) || isnan(b))
		return (isnan(a) != 0) - (isnan(b) != 0);
	return (a > b) - (a < b);
}

int
reef_value_compare(ReefKind kind, const ReefValue *a, const ReefValue *b)
{
	switch (kind)
	{
		case REEF_KIND_BOOL:
			return a->as.boolean - b->as.boolean;
		case REEF_KIND_INT16:
			return a->as.int16 - b->as.int16;
		case REEF_KIND_INT32:
		case REEF_KIND_DATE:
			return (a->as.int32 > b->as.int32) - (a->as.int32 < b->as.int32);
		case REEF_KIND_INT64:
		case REEF_KIND_DECIMAL64:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			return (a->as.int64 > b->as.int64) - (a->as.int64 < b->as.int64);
		case REEF_KIND_FLOAT32:
			return compare_doubles((double) a->as.float32,
								   (double) b->as.float32);
		case REEF_KIND_FLOAT64:
			return compare_doubles(a->as.float64, b->as.float64);
		case REEF_KIND_DECIMAL128:
			return (a->as.int128 > b->as.int128) -
				(a->as.int128 < b->as.int128);
		case REEF_KIND_UUID:
			return memcmp(a->as.uuid, b->as.uuid, sizeof(a->as.uuid));
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			return reef_slice_compare(a->as.bytes, b->as.bytes);
	}
	assert(false);
	return 0;
}

void
reef_vector_get(const ReefVector *vector, int position, ReefValue *value)
{
	int			size = reef_vector_element_size(vector->kind);
	const uint8_t *element;

	assert(position >= 0);
	memset(value, 0, sizeof(*value));
	if (vector->nulls != NULL && vector->nulls[position] != 0)
	{
		value->is_null = true;
		return;
	}
	element = (const uint8_t *) vector->values +
		(size_t) position * (size_t) size;
	if (vector->kind == REEF_KIND_BOOL)
		value->as.boolean = *element != 0;
	else
		memcpy(&value->as, element, (size_t) size);
}

int
reef_vector_element_size(ReefKind kind)
{
	int			width = reef_kind_width(kind);

	return width > 0 ? width : (int) sizeof(ReefSlice);
}
