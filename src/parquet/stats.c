/*
 * stats.c
 *	  Smallest and largest value of stored bytes.
 */
#include "parquet/stats.h"

static void
set_bounds(ReefStats *stats, const void *min, const void *max, size_t width)
{
	memcpy(stats->min_bytes, min, width);
	memcpy(stats->max_bytes, max, width);
	stats->min = reef_slice(stats->min_bytes, width);
	stats->max = reef_slice(stats->max_bytes, width);
	stats->min_exact = true;
	stats->max_exact = true;
	stats->has_min_max = true;
}

static void
compute_int32(ReefSlice values, size_t count, ReefStats *stats)
{
	int32_t		min = INT32_MAX;
	int32_t		max = INT32_MIN;
	uint8_t		bytes[2][4];

	for (size_t i = 0; i < count; i++)
	{
		int32_t		v = (int32_t) reef_get_u32(values.data + 4 * i);

		min = v < min ? v : min;
		max = v > max ? v : max;
	}
	reef_put_u32(bytes[0], (uint32_t) min);
	reef_put_u32(bytes[1], (uint32_t) max);
	set_bounds(stats, bytes[0], bytes[1], 4);
}

static void
compute_int64(ReefKind kind, ReefSlice values, size_t count, ReefStats *stats)
{
	int64_t		min = INT64_MAX;
	int64_t		max = INT64_MIN;
	bool		has_excess = false;
	uint8_t		bytes[2][8];

	for (size_t i = 0; i < count; i++)
	{
		int64_t		v = (int64_t) reef_get_u64(values.data + 8 * i);

		min = v < min ? v : min;
		max = v > max ? v : max;
		has_excess |= reef_timestamp_is_excess(v);
	}
	if (has_excess &&
		(kind == REEF_KIND_TIMESTAMP || kind == REEF_KIND_TIMESTAMPTZ))
		return;
	reef_put_u64(bytes[0], (uint64_t) min);
	reef_put_u64(bytes[1], (uint64_t) max);
	set_bounds(stats, bytes[0], bytes[1], 8);
}

/* As doubles: every float is one, and the order is the same. */
static void
compute_floats(ReefKind kind, ReefSlice values, size_t count,
			   ReefStats *stats)
{
	size_t		width = kind == REEF_KIND_FLOAT32 ? 4 : 8;
	ReefValue	v;
	ReefValue	min = {0};
	ReefValue	max = {0};
	uint8_t		bytes[2][REEF_PHYSICAL_MAX_WIDTH];
	ReefSlice	unused;
	double		low = 0;
	double		high = 0;

	for (size_t i = 0; i < count; i++)
	{
		double		d;

		(void) reef_physical_decode(kind, reef_slice(values.data + width * i,
													 width), &v);
		d = kind == REEF_KIND_FLOAT32 ? (double) v.as.float32 : v.as.float64;
		if (__builtin_isnan(d))
			return;
		if (i == 0 || d < low)
			low = d;
		if (i == 0 || d > high)
			high = d;
	}
	if (low == 0)
		low = -0.0;
	if (high == 0)
		high = 0.0;
	if (kind == REEF_KIND_FLOAT32)
	{
		min.as.float32 = (float) low;
		max.as.float32 = (float) high;
	}
	else
	{
		min.as.float64 = low;
		max.as.float64 = high;
	}
	(void) reef_physical_encode(kind, &min, bytes[0], &unused);
	(void) reef_physical_encode(kind, &max, bytes[1], &unused);
	set_bounds(stats, bytes[0], bytes[1], width);
}

static void
compute_fixed(ReefKind kind, ReefSlice values, size_t count, size_t width,
			  ReefStats *stats)
{
	ReefSlice	min = reef_slice(values.data, width);
	ReefSlice	max = min;

	for (size_t i = 1; i < count; i++)
	{
		ReefSlice	v = reef_slice(values.data + width * i, width);

		if (reef_stats_compare(kind, v, min) < 0)
			min = v;
		if (reef_stats_compare(kind, v, max) > 0)
			max = v;
	}
	set_bounds(stats, min.data, max.data, width);
}

static bool
is_continuation(uint8_t byte)
{
	return (byte & 0xC0) == 0x80;
}

/* The longest prefix up to the limit that does not end inside a character. */
static size_t
prefix_size(ReefKind kind, ReefSlice value)
{
	size_t		size = REEF_STATS_MAX_SIZE;

	if (kind == REEF_KIND_BYTES)
		return size;
	while (size > REEF_STATS_MAX_SIZE - 4 && is_continuation(value.data[size]))
		size--;
	return is_continuation(value.data[size]) ? REEF_STATS_MAX_SIZE : size;
}

/*
 * The next character after the one that ends "bytes" (of "size" bytes from
 * its start at "at"), written in its place; 0 if there is none.  Code points
 * and their UTF-8 bytes have the same order.
 */
