/*
 * bloom.c
 *	  Enter and look up values.
 */
#include "parquet/bloom.h"

#include <math.h>

#include "parquet/thrift.h"
#include "parquet/type.h"

/* 128 MiB: more than any row group needs. */
#define REEF_BLOOM_MAX_SIZE (128u * 1024 * 1024)

#define P1 UINT64_C(0x9E3779B185EBCA87)
#define P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define P3 UINT64_C(0x165667B19E3779F9)
#define P4 UINT64_C(0x85EBCA77C2B2AE63)
#define P5 UINT64_C(0x27D4EB2F165667C5)

static const uint32_t salts[8] = {
	0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
	0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u
};

static uint64_t
rotate(uint64_t v, int bits)
{
	return (v << bits) | (v >> (64 - bits));
}

static uint64_t
xxh64_round(uint64_t accumulator, uint64_t lane)
{
	return rotate(accumulator + lane * P2, 31) * P1;
}

static uint64_t
xxh64_merge(uint64_t hash, uint64_t accumulator)
{
	return (hash ^ xxh64_round(0, accumulator)) * P1 + P4;
}

uint64_t
reef_xxh64(const void *data, size_t size, uint64_t seed)
{
	const uint8_t *p = data;
	size_t		left = size;
	uint64_t	hash = seed + P5;

	if (left >= 32)
	{
		uint64_t	a = seed + P1 + P2;
		uint64_t	b = seed + P2;
		uint64_t	c = seed;
		uint64_t	d = seed - P1;

		for (; left >= 32; left -= 32, p += 32)
		{
			a = xxh64_round(a, reef_get_u64(p));
			b = xxh64_round(b, reef_get_u64(p + 8));
			c = xxh64_round(c, reef_get_u64(p + 16));
			d = xxh64_round(d, reef_get_u64(p + 24));
		}
		hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
		hash = xxh64_merge(hash, a);
		hash = xxh64_merge(hash, b);
		hash = xxh64_merge(hash, c);
		hash = xxh64_merge(hash, d);
	}
	hash += size;
	for (; left >= 8; left -= 8, p += 8)
		hash = rotate(hash ^ xxh64_round(0, reef_get_u64(p)), 27) * P1 + P4;
	if (left >= 4)
	{
		hash = rotate(hash ^ (reef_get_u32(p) * P1), 23) * P2 + P3;
		left -= 4;
		p += 4;
	}
	for (; left > 0; left--, p++)
		hash = rotate(hash ^ (*p * P5), 11) * P1;
	hash = (hash ^ (hash >> 33)) * P2;
	hash = (hash ^ (hash >> 29)) * P3;
	return hash ^ (hash >> 32);
}

static size_t
block_of(uint64_t hash, size_t block_count)
{
	return (size_t) (((hash >> 32) * block_count) >> 32);
}

static void
enter_hash(uint8_t *blocks, size_t block_count, uint64_t hash)
{
	uint8_t    *block = blocks + block_of(hash, block_count) *
		REEF_BLOOM_BLOCK_SIZE;

	for (int i = 0; i < 8; i++)
	{
		uint32_t	bit = 1u << (((uint32_t) hash * salts[i]) >> 27);

		reef_put_u32(block + 4 * i, reef_get_u32(block + 4 * i) | bit);
	}
}

static bool
contains_hash(const uint8_t *blocks, size_t block_count, uint64_t hash)
{
	const uint8_t *block = blocks + block_of(hash, block_count) *
		REEF_BLOOM_BLOCK_SIZE;

	for (int i = 0; i < 8; i++)
	{
		uint32_t	bit = 1u << (((uint32_t) hash * salts[i]) >> 27);

		if ((reef_get_u32(block + 4 * i) & bit) == 0)
			return false;
	}
	return true;
}

/* A float that PostgreSQL calls equal and whose bits may differ. */
static bool
canonical_float(ReefKind kind, const ReefValue *value, ReefValue *canonical)
{
	double		d;

	if (kind != REEF_KIND_FLOAT32 && kind != REEF_KIND_FLOAT64)
		return false;
	d = kind == REEF_KIND_FLOAT32 ? (double) value->as.float32 :
		value->as.float64;
	if (!isnan(d) && d != 0)
		return false;
	*canonical = *value;
	if (kind == REEF_KIND_FLOAT32)
		canonical->as.float32 = isnan(d) ? (float) NAN : 0.0f;
	else
		canonical->as.float64 = isnan(d) ? (double) NAN : 0.0;
	return true;
}

