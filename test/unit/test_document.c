/*
 * test_document.c
 *	  Keys order as their values do; documents come back, and damaged ones are
 *	  refused.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/document.h"
#include "unit.h"

#define BYTES(literal) reef_slice(literal, sizeof(literal) - 1)

static uint8_t text_pool[4096];	/* what random variable values borrow */

/* A byte that an encoding of strings might trip over. */
static uint8_t
awkward_byte(void)
{
	static const uint8_t bytes[] = {0x00, 0x01, 0x02, 'a', 0xfe, 0xff};

	return bytes[unit_random_below(sizeof(bytes))];
}

static int64_t
random_int64(void)
{
	static const int64_t edges[] = {
		INT64_MIN, INT64_MIN + 1, -256, -1, 0, 1, 255, 256, INT64_MAX - 1,
		INT64_MAX
	};

	if (unit_random_below(2) == 0)
		return edges[unit_random_below(sizeof(edges) / sizeof(edges[0]))];
	return (int64_t) unit_random() >> unit_random_below(63);
}

static double
random_double(void)
{
	static const double edges[] = {
		-INFINITY, INFINITY, NAN, 0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324,
		1.7976931348623157e308
	};
	uint64_t	bits = unit_random();
	double		value;

	if (unit_random_below(2) == 0)
		return edges[unit_random_below(sizeof(edges) / sizeof(edges[0]))];
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/*
 * A random value, from few enough that equal ones and near misses are
 * frequent.  Variable values live in text_pool at "slot".
 */
static ReefValue
random_value(ReefKind kind, int slot)
{
	ReefValue	value;
	size_t		i;

	memset(&value, 0, sizeof(value));
	switch (kind)
	{
		case REEF_KIND_BOOL:
			value.as.boolean = unit_random_below(2) == 1;
			break;
		case REEF_KIND_INT16:
			value.as.int16 = (int16_t) random_int64();
			break;
		case REEF_KIND_INT32:
		case REEF_KIND_DATE:
			value.as.int32 = (int32_t) (random_int64() >>
										(unit_random_below(2) * 32));
			break;
		case REEF_KIND_INT64:
		case REEF_KIND_DECIMAL64:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			value.as.int64 = random_int64();
			break;
		case REEF_KIND_FLOAT32:
			value.as.float32 = (float) random_double();
			break;
		case REEF_KIND_FLOAT64:
			value.as.float64 = random_double();
			break;
		case REEF_KIND_DECIMAL128:
			if (unit_random_below(8) == 0)
				value.as.int128 = REEF_DECIMAL128_NAN;
			else
				value.as.int128 = (ReefInt128) random_int64() *
					(unit_random_below(2) == 0 ? 1 : INT64_C(1) << 40) +
					random_int64();
			break;
		case REEF_KIND_UUID:
			for (i = 0; i < 16; i++)
				value.as.uuid[i] = i < 12 ? 7 : awkward_byte();
			break;
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			value.as.bytes.data = text_pool + slot * 8;
			value.as.bytes.size = (size_t) unit_random_below(5);
			for (i = 0; i < value.as.bytes.size; i++)
				text_pool[(size_t) slot * 8 + i] = awkward_byte();
			break;
	}
	return value;
}

static int
sign(int order)
{
	return (order > 0) - (order < 0);
}

static ReefSlice
key_of(ReefBuf *buf, ReefKind kind, ReefValue value)
{
	reef_buf_reset(buf);
	reef_key_append(buf, kind, &value);
	return reef_buf_slice(buf);
}

/* By hand from the table in document.h. */
UNIT_TEST(test_document__keys_are_encoded_as_documented)
{
	const ReefUint128 big = (ReefUint128) 1 << 64 | 2;
	ReefBuf		buf;

	reef_buf_init(&buf);
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_BOOL,
							(ReefValue) {.as.boolean = true}), BYTES("\x01"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_INT16,
							(ReefValue) {.as.int16 = 1}),
					 BYTES("\x80\0\0\0\0\0\0\x01"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_INT32,
							(ReefValue) {.as.int32 = -2}),
					 BYTES("\x7f\xff\xff\xff\xff\xff\xff\xfe"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_INT64,
							(ReefValue) {.as.int64 = 0x0102030405060708}),
					 BYTES("\x81\x02\x03\x04\x05\x06\x07\x08"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_DATE,
							(ReefValue) {.as.int32 = -1}),
					 BYTES("\x7f\xff\xff\xff"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_TIMESTAMPTZ,
							(ReefValue) {.as.int64 = 256}),
					 BYTES("\x80\0\0\0\0\0\x01\0"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_DECIMAL64,
							(ReefValue) {.as.int64 = -1}),
					 BYTES("\x7f\xff\xff\xff\xff\xff\xff\xff"
						   "\xff\xff\xff\xff\xff\xff\xff\xff"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_DECIMAL128,
							(ReefValue) {.as.int128 = (ReefInt128) big}),
					 BYTES("\x80\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x02"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_FLOAT64,
							(ReefValue) {.as.float64 = 1.0}),
					 BYTES("\xbf\xf0\0\0\0\0\0\0"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_FLOAT32,
							(ReefValue) {.as.float32 = -2.0f}),
					 BYTES("\x3f\xff\xff\xff\xff\xff\xff\xff"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_FLOAT64,
							(ReefValue) {.as.float64 = -0.0}),
					 BYTES("\x80\0\0\0\0\0\0\0"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_TEXT,
							(ReefValue) {.as.bytes = BYTES("a\0b")}),
					 BYTES("a\0\xff" "b\0\x01"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_BYTES,
							(ReefValue) {.as.bytes = {NULL, 0}}),
					 BYTES("\0\x01"));
	UNIT_EQUAL_BYTES(key_of(&buf, REEF_KIND_UUID,
							(ReefValue) {.as.uuid = "0123456789abcdef"}),
					 BYTES("0123456789abcdef"));
	reef_buf_release(&buf);
}

