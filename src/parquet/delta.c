/*
 * delta.c
 *	  Encode and decode blocks of differences.
 */
#include "parquet/delta.h"

#define BLOCK_SIZE 128
#define MINIBLOCK_COUNT 4
#define MINIBLOCK_SIZE (BLOCK_SIZE / MINIBLOCK_COUNT)
#define MAX_BLOCK_SIZE 65536

static void
append_zigzag(ReefBuf *buf, int64_t v)
{
	reef_buf_append_varint(buf, ((uint64_t) v << 1) ^ (uint64_t) (v >> 63));
}

static int64_t
read_zigzag(ReefReader *reader)
{
	uint64_t	v = reef_read_varint(reader);

	return (int64_t) (v >> 1) ^ -(int64_t) (v & 1);
}

static int
bit_width(uint64_t max)
{
	return max == 0 ? 0 : 64 - __builtin_clzll(max);
}

/* 32 values of up to 64 bits are 4 * width bytes. */
static void
pack(ReefBuf *buf, const uint64_t *values, int width)
{
	uint8_t    *out = reef_buf_reserve(buf, 4 * (size_t) width);
	uint64_t	bits = 0;
	int			filled = 0;

	if (out == NULL)
		return;
	for (int i = 0; i < MINIBLOCK_SIZE; i++)
	{
		bits |= values[i] << filled;
		if (filled + width >= 64)
		{
			reef_put_u64(out, bits);
			out += 8;
			bits = filled > 0 ? values[i] >> (64 - filled) : 0;
			filled += width - 64;
		}
		else
			filled += width;
	}
	if (filled > 0)
		reef_put_u32(out, (uint32_t) bits);
	buf->size += 4 * (size_t) width;
}

static uint64_t
get_value(const uint8_t *values, int width, size_t i)
{
	if (width == 4)
		return (uint64_t) (int64_t) (int32_t) reef_get_u32(values + 4 * i);
	return reef_get_u64(values + 8 * i);
}

/* Differences of 32-bit values wrap at 32 bits. */
static int64_t
difference(uint64_t a, uint64_t b, int width)
{
	if (width == 4)
		return (int32_t) (uint32_t) (a - b);
	return (int64_t) (a - b);
}

static void
encode_block(ReefBuf *buf, const int64_t *deltas, size_t count)
{
	uint64_t	rest[BLOCK_SIZE] = {0};
	uint64_t	widest[MINIBLOCK_COUNT] = {0};
	int64_t		min = deltas[0];

	for (size_t i = 1; i < count; i++)
		min = deltas[i] < min ? deltas[i] : min;
	for (size_t i = 0; i < count; i++)
	{
		rest[i] = (uint64_t) deltas[i] - (uint64_t) min;
		widest[i / MINIBLOCK_SIZE] |= rest[i];
	}
	append_zigzag(buf, min);
	for (int m = 0; m < MINIBLOCK_COUNT; m++)
		reef_buf_append_u8(buf, (uint8_t) bit_width(widest[m]));
	/* miniblocks behind the last value are left out */
	for (size_t m = 0; m * MINIBLOCK_SIZE < count; m++)
		pack(buf, rest + m * MINIBLOCK_SIZE, bit_width(widest[m]));
}

void
reef_delta_encode(ReefBuf *buf, const uint8_t *values, int width, size_t count)
{
	int64_t		deltas[BLOCK_SIZE];
	size_t		n = 0;
	uint64_t	previous = count > 0 ? get_value(values, width, 0) : 0;

	reef_buf_append_varint(buf, BLOCK_SIZE);
	reef_buf_append_varint(buf, MINIBLOCK_COUNT);
	reef_buf_append_varint(buf, count);
	append_zigzag(buf, (int64_t) previous);
	for (size_t i = 1; i < count; i++)
	{
		uint64_t	v = get_value(values, width, i);

		deltas[n++] = difference(v, previous, width);
		previous = v;
		if (n == BLOCK_SIZE)
		{
			encode_block(buf, deltas, n);
			n = 0;
		}
	}
	if (n > 0)
		encode_block(buf, deltas, n);
}

