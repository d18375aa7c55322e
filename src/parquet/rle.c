/*
 * rle.c
 *	  Runs where a value repeats eight times or more, bit-packed groups of
 *	  eight elsewhere.
 *
 * A bit-packed run must hold a multiple of eight values (the last one of a
 * page is padded), so a long run of equal values first fills up the group
 * that precedes it.
 */
#include "parquet/rle.h"

/* Longest bit-packed run: its header then still takes one byte. */
#define MAX_PACKED_VALUES 504

int
reef_rle_bit_width(uint32_t max)
{
	return max == 0 ? 0 : 32 - __builtin_clz(max);
}

void
reef_bits_pack(ReefBuf *buf, const uint32_t *values, size_t count,
			   int bit_width)
{
	uint64_t	bits = 0;
	int			filled = 0;
	size_t		size = (count * (size_t) bit_width + 7) / 8;
	uint8_t    *out = reef_buf_reserve(buf, size);
	size_t		n = 0;

	if (out == NULL)
		return;
	for (size_t i = 0; i < count; i++)
	{
		bits |= (uint64_t) values[i] << filled;
		filled += bit_width;
		for (; filled >= 8; filled -= 8)
		{
			out[n++] = (uint8_t) bits;
			bits >>= 8;
		}
	}
	if (filled > 0)
		out[n++] = (uint8_t) bits;
	buf->size += n;
}

void
reef_bits_unpack(const uint8_t *bits, size_t size, int bit_width,
				 uint32_t *values, size_t count)
{
	uint64_t	mask = ((uint64_t) 1 << bit_width) - 1;
	size_t		width = (size_t) bit_width;
	size_t		i = 0;

	/* as long as eight bytes can be fetched at the value's first byte */
	for (; i < count && ((i * width) >> 3) + 8 <= size; i++)
	{
		size_t		position = i * width;

		values[i] = (uint32_t) ((reef_get_u64(bits + (position >> 3)) >>
								 (position & 7)) & mask);
	}
	for (; i < count; i++)
	{
		size_t		position = i * width;
		size_t		end = (position + width + 7) >> 3;
		uint64_t	v = 0;

		for (size_t b = position >> 3; b < end; b++)
			v |= (uint64_t) bits[b] << (8 * (b - (position >> 3)));
		values[i] = (uint32_t) ((v >> (position & 7)) & mask);
	}
}

static void
append_packed(ReefBuf *buf, const uint32_t *values, size_t count,
			  int bit_width)
{
	uint32_t	padded[8] = {0};
	size_t		whole = count & ~(size_t) 7;

	if (count == 0)
		return;
	reef_buf_append_varint(buf, (((count + 7) / 8) << 1) | 1);
	reef_bits_pack(buf, values, whole, bit_width);
	if (count > whole)
	{
		memcpy(padded, values + whole, (count - whole) * sizeof(uint32_t));
		reef_bits_pack(buf, padded, 8, bit_width);
	}
}

static void
append_run(ReefBuf *buf, uint32_t value, size_t count, int bit_width)
{
	reef_buf_append_varint(buf, (uint64_t) count << 1);
	for (int bits = 0; bits < bit_width; bits += 8)
		reef_buf_append_u8(buf, (uint8_t) (value >> bits));
}

void
reef_rle_encode(ReefBuf *buf, const uint32_t *values, size_t count,
				int bit_width)
{
	size_t		packed = 0;		/* first value that is not written yet */
	size_t		i = 0;

	while (i < count)
	{
		size_t		run = 1;
		size_t		missing = (8 - (i - packed) % 8) % 8;

		while (i + run < count && values[i + run] == values[i])
			run++;
		if (run >= 8 + missing)
		{
			append_packed(buf, values + packed, i + missing - packed,
						  bit_width);
			append_run(buf, values[i], run - missing, bit_width);
			packed = i + run;
		}
		i += run;
		while (i - packed >= MAX_PACKED_VALUES)
		{
			append_packed(buf, values + packed, MAX_PACKED_VALUES, bit_width);
			packed += MAX_PACKED_VALUES;
		}
	}
	append_packed(buf, values + packed, count - packed, bit_width);
}