UNIT_TEST(test_document__keys_order_as_their_values)
{
	unsigned	kind;
	int			i;
	ReefBuf		a_key;
	ReefBuf		b_key;

	reef_buf_init(&a_key);
	reef_buf_init(&b_key);
	for (kind = 1; kind <= REEF_KIND_MAX; kind++)
	{
		if (!reef_key_kind_is_allowed((ReefKind) kind))
			continue;
		for (i = 0; i < 5000; i++)
		{
			ReefValue	a = random_value((ReefKind) kind, 0);
			ReefValue	b = random_value((ReefKind) kind, 1);
			int			order = reef_value_compare((ReefKind) kind, &a, &b);
			ReefSlice	a_bytes = key_of(&a_key, (ReefKind) kind, a);
			ReefSlice	b_bytes = key_of(&b_key, (ReefKind) kind, b);

			if (sign(reef_slice_compare(a_bytes, b_bytes)) != sign(order))
				UNIT_FAIL("two %s keys, round %d, order %d instead of %d",
						  reef_kind_name((ReefKind) kind), i,
						  sign(reef_slice_compare(a_bytes, b_bytes)),
						  sign(order));
		}
	}
	reef_buf_release(&a_key);
	reef_buf_release(&b_key);
}

/* The first column that differs decides, whatever follows it. */
UNIT_TEST(test_document__keys_of_several_columns_order_column_by_column)
{
	ReefBuf		a_key;
	ReefBuf		b_key;
	int			round;

	reef_buf_init(&a_key);
	reef_buf_init(&b_key);
	for (round = 0; round < 20000; round++)
	{
		int			order = 0;
		int			c;

		reef_buf_reset(&a_key);
		reef_buf_reset(&b_key);
		for (c = 0; c < 3; c++)
		{
			ReefKind	kind = (ReefKind) (1 + unit_random_below(REEF_KIND_MAX));
			ReefValue	a;
			ReefValue	b;

			if (!reef_key_kind_is_allowed(kind) || unit_random_below(2) == 0)
				kind = REEF_KIND_BYTES;
			a = random_value(kind, 2 * c);
			b = unit_random_below(2) == 0 ? a : random_value(kind, 2 * c + 1);
			if (order == 0)
				order = reef_value_compare(kind, &a, &b);
			reef_key_append(&a_key, kind, &a);
			reef_key_append(&b_key, kind, &b);
		}
		UNIT_EQUAL_INT(sign(reef_slice_compare(reef_buf_slice(&a_key),
											   reef_buf_slice(&b_key))),
					   sign(order));
	}
	reef_buf_release(&a_key);
	reef_buf_release(&b_key);
}

