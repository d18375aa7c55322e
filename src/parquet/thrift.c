/*
 * thrift.c
 *	  Thrift's compact protocol: zigzag varints and one-byte field headers.
 *
 * A field header holds the difference to the previous field's id in its high
 * four bits (0: the id follows as a zigzag varint) and the type in its low
 * four; booleans have their value in the type.  A list header holds the count
 * in the high four bits (15: a varint follows) and the element type.
 */
#include "parquet/thrift.h"

static int64_t
read_zigzag(ReefReader *reader)
{
	uint64_t	v = reef_read_varint(reader);

	return (int64_t) (v >> 1) ^ -(int64_t) (v & 1);
}

static int32_t
read_zigzag32(ReefReader *reader)
{
	int64_t		v = read_zigzag(reader);

	if (v < INT32_MIN || v > INT32_MAX)
	{
		reader->failed = true;
		return 0;
	}
	return (int32_t) v;
}

static bool
check_type(ReefReader *reader, const ReefThriftField *field,
		   ReefThriftType type)
{
	if (field->type != type)
		reader->failed = true;
	return !reader->failed;
}

bool
reef_thrift_next(ReefReader *reader, ReefThriftField *field)
{
	unsigned	header = reef_read_u8(reader);
	unsigned	delta = header >> 4;

	if (reader->failed || header == REEF_THRIFT_STOP)
		return false;
	field->type = (ReefThriftType) (header & 0x0F);
	if (field->type == REEF_THRIFT_STOP || field->type > REEF_THRIFT_STRUCT)
		reader->failed = true;
	if (delta != 0)
		field->id += (int) delta;
	else
		field->id = read_zigzag32(reader);
	if (field->id <= 0 || field->id > INT16_MAX)
		reader->failed = true;
	return !reader->failed;
}

bool
reef_thrift_read_bool(ReefReader *reader, const ReefThriftField *field)
{
	if (field->type != REEF_THRIFT_FALSE)
		(void) check_type(reader, field, REEF_THRIFT_TRUE);	/* sticky */
	return field->type == REEF_THRIFT_TRUE;
}

int
reef_thrift_read_i8(ReefReader *reader, const ReefThriftField *field)
{
	if (!check_type(reader, field, REEF_THRIFT_I8))
		return 0;
	return (int8_t) reef_read_u8(reader);
}

int32_t
reef_thrift_read_i32(ReefReader *reader, const ReefThriftField *field)
{
	if (!check_type(reader, field, REEF_THRIFT_I32))
		return 0;
	return read_zigzag32(reader);
}

int64_t
reef_thrift_read_i64(ReefReader *reader, const ReefThriftField *field)
{
	if (!check_type(reader, field, REEF_THRIFT_I64))
		return 0;
	return read_zigzag(reader);
}

ReefSlice
reef_thrift_read_binary(ReefReader *reader, const ReefThriftField *field)
{
	if (!check_type(reader, field, REEF_THRIFT_BINARY))
		return reef_slice(NULL, 0);
	return reef_read_slice(reader);
}

void
reef_thrift_read_struct(ReefReader *reader, const ReefThriftField *field)
{
	(void) check_type(reader, field, REEF_THRIFT_STRUCT);	/* sticky */
}

/* Every element takes at least a byte, which bounds what a caller allocates. */
static size_t
read_list_header(ReefReader *reader, ReefThriftType *element)
{
	unsigned	header = reef_read_u8(reader);
	uint64_t	count = header >> 4;

	*element = (ReefThriftType) (header & 0x0F);
	if (count == 15)
		count = reef_read_varint(reader);
	if (count > reef_reader_left(reader))
		reader->failed = true;
	return reader->failed ? 0 : (size_t) count;
}

size_t
reef_thrift_read_list(ReefReader *reader, const ReefThriftField *field,
					  ReefThriftType element)
{
	ReefThriftType stored;
	size_t		count;

	if (!check_type(reader, field, REEF_THRIFT_LIST))
		return 0;
	count = read_list_header(reader, &stored);
	/* writers disagree on which of the two types stands for bool */
	if (element == REEF_THRIFT_TRUE && stored == REEF_THRIFT_FALSE)
		stored = element;
	if (stored != element && count > 0)
		reader->failed = true;
	return reader->failed ? 0 : count;
}

bool
reef_thrift_element_bool(ReefReader *reader)
{
	unsigned	value = reef_read_u8(reader);

	/* 2 is false by the specification, 0 is what some writers put */
	if (value > 2)
		reader->failed = true;
	return value == 1;
}

int64_t
reef_thrift_element_i64(ReefReader *reader)
{
	return read_zigzag(reader);
}

ReefSlice
reef_thrift_element_binary(ReefReader *reader)
{
	return reef_read_slice(reader);
}

static void skip_value(ReefReader *reader, ReefThriftType type, int depth);

