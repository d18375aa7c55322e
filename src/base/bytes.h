/*
 * bytes.h
 *	  Byte slices, growable buffers, and the only place where integers are
 *	  turned into bytes and back.
 *
 * Stored integers are little-endian.  varint is LEB128 of an unsigned 64-bit
 * value, at most 10 bytes.  A ReefReader walks untrusted bytes with a sticky
 * failure flag: a list of fields reads as a list of calls and the caller
 * checks once.  A failed read returns 0 or an empty slice and consumes
 * nothing more.  ReefBuf has a sticky out-of-memory flag in the same spirit.
 */
#ifndef REEF_BASE_BYTES_H
#define REEF_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

/* Bytes owned by somebody else; borrowed for as long as the source says. */
typedef struct ReefSlice
{
	const uint8_t *data;
	size_t		size;
} ReefSlice;

extern ReefSlice reef_slice(const void *data, size_t size);
extern ReefSlice reef_slice_of_string(const char *string);
/* memcmp order, shorter first on a common prefix: <0, 0, >0. */
extern int	reef_slice_compare(ReefSlice a, ReefSlice b);
extern bool reef_slice_equal(ReefSlice a, ReefSlice b);

/* ---- growable output, malloc'd; init/release ---- */
typedef struct ReefBuf
{
	uint8_t    *data;
	size_t		size;
	size_t		capacity;
	bool		failed;			/* an allocation failed; later appends do nothing */
} ReefBuf;

extern void reef_buf_init(ReefBuf *buf);
extern void reef_buf_release(ReefBuf *buf);
extern void reef_buf_reset(ReefBuf *buf);	/* size 0, memory and no failure kept */
/* Make room for "extra" more bytes; NULL (and failed) when out of memory. */
extern uint8_t *reef_buf_reserve(ReefBuf *buf, size_t extra);
extern void reef_buf_append(ReefBuf *buf, const void *data, size_t size);
extern void reef_buf_append_u8(ReefBuf *buf, uint8_t value);
extern void reef_buf_append_u16(ReefBuf *buf, uint16_t value);
extern void reef_buf_append_u32(ReefBuf *buf, uint32_t value);
extern void reef_buf_append_u64(ReefBuf *buf, uint64_t value);
extern void reef_buf_append_varint(ReefBuf *buf, uint64_t value);
/* varint length, then the bytes */
extern void reef_buf_append_slice(ReefBuf *buf, ReefSlice slice);
extern void reef_buf_append_string(ReefBuf *buf, const char *string);
extern void reef_buf_printf(ReefBuf *buf, const char *format, ...)
			REEF_PRINTF(2, 3);
/* REEF_NO_MEMORY if an append failed. */
extern ReefCode reef_buf_check(const ReefBuf *buf, ReefError *err)
			REEF_MUST_CHECK;
extern ReefSlice reef_buf_slice(const ReefBuf *buf);

/* ---- input with a sticky failure ---- */
typedef struct ReefReader
{
	const uint8_t *data;
	size_t		size;
	size_t		offset;
	bool		failed;
} ReefReader;

extern void reef_reader_init(ReefReader *reader, ReefSlice bytes);
extern size_t reef_reader_left(const ReefReader *reader);
extern uint8_t reef_read_u8(ReefReader *reader);
extern uint16_t reef_read_u16(ReefReader *reader);
extern uint32_t reef_read_u32(ReefReader *reader);
extern uint64_t reef_read_u64(ReefReader *reader);
extern uint64_t reef_read_varint(ReefReader *reader);
/* "size" bytes in place */
extern ReefSlice reef_read_bytes(ReefReader *reader, size_t size);
/* varint length, then that many bytes in place */
extern ReefSlice reef_read_slice(ReefReader *reader);

/* ---- single integers at an address ---- */
static inline uint16_t
reef_get_u16(const void *p)
{
	uint16_t	v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap16(v);
#endif
	return v;
}

static inline uint32_t
reef_get_u32(const void *p)
{
	uint32_t	v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	return v;
}

static inline uint64_t
reef_get_u64(const void *p)
{
	uint64_t	v;

	memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v;
}

static inline void
reef_put_u16(void *p, uint16_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap16(v);
#endif
	memcpy(p, &v, sizeof(v));
}

static inline void
reef_put_u32(void *p, uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	memcpy(p, &v, sizeof(v));
}

static inline void
reef_put_u64(void *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	memcpy(p, &v, sizeof(v));
}

#endif							/* REEF_BASE_BYTES_H */
