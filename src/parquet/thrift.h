/*
 * thrift.h
 *	  Thrift's compact protocol, as far as Parquet metadata uses it.
 *
 * The reader walks untrusted bytes with the sticky failure of ReefReader: a
 * struct reads as a loop over its fields, and the caller checks once at the
 * end.  A known field of the wrong type, a list longer than the bytes that
 * are left and a nesting deeper than REEF_THRIFT_MAX_DEPTH are failures; an
 * unknown field is skipped.
 */
#ifndef REEF_PARQUET_THRIFT_H
#define REEF_PARQUET_THRIFT_H

#include "base/bytes.h"

/* How deep an unknown field may nest; Parquet's own metadata needs 6. */
#define REEF_THRIFT_MAX_DEPTH 16

/* The protocol's own numbers. */
typedef enum ReefThriftType
{
	REEF_THRIFT_STOP = 0,
	REEF_THRIFT_TRUE = 1,
	REEF_THRIFT_FALSE = 2,
	REEF_THRIFT_I8 = 3,
	REEF_THRIFT_I16 = 4,
	REEF_THRIFT_I32 = 5,
	REEF_THRIFT_I64 = 6,
	REEF_THRIFT_DOUBLE = 7,
	REEF_THRIFT_BINARY = 8,
	REEF_THRIFT_LIST = 9,
	REEF_THRIFT_SET = 10,
	REEF_THRIFT_MAP = 11,
	REEF_THRIFT_STRUCT = 12,
} ReefThriftType;

/* Where we are in one struct; start with {0}. */
typedef struct ReefThriftField
{
	int			id;
	ReefThriftType type;
} ReefThriftField;

/* Step to the next field; false at the end of the struct or on failure. */
extern bool reef_thrift_next(ReefReader *reader, ReefThriftField *field);
/* The value of the present field; fails if it has another type. */
extern bool reef_thrift_read_bool(ReefReader *reader,
								  const ReefThriftField *field);
extern int	reef_thrift_read_i8(ReefReader *reader,
								const ReefThriftField *field);
extern int32_t reef_thrift_read_i32(ReefReader *reader,
									const ReefThriftField *field);
extern int64_t reef_thrift_read_i64(ReefReader *reader,
									const ReefThriftField *field);
extern ReefSlice reef_thrift_read_binary(ReefReader *reader,
										 const ReefThriftField *field);
/* Fails unless the present field is a struct. */
extern void reef_thrift_read_struct(ReefReader *reader,
									const ReefThriftField *field);
/* Number of elements; 0 on failure, as when they are not of type "element". */
extern size_t reef_thrift_read_list(ReefReader *reader,
									const ReefThriftField *field,
									ReefThriftType element);
/* One element of a list. */
extern bool reef_thrift_element_bool(ReefReader *reader);
extern int64_t reef_thrift_element_i64(ReefReader *reader);
extern ReefSlice reef_thrift_element_binary(ReefReader *reader);
/* Pass over the present field. */
extern void reef_thrift_skip(ReefReader *reader, const ReefThriftField *field);

/*
 * Writing: fields go in ascending order of id; "last" is the id of the
 * previous field of the same struct, starting at 0, and is updated.
 */
extern void reef_thrift_write_bool(ReefBuf *buf, int *last, int id, bool value);
extern void reef_thrift_write_i8(ReefBuf *buf, int *last, int id, int8_t value);
extern void reef_thrift_write_i16(ReefBuf *buf, int *last, int id,
								  int16_t value);
extern void reef_thrift_write_i32(ReefBuf *buf, int *last, int id,
								  int32_t value);
extern void reef_thrift_write_i64(ReefBuf *buf, int *last, int id,
								  int64_t value);
extern void reef_thrift_write_binary(ReefBuf *buf, int *last, int id,
									 ReefSlice value);
extern void reef_thrift_write_list(ReefBuf *buf, int *last, int id,
								   ReefThriftType element, size_t count);
/* Begin a struct field; its own fields start again at 0, then a stop. */
extern void reef_thrift_write_struct(ReefBuf *buf, int *last, int id);
extern void reef_thrift_write_stop(ReefBuf *buf);
/* An empty struct: how Parquet's unions name a choice without content. */
extern void reef_thrift_write_empty(ReefBuf *buf, int *last, int id);
/* Zigzag varint: a list element of an integer type. */
extern void reef_thrift_append_int(ReefBuf *buf, int64_t value);

#endif							/* REEF_PARQUET_THRIFT_H */