/* Add up one miniblock's differences. */
static uint64_t
decode_miniblock(ReefSlice bits, int width, uint64_t min, uint64_t previous,
				 int64_t *values, size_t count)
{
	uint64_t	mask = width == 64 ? ~(uint64_t) 0 :
		((uint64_t) 1 << width) - 1;
	size_t		i = 0;

	if (width == 0)
	{
		for (; i < count; i++)
		{
			previous += min;
			values[i] = (int64_t) previous;
		}
		return previous;
	}
	/* one fetch of eight bytes holds any value of up to 57 bits */
	if (width <= 57)
		for (; i < count; i++)
		{
			size_t		position = i * (size_t) width;

			if ((position >> 3) + 8 > bits.size)
				break;
			previous += min + ((reef_get_u64(bits.data + (position >> 3)) >>
								(position & 7)) & mask);
			values[i] = (int64_t) previous;
		}
	for (; i < count; i++)
	{
		size_t		position = i * (size_t) width;
		uint64_t	v = 0;

		for (int bit = 0; bit < width;)
		{
			size_t		at = position + (size_t) bit;
			uint64_t	byte = (uint64_t) bits.data[at >> 3] >> (at & 7);

			v |= byte << bit;
			bit += 8 - (int) (at & 7);
		}
		previous += min + (v & mask);
		values[i] = (int64_t) previous;
	}
	return previous;
}

typedef struct DeltaReader
{
	ReefReader	reader;
	size_t		miniblock_count;
	size_t		miniblock_size;
	uint64_t	previous;
} DeltaReader;

static bool
read_header(DeltaReader *d, ReefSlice bytes, size_t count)
{
	uint64_t	block_size;
	uint64_t	total;

	reef_reader_init(&d->reader, bytes);
	block_size = reef_read_varint(&d->reader);
	d->miniblock_count = (size_t) reef_read_varint(&d->reader);
	total = reef_read_varint(&d->reader);
	d->previous = (uint64_t) read_zigzag(&d->reader);
	if (d->reader.failed || block_size == 0 || block_size > MAX_BLOCK_SIZE ||
		d->miniblock_count == 0 || d->miniblock_count > block_size ||
		block_size % d->miniblock_count != 0 || total != count)
		return false;
	d->miniblock_size = (size_t) block_size / d->miniblock_count;
	/* whole bytes in a miniblock whatever the bit width */
	return d->miniblock_size % 8 == 0;
}

/* Decode a block's values, or as many of them as are wanted. */
static bool
read_block(DeltaReader *d, int64_t *values, size_t wanted)
{
	uint64_t	min = (uint64_t) read_zigzag(&d->reader);
	ReefSlice	widths = reef_read_bytes(&d->reader, d->miniblock_count);

	if (d->reader.failed)
		return false;
	for (size_t m = 0; m < d->miniblock_count && wanted > 0; m++)
	{
		size_t		n = wanted < d->miniblock_size ? wanted :
			d->miniblock_size;
		int			width = widths.data[m];
		ReefSlice	bits;

		if (width > 64)
			return false;
		bits = reef_read_bytes(&d->reader,
							   d->miniblock_size / 8 * (size_t) width);
		if (d->reader.failed)
			return false;
		d->previous = decode_miniblock(bits, width, min, d->previous, values,
									   n);
		values += n;
		wanted -= n;
	}
	return true;
}

bool
reef_delta_decode(ReefSlice bytes, bool exact, int64_t *values, size_t count)
{
	DeltaReader d;
	size_t		block_size;

	/* a page without values may be left empty */
	if (count == 0 && bytes.size == 0)
		return true;
	if (!read_header(&d, bytes, count))
		return false;
	block_size = d.miniblock_size * d.miniblock_count;
	if (count > 0)
		values[0] = (int64_t) d.previous;
	for (size_t i = 1; i < count; i += block_size)
		if (!read_block(&d, values + i, count - i < block_size ? count - i :
						block_size))
			return false;
	return !exact || reef_reader_left(&d.reader) == 0;
}