static void
enter_value(uint8_t *blocks, size_t block_count, ReefKind kind, ReefSlice v)
{
	ReefValue	value;
	ReefValue	canonical;
	ReefSlice	bytes;
	uint8_t		scratch[REEF_PHYSICAL_MAX_WIDTH];

	enter_hash(blocks, block_count, reef_xxh64(v.data, v.size, 0));
	if (kind != REEF_KIND_FLOAT32 && kind != REEF_KIND_FLOAT64)
		return;
	(void) reef_physical_decode(kind, v, &value);
	if (!canonical_float(kind, &value, &canonical))
		return;
	(void) reef_physical_encode(kind, &canonical, scratch, &bytes);
	enter_hash(blocks, block_count, reef_xxh64(bytes.data, bytes.size, 0));
	/* other readers may ask for the zero of the other sign */
	scratch[bytes.size - 1] ^= 0x80;
	enter_hash(blocks, block_count, reef_xxh64(bytes.data, bytes.size, 0));
}

static size_t
block_count_for(size_t distinct, double false_positives)
{
	double		bits = -8.0 * (double) distinct /
		log(1.0 - pow(false_positives, 1.0 / 8.0));
	double		blocks = ceil(bits / (8 * REEF_BLOOM_BLOCK_SIZE));

	if (blocks < 1)
		return 1;
	if (blocks > REEF_BLOOM_MAX_SIZE / REEF_BLOOM_BLOCK_SIZE)
		return REEF_BLOOM_MAX_SIZE / REEF_BLOOM_BLOCK_SIZE;
	return (size_t) blocks;
}

/* A union whose only content is the choice of its first member. */
static void
write_choice(ReefBuf *buf, int *last, int id)
{
	int			inner = 0;

	reef_thrift_write_struct(buf, last, id);
	reef_thrift_write_empty(buf, &inner, 1);
	reef_thrift_write_stop(buf);
}

void
reef_bloom_encode(ReefBuf *buf, ReefKind kind, ReefSlice values, size_t count,
				  size_t distinct, double false_positives)
{
	size_t		block_count = block_count_for(distinct, false_positives);
	size_t		size = block_count * REEF_BLOOM_BLOCK_SIZE;
	size_t		width = (size_t) reef_physical_width(kind);
	const uint8_t *p = values.data;
	uint8_t    *blocks;
	int			last = 0;

	reef_thrift_write_i32(buf, &last, 1, (int32_t) size);
	write_choice(buf, &last, 2);	/* split block */
	write_choice(buf, &last, 3);	/* XXH64 */
	write_choice(buf, &last, 4);	/* not compressed */
	reef_thrift_write_stop(buf);
	blocks = reef_buf_reserve(buf, size);
	if (blocks == NULL)
		return;
	memset(blocks, 0, size);
	for (size_t i = 0; i < count; i++)
	{
		ReefSlice	v = width > 0 ? reef_slice(p, width) :
			reef_slice(p + 4, reef_get_u32(p));

		enter_value(blocks, block_count, kind, v);
		p = v.data + v.size;
	}
	buf->size += size;
}

/* Is the union's choice the first member? */
static bool
read_choice(ReefReader *reader, const ReefThriftField *outer)
{
	ReefThriftField f = {0};
	int			choice = 0;

	reef_thrift_read_struct(reader, outer);
	while (!reader->failed && reef_thrift_next(reader, &f))
	{
		choice = f.id;
		reef_thrift_skip(reader, &f);
	}
	return choice == 1;
}

bool
reef_bloom_check(ReefSlice filter, ReefKind kind, const ReefValue *value,
				 bool *may_contain)
{
	ReefReader	r;
	ReefThriftField f = {0};
	int32_t		size = 0;
	int			known = 0;
	ReefValue	canonical;
	uint8_t		scratch[REEF_PHYSICAL_MAX_WIDTH];
	ReefSlice	bytes;
	ReefSlice	blocks;

	reef_reader_init(&r, filter);
	while (reef_thrift_next(&r, &f))
	{
		if (f.id == 1)
			size = reef_thrift_read_i32(&r, &f);
		else if (f.id <= 4)
			known += read_choice(&r, &f);
		else
			reef_thrift_skip(&r, &f);
	}
	if (r.failed || known != 3 || size <= 0 ||
		size % REEF_BLOOM_BLOCK_SIZE != 0)
		return false;
	blocks = reef_read_bytes(&r, (size_t) size);
	if (r.failed || reef_reader_left(&r) != 0)
		return false;
	if (canonical_float(kind, value, &canonical))
		value = &canonical;
	/* a value that cannot be stored is not there */
	*may_contain = reef_physical_encode(kind, value, scratch, &bytes) &&
		contains_hash(blocks.data, blocks.size / REEF_BLOOM_BLOCK_SIZE,
					  reef_xxh64(bytes.data, bytes.size, 0));
	return true;
}
