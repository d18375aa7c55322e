/*
 * test_thrift.c
 */
#include "parquet/thrift.h"

#include "unit.h"

UNIT_TEST(test_thrift__documented_example)
{
	/* PageHeader{1: i32 3, 4: i32 -1, 8: {1: i32 300, 7: false}} by hand */
	static const uint8_t expected[] = {0x15, 0x06, 0x35, 0x01, 0x4c, 0x15,
	0xd8, 0x04, 0x62, 0x00, 0x00};
	ReefBuf		buf;
	int			last = 0;
	int			inner = 0;

	reef_buf_init(&buf);
	reef_thrift_write_i32(&buf, &last, 1, 3);
	reef_thrift_write_i32(&buf, &last, 4, -1);
	reef_thrift_write_struct(&buf, &last, 8);
	reef_thrift_write_i32(&buf, &inner, 1, 300);
	reef_thrift_write_bool(&buf, &inner, 7, false);
	reef_thrift_write_stop(&buf);
	reef_thrift_write_stop(&buf);
	UNIT_EQUAL_BYTES(reef_buf_slice(&buf),
					 reef_slice(expected, sizeof(expected)));
	reef_buf_release(&buf);
}

UNIT_TEST(test_thrift__every_type_comes_back)
{
	ReefBuf		buf;
	ReefReader	r;
	ReefThriftField f = {0};
	int			last = 0;

	reef_buf_init(&buf);
	reef_thrift_write_bool(&buf, &last, 1, true);
	reef_thrift_write_i8(&buf, &last, 2, -128);
	reef_thrift_write_i16(&buf, &last, 3, INT16_MIN);
	reef_thrift_write_i32(&buf, &last, 100, INT32_MIN);	/* a long header */
	reef_thrift_write_i64(&buf, &last, 101, INT64_MIN);
	reef_thrift_write_binary(&buf, &last, 102, reef_slice("a\0b", 3));
	reef_thrift_write_list(&buf, &last, 103, REEF_THRIFT_I64, 20);
	for (int i = 0; i < 20; i++)
		reef_thrift_append_int(&buf, -i);
	reef_thrift_write_empty(&buf, &last, 104);
	reef_thrift_write_stop(&buf);

	reef_reader_init(&r, reef_buf_slice(&buf));
	UNIT_CHECK(reef_thrift_next(&r, &f) && f.id == 1);
	UNIT_CHECK(reef_thrift_read_bool(&r, &f));
	UNIT_CHECK(reef_thrift_next(&r, &f) && f.id == 2);
	UNIT_EQUAL_INT(reef_thrift_read_i8(&r, &f), -128);
	UNIT_CHECK(reef_thrift_next(&r, &f) && f.id == 3);
	reef_thrift_skip(&r, &f);
	UNIT_CHECK(reef_thrift_next(&r, &f) && f.id == 100);
	UNIT_EQUAL_INT(reef_thrift_read_i32(&r, &f), INT32_MIN);
	UNIT_CHECK(reef_thrift_next(&r, &f) && f.id == 101);
	UNIT_EQUAL_INT(reef_thrift_read_i64(&r, &f), INT64_MIN);
	UNIT_CHECK(reef_thrift_next(&r, &f) && f.id == 102);
	UNIT_EQUAL_BYTES(reef_thrift_read_binary(&r, &f), reef_slice("a\0b", 3));
	UNIT_CHECK(reef_thrift_next(&r, &f) && f.id == 103);
	UNIT_EQUAL_INT(reef_thrift_read_list(&r, &f, REEF_THRIFT_I64), 20);
	for (int i = 0; i < 20; i++)
		UNIT_EQUAL_INT(reef_thrift_element_i64(&r), -i);
	UNIT_CHECK(reef_thrift_next(&r, &f) && f.id == 104);
	reef_thrift_skip(&r, &f);
	UNIT_CHECK(!reef_thrift_next(&r, &f));
	UNIT_CHECK(!r.failed);
	UNIT_EQUAL_INT(reef_reader_left(&r), 0);
	reef_buf_release(&buf);
}

UNIT_TEST(test_thrift__a_list_longer_than_the_bytes_is_refused)
{
	/* field 1, list of a billion structs */
	static const uint8_t bytes[] = {0x19, 0xfc, 0x80, 0x94, 0xeb, 0xdc, 0x03,
	0x00};
	ReefReader	r;
	ReefThriftField f = {0};

	reef_reader_init(&r, reef_slice(bytes, sizeof(bytes)));
	UNIT_CHECK(reef_thrift_next(&r, &f));
	UNIT_EQUAL_INT(reef_thrift_read_list(&r, &f, REEF_THRIFT_STRUCT), 0);
	UNIT_CHECK(r.failed);
}

UNIT_TEST(test_thrift__nesting_without_end_is_refused)
{
	uint8_t		bytes[10000];
	ReefReader	r;
	ReefThriftField f = {0};

	memset(bytes, 0x1c, sizeof(bytes));	/* field 1 of field 1 of ... */
	reef_reader_init(&r, reef_slice(bytes, sizeof(bytes)));
	UNIT_CHECK(reef_thrift_next(&r, &f));
	reef_thrift_skip(&r, &f);
	UNIT_CHECK(r.failed);
	UNIT_CHECK(r.offset < 100);
}

UNIT_TEST(test_thrift__a_field_of_another_type_is_refused)
{
	static const uint8_t bytes[] = {0x15, 0x02, 0x00};
	ReefReader	r;
	ReefThriftField f = {0};

	reef_reader_init(&r, reef_slice(bytes, sizeof(bytes)));
	UNIT_CHECK(reef_thrift_next(&r, &f));
	UNIT_EQUAL_INT(reef_thrift_read_i64(&r, &f), 0);
	UNIT_CHECK(r.failed);
}