static void
skip_elements(ReefReader *reader, ReefThriftType key, ReefThriftType value,
			  size_t count, int depth)
{
	for (size_t i = 0; i < count && !reader->failed; i++)
	{
		if (key != REEF_THRIFT_STOP)
			skip_value(reader, key, depth);
		/* a boolean has its value in the header as a field, a byte here */
		if (value == REEF_THRIFT_TRUE || value == REEF_THRIFT_FALSE)
			(void) reef_read_u8(reader);
		else
			skip_value(reader, value, depth);
	}
}

static void
skip_value(ReefReader *reader, ReefThriftType type, int depth)
{
	ReefThriftField field = {0};
	ReefThriftType element;
	size_t		count;
	unsigned	types;

	if (depth >= REEF_THRIFT_MAX_DEPTH)
	{
		reader->failed = true;
		return;
	}
	switch (type)
	{
		case REEF_THRIFT_TRUE:
		case REEF_THRIFT_FALSE:
			break;
		case REEF_THRIFT_I8:
			(void) reef_read_u8(reader);
			break;
		case REEF_THRIFT_I16:
		case REEF_THRIFT_I32:
		case REEF_THRIFT_I64:
			(void) reef_read_varint(reader);
			break;
		case REEF_THRIFT_DOUBLE:
			(void) reef_read_u64(reader);
			break;
		case REEF_THRIFT_BINARY:
			(void) reef_read_slice(reader);
			break;
		case REEF_THRIFT_LIST:
		case REEF_THRIFT_SET:
			count = read_list_header(reader, &element);
			skip_elements(reader, REEF_THRIFT_STOP, element, count, depth + 1);
			break;
		case REEF_THRIFT_MAP:
			count = (size_t) reef_read_varint(reader);
			if (count == 0)
				break;
			if (count > reef_reader_left(reader))
				reader->failed = true;
			types = reef_read_u8(reader);
			skip_elements(reader, (ReefThriftType) (types >> 4),
						  (ReefThriftType) (types & 0x0F), count, depth + 1);
			break;
		case REEF_THRIFT_STRUCT:
			while (reef_thrift_next(reader, &field))
				skip_value(reader, field.type, depth + 1);
			break;
		case REEF_THRIFT_STOP:
			reader->failed = true;
			break;
	}
}

void
reef_thrift_skip(ReefReader *reader, const ReefThriftField *field)
{
	skip_value(reader, field->type, 0);
}

static void
write_header(ReefBuf *buf, int *last, int id, ReefThriftType type)
{
	int			delta = id - *last;

	if (delta > 0 && delta <= 15)
		reef_buf_append_u8(buf, (uint8_t) ((delta << 4) | (int) type));
	else
	{
		reef_buf_append_u8(buf, (uint8_t) type);
		reef_thrift_append_int(buf, id);
	}
	*last = id;
}

void
reef_thrift_append_int(ReefBuf *buf, int64_t value)
{
	reef_buf_append_varint(buf, ((uint64_t) value << 1) ^
						   (uint64_t) (value >> 63));
}

void
reef_thrift_write_bool(ReefBuf *buf, int *last, int id, bool value)
{
	write_header(buf, last, id, value ? REEF_THRIFT_TRUE : REEF_THRIFT_FALSE);
}

void
reef_thrift_write_i8(ReefBuf *buf, int *last, int id, int8_t value)
{
	write_header(buf, last, id, REEF_THRIFT_I8);
	reef_buf_append_u8(buf, (uint8_t) value);
}

void
reef_thrift_write_i16(ReefBuf *buf, int *last, int id, int16_t value)
{
	write_header(buf, last, id, REEF_THRIFT_I16);
	reef_thrift_append_int(buf, value);
}

void
reef_thrift_write_i32(ReefBuf *buf, int *last, int id, int32_t value)
{
	write_header(buf, last, id, REEF_THRIFT_I32);
	reef_thrift_append_int(buf, value);
}

void
reef_thrift_write_i64(ReefBuf *buf, int *last, int id, int64_t value)
{
	write_header(buf, last, id, REEF_THRIFT_I64);
	reef_thrift_append_int(buf, value);
}

void
reef_thrift_write_binary(ReefBuf *buf, int *last, int id, ReefSlice value)
{
	write_header(buf, last, id, REEF_THRIFT_BINARY);
	reef_buf_append_slice(buf, value);
}

void
reef_thrift_write_list(ReefBuf *buf, int *last, int id, ReefThriftType element,
					   size_t count)
{
	write_header(buf, last, id, REEF_THRIFT_LIST);
	if (count < 15)
		reef_buf_append_u8(buf, (uint8_t) ((count << 4) | (unsigned) element));
	else
	{
		reef_buf_append_u8(buf, (uint8_t) (0xF0 | (unsigned) element));
		reef_buf_append_varint(buf, count);
	}
}

void
reef_thrift_write_struct(ReefBuf *buf, int *last, int id)
{
	write_header(buf, last, id, REEF_THRIFT_STRUCT);
}

void
reef_thrift_write_stop(ReefBuf *buf)
{
	reef_buf_append_u8(buf, REEF_THRIFT_STOP);
}

void
reef_thrift_write_empty(ReefBuf *buf, int *last, int id)
{
	reef_thrift_write_struct(buf, last, id);
	reef_thrift_write_stop(buf);
}
