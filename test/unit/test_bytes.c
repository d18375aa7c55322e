/*
 * test_bytes.c
 *	  Slices, growable output, and the reader of untrusted input.
 */
#include <string.h>

#include "unit.h"

#define BYTES(literal) reef_slice(literal, sizeof(literal) - 1)

UNIT_TEST(test_bytes__integers_are_little_endian)
{
	ReefBuf		buf;

	reef_buf_init(&buf);
	reef_buf_append_u8(&buf, 0x01);
	reef_buf_append_u16(&buf, 0x0203);
	reef_buf_append_u32(&buf, 0x04050607);
	reef_buf_append_u64(&buf, UINT64_C(0x08090a0b0c0d0e0f));
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf),
					 BYTES("\x01" "\x03\x02" "\x07\x06\x05\x04"
						   "\x0f\x0e\x0d\x0c\x0b\x0a\x09\x08"));
	reef_buf_release(&buf);
}

UNIT_TEST(test_bytes__what_was_appended_is_read_back)
{
	ReefBuf		buf;
	ReefReader	reader;
	ReefSlice	slice;

	reef_buf_init(&buf);
	reef_buf_append_u8(&buf, 0xfe);
	reef_buf_append_u16(&buf, 0xfedc);
	reef_buf_append_u32(&buf, 0xfedcba98);
	reef_buf_append_u64(&buf, UINT64_C(0xfedcba9876543210));
	reef_buf_append_slice(&buf, BYTES("a\0b"));
	reef_buf_append_slice(&buf, BYTES(""));
	reef_buf_append_string(&buf, "tail");

	reef_reader_init(&reader, reef_buf_slice(&buf));
	UNIT_EQUAL_INT(reef_read_u8(&reader), 0xfe);
	UNIT_EQUAL_INT(reef_read_u16(&reader), 0xfedc);
	UNIT_EQUAL_INT(reef_read_u32(&reader), 0xfedcba98);
	UNIT_EQUAL_INT(reef_read_u64(&reader), 0xfedcba9876543210);
	UNIT_EQUAL_BYTES(reef_read_slice(&reader), BYTES("a\0b"));
	slice = reef_read_slice(&reader);
	UNIT_EQUAL_INT(slice.size, 0);
	UNIT_EQUAL_INT(reef_reader_left(&reader), 4);
	UNIT_EQUAL_BYTES(reef_read_bytes(&reader, 4), BYTES("tail"));
	UNIT_EQUAL_INT(reef_reader_left(&reader), 0);
	UNIT_CHECK(!reader.failed);
	reef_buf_release(&buf);
}

UNIT_TEST(test_bytes__varints_are_leb128)
{
	static const struct
	{
		uint64_t	value;
		ReefSlice	bytes;
	}			cases[] = {
		{0, {(const uint8_t *) "\x00", 1}},
		{127, {(const uint8_t *) "\x7f", 1}},
		{128, {(const uint8_t *) "\x80\x01", 2}},
		{300, {(const uint8_t *) "\xac\x02", 2}},
		{624485, {(const uint8_t *) "\xe5\x8e\x26", 3}},
		{UINT64_MAX, {(const uint8_t *)
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}},
	};
	size_t		i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		ReefBuf		buf;
		ReefReader	reader;

		reef_buf_init(&buf);
		reef_buf_append_varint(&buf, cases[i].value);
		UNIT_EQUAL_BYTES(reef_buf_slice(&buf), cases[i].bytes);
		reef_reader_init(&reader, cases[i].bytes);
		UNIT_EQUAL_INT(reef_read_varint(&reader), cases[i].value);
		UNIT_CHECK(!reader.failed && reef_reader_left(&reader) == 0);
		reef_buf_release(&buf);
	}
}

UNIT_TEST(test_bytes__varints_of_every_length_come_back)
{
	int			i;

	for (i = 0; i < 2000; i++)
	{
		uint64_t	value = unit_random() >> (i % 64);
		ReefBuf		buf;
		ReefReader	reader;

		reef_buf_init(&buf);
		reef_buf_append_varint(&buf, value);
		reef_reader_init(&reader, reef_buf_slice(&buf));
		UNIT_EQUAL_INT(reef_read_varint(&reader), value);
		UNIT_CHECK(!reader.failed && reef_reader_left(&reader) == 0);
		reef_buf_release(&buf);
	}
}

