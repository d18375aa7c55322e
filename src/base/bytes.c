/*
 * bytes.c
 *	  Slices, growable output, and the reader of untrusted input.
 *
 * Lists of fields are encoded and decoded all over the engine, and checking
 * each step would bury the list.  So both directions remember a failure: an
 * append after a failed allocation and a read after a short one do nothing,
 * and the caller asks once at the end.
 */
#include "base/bytes.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_MIN_CAPACITY 64
#define VARINT_MAX_SIZE 10

ReefSlice
reef_slice(const void *data, size_t size)
{
	ReefSlice	slice = {data, size};

	return slice;
}

ReefSlice
reef_slice_of_string(const char *string)
{
	return reef_slice(string, strlen(string));
}

int
reef_slice_compare(ReefSlice a, ReefSlice b)
{
	size_t		common = a.size < b.size ? a.size : b.size;
	int			order = 0;

	/* An empty slice may have no address, which memcmp must not see. */
	if (common > 0)
		order = memcmp(a.data, b.data, common);
	if (order != 0)
		return order;
	return (a.size > b.size) - (a.size < b.size);
}

bool
reef_slice_equal(ReefSlice a, ReefSlice b)
{
	return a.size == b.size &&
		(a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

void
reef_buf_init(ReefBuf *buf)
{
	memset(buf, 0, sizeof(*buf));
}

void
reef_buf_release(ReefBuf *buf)
{
	free(buf->data);
	reef_buf_init(buf);
}

void
reef_buf_reset(ReefBuf *buf)
{
	buf->size = 0;
	buf->failed = false;
}

uint8_t *
reef_buf_reserve(ReefBuf *buf, size_t extra)
{
	size_t		needed;
	size_t		capacity;
	uint8_t    *data;

	if (buf->failed)
		return NULL;
	if (buf->data != NULL && extra <= buf->capacity - buf->size)
		return buf->data + buf->size;

	if (extra > SIZE_MAX / 2 - buf->size)
	{
		buf->failed = true;
		return NULL;
	}
	needed = buf->size + extra;
	capacity = buf->capacity * 2;
	if (capacity < BUF_MIN_CAPACITY)
		capacity = BUF_MIN_CAPACITY;
	if (capacity < needed)
		capacity = needed;
	data = realloc(buf->data, capacity);
	if (data == NULL)
	{
		buf->failed = true;
		return NULL;
	}
	buf->data = data;
	buf->capacity = capacity;
	return buf->data + buf->size;
}

void
reef_buf_append(ReefBuf *buf, const void *data, size_t size)
{
	uint8_t    *place;

	if (size == 0)
		return;
	place = reef_buf_reserve(buf, size);
	if (place == NULL)
		return;
	memcpy(place, data, size);
	buf->size += size;
}

void
reef_buf_append_u8(ReefBuf *buf, uint8_t value)
{
	reef_buf_append(buf, &value, sizeof(value));
}

void
reef_buf_append_u16(ReefBuf *buf, uint16_t value)
{
	uint8_t    *place = reef_buf_reserve(buf, sizeof(value));

	if (place == NULL)
		return;
	reef_put_u16(place, value);
	buf->size += sizeof(value);
}

void
reef_buf_append_u32(ReefBuf *buf, uint32_t value)
{
	uint8_t    *place = reef_buf_reserve(buf, sizeof(value));

	if (place == NULL)
		return;
	reef_put_u32(place, value);
	buf->size += sizeof(value);
}

void
reef_buf_append_u64(ReefBuf *buf, uint64_t value)
{
	uint8_t    *place = reef_buf_reserve(buf, sizeof(value));

	if (place == NULL)
		return;
	reef_put_u64(place, value);
	buf->size += sizeof(value);
}

void
reef_buf_append_varint(ReefBuf *buf, uint64_t value)
{
	uint8_t    *place = reef_buf_reserve(buf, VARINT_MAX_SIZE);
	size_t		size = 0;

	if (place == NULL)
		return;
	while (value >= 0x80)
	{
		place[size++] = (uint8_t) (value | 0x80);
		value >>= 7;
	}
	place[size++] = (uint8_t) value;
	buf->size += size;
}

void
reef_buf_append_slice(ReefBuf *buf, ReefSlice slice)
{
	reef_buf_append_varint(buf, slice.size);
	reef_buf_append(buf, slice.data, slice.size);
}

void
reef_buf_append_string(ReefBuf *buf, const char *string)
{
	reef_buf_append(buf, string, strlen(string));
}

void
reef_buf_printf(ReefBuf *buf, const char *format, ...)
{
	va_list		args;
	uint8_t    *place;
	int			length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
	{
		buf->failed = true;
		return;
	}

	/* vsnprintf wants room for a NUL, which does not become part of it */
	place = reef_buf_reserve(buf, (size_t) length + 1);
	if (place == NULL)
		return;
	va_start(args, format);
	(void) vsnprintf((char *) place, (size_t) length + 1, format, args);
	va_end(args);
	buf->size += (size_t) length;
}

ReefCode
reef_buf_check(const ReefBuf *buf, ReefError *err)
{
	if (buf->failed)
		return reef_error_no_memory(err, buf->size);
	return REEF_OK;
}

ReefSlice
reef_buf_slice(const ReefBuf *buf)
{
	return reef_slice(buf->data, buf->size);
}

void
reef_reader_init(ReefReader *reader, ReefSlice bytes)
{
	reader->data = bytes.data;
	reader->size = bytes.size;
	reader->offset = 0;
	reader->failed = false;
}

size_t
reef_reader_left(const ReefReader *reader)
{
	return reader->failed ? 0 : reader->size - reader->offset;
}

/* Consume "size" bytes, or fail and return NULL. */
static const uint8_t *
take(ReefReader *reader, size_t size)
{
	const uint8_t *place;

	if (reader->failed || size > reader->size - reader->offset)
	{
		reader->failed = true;
		return NULL;
	}
	place = reader->data + reader->offset;
	reader->offset += size;
	return place;
}

uint8_t
reef_read_u8(ReefReader *reader)
{
	const uint8_t *place = take(reader, 1);

	return place == NULL ? 0 : *place;
}

uint16_t
reef_read_u16(ReefReader *reader)
{
	const uint8_t *place = take(reader, 2);

	return place == NULL ? 0 : reef_get_u16(place);
}

uint32_t
reef_read_u32(ReefReader *reader)
{
	const uint8_t *place = take(reader, 4);

	return place == NULL ? 0 : reef_get_u32(place);
}

uint64_t
reef_read_u64(ReefReader *reader)
{
	const uint8_t *place = take(reader, 8);

	return place == NULL ? 0 : reef_get_u64(place);
}

uint64_t
reef_read_varint(ReefReader *reader)
{
	uint64_t	value = 0;
	int			i;

	for (i = 0; i < VARINT_MAX_SIZE; i++)
	{
		const uint8_t *place = take(reader, 1);

		if (place == NULL)
			return 0;
		/* The tenth byte has room for one bit only. */
		if (i == VARINT_MAX_SIZE - 1 && *place > 1)
			break;
		value |= (uint64_t) (*place & 0x7f) << (7 * i);
		if ((*place & 0x80) == 0)
			return value;
	}
	reader->failed = true;
	return 0;
}

ReefSlice
reef_read_bytes(ReefReader *reader, size_t size)
{
	const uint8_t *place;

	if (size == 0)
		return reef_slice(NULL, 0);
	place = take(reader, size);
	return reef_slice(place, place == NULL ? 0 : size);
}

ReefSlice
reef_read_slice(ReefReader *reader)
{
	uint64_t	size = reef_read_varint(reader);

	if (size > SIZE_MAX)
	{
		reader->failed = true;
		return reef_slice(NULL, 0);
	}
	return reef_read_bytes(reader, (size_t) size);
}