void
reef_rle_encode_levels(ReefBuf *buf, const uint8_t *nulls, size_t count)
{
	uint32_t	levels[MAX_PACKED_VALUES];
	size_t		i = 0;

	if (nulls == NULL)
	{
		append_run(buf, 1, count, 1);
		return;
	}
	while (i < count)
	{
		size_t		n = 0;
		size_t		run = 1;

		while (i + run < count && nulls[i + run] == nulls[i])
			run++;
		if (run >= 8)
		{
			append_run(buf, nulls[i] ? 0 : 1, run, 1);
			i += run;
			continue;
		}

		/* whole groups of eight up to the next group of equal ones */
		while (i < count && n < MAX_PACKED_VALUES)
		{
			if (n > 0 && n % 8 == 0 && count - i >= 8 &&
				(memcmp(nulls + i, "\0\0\0\0\0\0\0", 8) == 0 ||
				 memcmp(nulls + i, "\1\1\1\1\1\1\1\1", 8) == 0))
				break;
			levels[n++] = nulls[i++] ? 0 : 1;
		}
		append_packed(buf, levels, n, 1);
	}
}

/* One run's header and content. */
typedef struct Run
{
	bool		is_packed;
	size_t		count;
	uint32_t	value;			/* of a repeated run */
	ReefSlice	bits;			/* of a packed one */
} Run;

static bool
next_run(ReefReader *reader, int bit_width, size_t wanted, bool exact,
		 Run *run)
{
	uint64_t	header = reef_read_varint(reader);
	uint64_t	count = header >> 1;

	if (reader->failed || count == 0)
		return false;
	run->is_packed = (header & 1) != 0;
	run->value = 0;
	if (run->is_packed)
	{
		/* only the last group may hold more than is wanted */
		if (count > (wanted + 7) / 8)
		{
			if (exact || count > reef_reader_left(reader))
				return false;
			run->count = wanted;
		}
		else
			run->count = (size_t) count * 8 < wanted ? (size_t) count * 8 :
				wanted;
		run->bits = reef_read_bytes(reader, (size_t) count *
									(size_t) bit_width);
	}
	else
	{
		if (count > wanted)
		{
			if (exact)
				return false;
			count = wanted;
		}
		for (int bits = 0; bits < bit_width; bits += 8)
			run->value |= (uint32_t) reef_read_u8(reader) << bits;
		if (bit_width < 32 && run->value >> bit_width != 0)
			return false;
		run->count = (size_t) count;
	}
	return !reader->failed;
}

bool
reef_rle_decode(ReefSlice bytes, int bit_width, bool exact, uint32_t *values,
				size_t count)
{
	ReefReader	r;
	Run			run;

	reef_reader_init(&r, bytes);
	while (count > 0)
	{
		if (!next_run(&r, bit_width, count, exact, &run))
			return false;
		if (run.is_packed)
			reef_bits_unpack(run.bits.data, run.bits.size, bit_width, values,
							 run.count);
		else
			for (size_t i = 0; i < run.count; i++)
				values[i] = run.value;
		values += run.count;
		count -= run.count;
	}
	return !exact || reef_reader_left(&r) == 0;
}

bool
reef_rle_decode_levels(ReefSlice bytes, bool exact, uint8_t *nulls,
					   size_t count, size_t *null_count)
{
	ReefReader	r;
	Run			run;

	*null_count = 0;
	reef_reader_init(&r, bytes);
	while (count > 0)
	{
		if (!next_run(&r, 1, count, exact, &run))
			return false;
		if (!run.is_packed)
		{
			memset(nulls, run.value == 0, run.count);
			if (run.value == 0)
				*null_count += run.count;
		}
		else
			for (size_t i = 0; i < run.count; i++)
			{
				uint8_t		is_null = (uint8_t)
					(~((unsigned) run.bits.data[i / 8] >> (i % 8)) & 1);

				nulls[i] = is_null;
				*null_count += is_null;
			}
		nulls += run.count;
		count -= run.count;
	}
	return !exact || reef_reader_left(&r) == 0;
}