static size_t
raise_character(uint8_t *bytes, size_t at, size_t size)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	static const uint8_t lead[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
	static const uint8_t lead_mask[] = {0, 0x80, 0xE0, 0xF0, 0xF8};
	size_t		length = size - at;
	uint32_t	c = bytes[at];

	/* not every database has valid UTF-8 in its text */
	if ((c & lead_mask[length]) != lead[length])
		return 0;
	c &= (uint8_t) ~lead_mask[length];
	for (size_t i = at + 1; i < size; i++)
		c = (c << 6) | (bytes[i] & 0x3Fu);
	if (c < smallest[length])
		return 0;
	c++;
	if (c >= 0xD800 && c <= 0xDFFF)
		c = 0xE000;
	if (c > 0x10FFFF)
		return 0;
	if (c < 0x80)
	{
		bytes[at] = (uint8_t) c;
		return at + 1;
	}
	length = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	if (at + length > REEF_STATS_MAX_SIZE)
		return 0;
	for (size_t i = length - 1; i > 0; i--)
	{
		bytes[at + i] = (uint8_t) (0x80 | (c & 0x3F));
		c >>= 6;
	}
	bytes[at] = (uint8_t) (lead[length] | c);
	return at + length;
}

/* Raise the prefix to be above everything that begins with it; 0: impossible. */
static size_t
raise_prefix(ReefKind kind, uint8_t *bytes, size_t size)
{
	while (size > 0)
	{
		size_t		at = size - 1;
		size_t		raised;

		if (kind == REEF_KIND_BYTES)
		{
			if (bytes[at] != 0xFF)
			{
				bytes[at]++;
				return size;
			}
			size = at;
			continue;
		}
		while (at > 0 && size - at < 4 && is_continuation(bytes[at]))
			at--;
		raised = raise_character(bytes, at, size);
		if (raised > 0)
			return raised;
		size = at;
	}
	return 0;
}

static void
compute_slices(ReefKind kind, ReefSlice values, size_t count,
			   ReefStats *stats)
{
	const uint8_t *p = values.data;
	ReefSlice	min = {0};
	ReefSlice	max = {0};

	for (size_t i = 0; i < count; i++)
	{
		ReefSlice	v = reef_slice(p + 4, reef_get_u32(p));

		if (i == 0 || reef_slice_compare(v, min) < 0)
			min = v;
		if (i == 0 || reef_slice_compare(v, max) > 0)
			max = v;
		p += 4 + v.size;
	}
	stats->min_exact = min.size <= REEF_STATS_MAX_SIZE;
	stats->max_exact = max.size <= REEF_STATS_MAX_SIZE;
	if (!stats->min_exact)
		min.size = prefix_size(kind, min);
	memcpy(stats->min_bytes, min.data, min.size);
	stats->min = reef_slice(stats->min_bytes, min.size);
	if (!stats->max_exact)
		max.size = prefix_size(kind, max);
	memcpy(stats->max_bytes, max.data, max.size);
	if (!stats->max_exact)
		max.size = raise_prefix(kind, stats->max_bytes, max.size);
	stats->max = reef_slice(stats->max_bytes, max.size);
	stats->has_min_max = stats->max_exact || max.size > 0;
}

void
reef_stats_compute(ReefKind kind, ReefSlice values, size_t count,
				   ReefStats *stats)
{
	stats->has_min_max = false;
	if (count == 0)
		return;
	switch (kind)
	{
		case REEF_KIND_INT16:
		case REEF_KIND_INT32:
		case REEF_KIND_DATE:
			compute_int32(values, count, stats);
			break;
		case REEF_KIND_INT64:
		case REEF_KIND_DECIMAL64:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			compute_int64(kind, values, count, stats);
			break;
		case REEF_KIND_FLOAT32:
		case REEF_KIND_FLOAT64:
			compute_floats(kind, values, count, stats);
			break;
		case REEF_KIND_BOOL:
		case REEF_KIND_DECIMAL128:
		case REEF_KIND_UUID:
			compute_fixed(kind, values, count,
						  (size_t) reef_physical_width(kind), stats);
			break;
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			compute_slices(kind, values, count, stats);
			break;
	}
}

int
reef_stats_compare(ReefKind kind, ReefSlice a, ReefSlice b)
{
	ReefValue	x;
	ReefValue	y;

	if (kind == REEF_KIND_UUID)
		return memcmp(a.data, b.data, 16);
	(void) reef_physical_decode(kind, a, &x);
	(void) reef_physical_decode(kind, b, &y);
	return reef_value_compare(kind, &x, &y);
}

void
reef_stats_copy(ReefStats *to, const ReefStats *from)
{
	*to = *from;
	if (!from->has_min_max)
		return;
	memmove(to->min_bytes, from->min.data, from->min.size);
	memmove(to->max_bytes, from->max.data, from->max.size);
	to->min.data = to->min_bytes;
	to->max.data = to->max_bytes;
}

void
reef_stats_merge(ReefKind kind, ReefStats *stats, const ReefStats *other)
{
	if (reef_stats_compare(kind, other->min, stats->min) < 0)
	{
		memcpy(stats->min_bytes, other->min.data, other->min.size);
		stats->min = reef_slice(stats->min_bytes, other->min.size);
		stats->min_exact = other->min_exact;
	}
	if (reef_stats_compare(kind, other->max, stats->max) > 0)
	{
		memcpy(stats->max_bytes, other->max.data, other->max.size);
		stats->max = reef_slice(stats->max_bytes, other->max.size);
		stats->max_exact = other->max_exact;
	}
}