UNIT_TEST(test_document__a_widened_column_keeps_its_keys)
{
	static const struct
	{
		ReefType	stored;
		ReefType	wanted;
	}			cases[] = {
		{{.kind = REEF_KIND_INT16}, {.kind = REEF_KIND_INT32}},
		{{.kind = REEF_KIND_INT16}, {.kind = REEF_KIND_INT64}},
		{{.kind = REEF_KIND_INT32}, {.kind = REEF_KIND_INT64}},
		{{.kind = REEF_KIND_FLOAT32}, {.kind = REEF_KIND_FLOAT64}},
		{{.kind = REEF_KIND_DECIMAL64, .precision = 10},
		{.kind = REEF_KIND_DECIMAL128, .precision = 30}},
	};
	ReefBuf		narrow;
	ReefBuf		wide;
	size_t		c;
	int			i;

	reef_buf_init(&narrow);
	reef_buf_init(&wide);
	for (c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
	{
		for (i = 0; i < 2000; i++)
		{
			ReefValue	value = random_value(cases[c].stored.kind, 0);
			ReefSlice	narrow_key = key_of(&narrow, cases[c].stored.kind,
											value);

			reef_value_widen(&cases[c].stored, &cases[c].wanted, &value);
			UNIT_EQUAL_BYTES(key_of(&wide, cases[c].wanted.kind, value),
							 narrow_key);
		}
	}
	reef_buf_release(&narrow);
	reef_buf_release(&wide);
}

UNIT_TEST(test_document__only_json_cannot_be_a_key)
{
	unsigned	kind;

	for (kind = 1; kind <= REEF_KIND_MAX; kind++)
		UNIT_EQUAL_INT(reef_key_kind_is_allowed((ReefKind) kind),
					   kind != REEF_KIND_JSON);
}

/* One column of each kind, in the order of their numbers. */
static void
all_kinds(ReefColumn columns[REEF_KIND_MAX])
{
	int			i;

	memset(columns, 0, REEF_KIND_MAX * sizeof(ReefColumn));
	for (i = 0; i < REEF_KIND_MAX; i++)
	{
		columns[i].type.kind = (ReefKind) (i + 1);
		columns[i].name = reef_kind_name(columns[i].type.kind);
	}
}

/* By hand from the grammar in document.h. */
UNIT_TEST(test_document__documents_are_encoded_as_documented)
{
	ReefColumn	columns[REEF_KIND_MAX];
	ReefValue	values[REEF_KIND_MAX];
	ReefBuf		buf;
	int			i;

	all_kinds(columns);
	memset(values, 0, sizeof(values));
	for (i = 0; i < REEF_KIND_MAX; i++)
		values[i].is_null = true;
	reef_buf_init(&buf);
	reef_document_append(&buf, columns, REEF_KIND_MAX, values);
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf), BYTES("\0\0\0"));

	values[REEF_KIND_BOOL - 1] = (ReefValue) {.as.boolean = true};
	values[REEF_KIND_INT32 - 1] = (ReefValue) {.as.int32 = -2};
	values[REEF_KIND_TEXT - 1] = (ReefValue) {.as.bytes = BYTES("h\xc3\xa9")};
	values[REEF_KIND_OTHER - 1] = (ReefValue) {.as.bytes = BYTES("")};
	reef_buf_reset(&buf);
	reef_document_append(&buf, columns, REEF_KIND_MAX, values);
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf),
					 BYTES("\x05\x01\x01" "\x01" "\xfe\xff\xff\xff"
						   "\x03h\xc3\xa9" "\0"));
	reef_buf_release(&buf);
}

/* Not by reef_value_compare: -0 and the bits of a NaN must come back too. */
static bool
same_value(ReefKind kind, const ReefValue *a, const ReefValue *b)
{
	if (a->is_null || b->is_null)
		return a->is_null == b->is_null;
	if (reef_kind_is_variable(kind))
		return reef_slice_equal(a->as.bytes, b->as.bytes);
	return memcmp(&a->as, &b->as, (size_t) reef_kind_width(kind)) == 0;
}