UNIT_TEST(test_bytes__a_varint_beyond_64_bits_fails)
{
	static const ReefSlice bad[] = {
		/* the 65th bit */
		{(const uint8_t *) "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 10},
		/* an eleventh byte */
		{(const uint8_t *) "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11},
		/* no end */
		{(const uint8_t *) "\x80\x80", 2},
		{(const uint8_t *) "", 0},
	};
	size_t		i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
	{
		ReefReader	reader;

		reef_reader_init(&reader, bad[i]);
		UNIT_EQUAL_INT(reef_read_varint(&reader), 0);
		UNIT_CHECK(reader.failed);
	}
}

UNIT_TEST(test_bytes__a_reader_stays_failed)
{
	ReefReader	reader;
	ReefSlice	slice;

	reef_reader_init(&reader, BYTES("\x01\x02\x03\x04\x05"));
	UNIT_EQUAL_INT(reef_read_u64(&reader), 0);
	UNIT_CHECK(reader.failed);
	UNIT_EQUAL_INT(reef_reader_left(&reader), 0);
	UNIT_EQUAL_INT(reef_read_u8(&reader), 0);
	UNIT_EQUAL_INT(reef_read_u16(&reader), 0);
	UNIT_EQUAL_INT(reef_read_u32(&reader), 0);
	UNIT_EQUAL_INT(reef_read_varint(&reader), 0);
	slice = reef_read_bytes(&reader, 1);
	UNIT_CHECK(slice.size == 0 && slice.data == NULL);
	slice = reef_read_slice(&reader);
	UNIT_CHECK(slice.size == 0 && slice.data == NULL);
	UNIT_EQUAL_INT(reader.offset, 0);
}

UNIT_TEST(test_bytes__a_length_beyond_the_end_fails)
{
	ReefReader	reader;
	ReefSlice	slice;

	reef_reader_init(&reader, BYTES("\x03" "ab"));
	slice = reef_read_slice(&reader);
	UNIT_CHECK(reader.failed && slice.size == 0);

	reef_reader_init(&reader,
					 BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "ab"));
	slice = reef_read_slice(&reader);
	UNIT_CHECK(reader.failed && slice.size == 0);

	reef_reader_init(&reader, BYTES("ab"));
	slice = reef_read_bytes(&reader, SIZE_MAX);
	UNIT_CHECK(reader.failed && slice.size == 0);
}

UNIT_TEST(test_bytes__a_buffer_keeps_what_it_had_while_it_grows)
{
	static uint8_t model[100000];
	size_t		size = 0;
	ReefBuf		buf;

	reef_buf_init(&buf);
	while (size < sizeof(model) - 1000)
	{
		size_t		piece = (size_t) unit_random_below(1000);
		size_t		i;

		for (i = 0; i < piece; i++)
			model[size + i] = (uint8_t) unit_random();
		reef_buf_append(&buf, model + size, piece);
		size += piece;
	}
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf), reef_slice(model, size));
	reef_buf_release(&buf);
	UNIT_CHECK(buf.data == NULL && buf.size == 0);
}

UNIT_TEST(test_bytes__a_buffer_stays_failed_until_it_is_reset)
{
	ReefBuf		buf;
	ReefError	err;

	reef_error_init(&err);
	reef_buf_init(&buf);
	reef_buf_append_string(&buf, "before");
	UNIT_CHECK(reef_buf_reserve(&buf, SIZE_MAX - 3) == NULL);
	UNIT_CHECK(buf.failed);
	reef_buf_append_u32(&buf, 1);
	reef_buf_append_varint(&buf, 1);
	reef_buf_append_string(&buf, "x");
	reef_buf_printf(&buf, "%d", 1);
	UNIT_CODE(reef_buf_check(&buf, &err), REEF_NO_MEMORY, &err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf), BYTES("before"));

	reef_buf_reset(&buf);
	reef_buf_append_string(&buf, "after");
	UNIT_OK(reef_buf_check(&buf, &err), &err);
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf), BYTES("after"));
	reef_buf_release(&buf);
}

UNIT_TEST(test_bytes__reserved_room_is_there)
{
	ReefBuf		buf;
	size_t		size;

	reef_buf_init(&buf);
	for (size = 0; size < 5000; size += 97)
	{
		uint8_t    *place = reef_buf_reserve(&buf, size);

		UNIT_CHECK(place != NULL);
		memset(place, 0xee, size);
		buf.size += size;
	}
	reef_buf_release(&buf);
}

UNIT_TEST(test_bytes__printf_appends_without_the_nul)
{
	ReefBuf		buf;
	char		long_text[500];

	memset(long_text, 'y', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	reef_buf_init(&buf);
	reef_buf_printf(&buf, "%s-%05d", "x", 42);
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf), BYTES("x-00042"));
	reef_buf_printf(&buf, "%s", long_text);
	UNIT_EQUAL_INT(buf.size, 7 + strlen(long_text));
	UNIT_EQUAL_INT(buf.data[buf.size - 1], 'y');
	reef_buf_release(&buf);
}

UNIT_TEST(test_bytes__slices_compare_as_unsigned_bytes)
{
	UNIT_CHECK(reef_slice_compare(BYTES("a"), BYTES("b")) < 0);
	UNIT_CHECK(reef_slice_compare(BYTES("\x80"), BYTES("\x7f")) > 0);
	UNIT_CHECK(reef_slice_compare(BYTES("ab"), BYTES("abc")) < 0);
	UNIT_CHECK(reef_slice_compare(BYTES("abc"), BYTES("ab")) > 0);
	UNIT_CHECK(reef_slice_compare(BYTES("b"), BYTES("abc")) > 0);
	UNIT_EQUAL_INT(reef_slice_compare(BYTES("abc"), BYTES("abc")), 0);
	UNIT_EQUAL_INT(reef_slice_compare(reef_slice(NULL, 0), BYTES("")), 0);
	UNIT_CHECK(reef_slice_compare(reef_slice(NULL, 0), BYTES("\0")) < 0);

	UNIT_CHECK(reef_slice_equal(BYTES("a\0b"), BYTES("a\0b")));
	UNIT_CHECK(!reef_slice_equal(BYTES("a\0b"), BYTES("a\0c")));
	UNIT_CHECK(!reef_slice_equal(BYTES("a"), BYTES("ab")));
	UNIT_CHECK(reef_slice_equal(reef_slice(NULL, 0), BYTES("")));
	UNIT_EQUAL_BYTES(reef_slice_of_string("abc"), BYTES("abc"));
}