/* Random values, a quarter of them null. */
static void
random_row(const ReefColumn *columns, int count, ReefValue *values)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		values[i] = random_value(columns[i].type.kind, i);
		values[i].is_null = unit_random_below(4) == 0;
	}
}

UNIT_TEST(test_document__documents_come_back)
{
	ReefColumn	columns[REEF_KIND_MAX];
	ReefValue	values[REEF_KIND_MAX];
	ReefValue	back[REEF_KIND_MAX];
	ReefError	err;
	ReefBuf		buf;
	int			round;
	int			i;

	reef_error_init(&err);
	reef_buf_init(&buf);
	all_kinds(columns);
	for (round = 0; round < 3000; round++)
	{
		int			count = round % (REEF_KIND_MAX + 1);

		random_row(columns, count, values);
		reef_buf_reset(&buf);
		reef_document_append(&buf, columns, count, values);
		UNIT_OK(reef_document_decode(reef_buf_slice(&buf), columns, count,
									 back, &err), &err);
		for (i = 0; i < count; i++)
		{
			if (!same_value(columns[i].type.kind, &values[i], &back[i]))
				UNIT_FAIL("a %s came back changed", columns[i].name);
		}
	}
	reef_buf_release(&buf);
}

UNIT_TEST(test_document__every_truncation_is_corrupt)
{
	ReefColumn	columns[REEF_KIND_MAX];
	ReefValue	values[REEF_KIND_MAX];
	ReefValue	back[REEF_KIND_MAX];
	ReefError	err;
	ReefBuf		buf;
	size_t		size;
	int			round;

	reef_error_init(&err);
	reef_buf_init(&buf);
	all_kinds(columns);
	for (round = 0; round < 50; round++)
	{
		random_row(columns, REEF_KIND_MAX, values);
		reef_buf_reset(&buf);
		reef_document_append(&buf, columns, REEF_KIND_MAX, values);
		for (size = 0; size < buf.size; size++)
		{
			/* Of exactly this size, so that an overrun is noticed. */
			uint8_t    *part = malloc(size > 0 ? size : 1);

			memcpy(part, buf.data, size);
			UNIT_CODE(reef_document_decode(reef_slice(part, size), columns,
										   REEF_KIND_MAX, back, &err),
					  REEF_CORRUPT, &err);
			free(part);
		}
	}
	reef_buf_release(&buf);
}

UNIT_TEST(test_document__bytes_that_do_not_fit_the_layout_are_corrupt)
{
	static const ReefColumn columns[] = {
		{.name = "b", .type = {.kind = REEF_KIND_BOOL}},
		{.name = "t", .type = {.kind = REEF_KIND_TEXT}},
	};
	ReefValue	values[2];
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_document_decode(BYTES("\x03\x01\x01x"), columns, 2, values,
								 &err), &err);
	/* a byte after the last value */
	UNIT_CODE(reef_document_decode(BYTES("\x03\x01\x01x\0"), columns, 2,
								   values, &err), REEF_CORRUPT, &err);
	/* a bit for a third column */
	UNIT_CODE(reef_document_decode(BYTES("\x07\x01\x01x"), columns, 2, values,
								   &err), REEF_CORRUPT, &err);
	/* a boolean that is neither */
	UNIT_CODE(reef_document_decode(BYTES("\x03\x02\x01x"), columns, 2, values,
								   &err), REEF_CORRUPT, &err);
	/* a length beyond all memory */
	UNIT_CODE(reef_document_decode(BYTES("\x02\xff\xff\xff\xff\xff\xff\xff"
										 "\xff\xff\x01x"),
								   columns, 2, values, &err),
			  REEF_CORRUPT, &err);
	UNIT_CHECK(strstr(err.detail, "\"t\"") != NULL);
	/* no columns at all, but bytes */
	UNIT_OK(reef_document_decode(BYTES(""), columns, 0, values, &err), &err);
	UNIT_CODE(reef_document_decode(BYTES("\0"), columns, 0, values, &err),
			  REEF_CORRUPT, &err);
}

UNIT_TEST(test_document__flipped_bytes_do_no_harm)
{
	ReefColumn	columns[REEF_KIND_MAX];
	ReefValue	values[REEF_KIND_MAX];
	ReefValue	back[REEF_KIND_MAX];
	ReefError	err;
	ReefBuf		buf;
	int			round;

	reef_error_init(&err);
	reef_buf_init(&buf);
	all_kinds(columns);
	for (round = 0; round < 5000; round++)
	{
		ReefCode	rc;
		int			i;

		random_row(columns, REEF_KIND_MAX, values);
		reef_buf_reset(&buf);
		reef_document_append(&buf, columns, REEF_KIND_MAX, values);
		buf.data[unit_random_below(buf.size)] ^=
			(uint8_t) (1 + unit_random_below(255));
		rc = reef_document_decode(reef_buf_slice(&buf), columns,
								  REEF_KIND_MAX, back, &err);
		UNIT_CHECK(rc == REEF_OK || rc == REEF_CORRUPT);
		/* What was accepted lies within the document. */
		for (i = 0; rc == REEF_OK && i < REEF_KIND_MAX; i++)
		{
			ReefSlice	bytes = back[i].as.bytes;

			if (back[i].is_null || bytes.size == 0 ||
				!reef_kind_is_variable(columns[i].type.kind))
				continue;
			UNIT_CHECK(bytes.data >= buf.data &&
					   bytes.data + bytes.size <= buf.data + buf.size);
		}
	}
	reef_buf_release(&buf);
}

UNIT_TEST(test_document__the_key_follows_the_order_of_the_key_not_the_columns)
{
	static const ReefColumn columns[] = {
		{.name = "n", .type = {.kind = REEF_KIND_INT32}, .key_position = 2},
		{.name = "x", .type = {.kind = REEF_KIND_BOOL}},
		{.name = "t", .type = {.kind = REEF_KIND_TEXT}, .key_position = 1},
	};
	ReefValue	values[] = {
		{.as.int32 = 5}, {.is_null = true}, {.as.bytes = BYTES("k")}
	};
	ReefError	err;
	ReefBuf		key;

	reef_error_init(&err);
	reef_buf_init(&key);
	reef_buf_append_string(&key, "head");
	UNIT_OK(reef_document_key(columns, 3, values, &key, &err), &err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&key),
					 BYTES("head" "k\0\x01" "\x80\0\0\0\0\0\0\x05"));

	values[0].is_null = true;
	reef_buf_reset(&key);
	UNIT_CODE(reef_document_key(columns, 3, values, &key, &err), REEF_CORRUPT,
			  &err);
	UNIT_CHECK(strstr(err.detail, "\"n\"") != NULL);
	UNIT_CODE(reef_document_key(columns + 1, 1, values + 1, &key, &err),
			  REEF_CORRUPT, &err);
	reef_buf_release(&key);
}

UNIT_TEST(test_document__a_key_beyond_the_limit_is_refused)
{
	static const ReefColumn column = {
		.name = "t", .type = {.kind = REEF_KIND_TEXT}, .key_position = 1
	};
	static uint8_t text[REEF_KEY_MAX_SIZE];
	ReefValue	value = {.as.bytes = {text, REEF_KEY_MAX_SIZE - 2}};
	ReefError	err;
	ReefBuf		key;

	reef_error_init(&err);
	memset(text, 'x', sizeof(text));
	reef_buf_init(&key);
	/* With its two bytes of end it just fits; and so it does after others. */
	reef_buf_append_string(&key, "another key");
	UNIT_OK(reef_document_key(&column, 1, &value, &key, &err), &err);
	reef_buf_reset(&key);
	value.as.bytes.size++;
	UNIT_CODE(reef_document_key(&column, 1, &value, &key, &err), REEF_LIMIT,
			  &err);
	/* A 00 takes two. */
	reef_buf_reset(&key);
	value.as.bytes.size--;
	text[100] = 0;
	UNIT_CODE(reef_document_key(&column, 1, &value, &key, &err), REEF_LIMIT,
			  &err);
	reef_buf_release(&key);
}
