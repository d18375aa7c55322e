/*
 * document.h
 *	  The row encodings: keys that memcmp orders, and documents.
 *
 * KEY.  The key columns in key order, each encoded so that comparing the
 * bytes compares the values, and so that equal values have equal bytes:
 *
 *	  BOOL				1 byte
 *	  INT16/32/64, DATE, TIME, TIMESTAMP(TZ), DECIMAL64, DECIMAL128
 *						big-endian with the sign bit flipped, own width
 *						(key columns of INT16 and INT32 are encoded 8 bytes
 *						wide, DECIMAL64 16 bytes wide, so that a widened column
 *						keeps its keys)
 *	  FLOAT32/64		as a double: -0 becomes 0, one NaN above all; then
 *						sign bit flipped if positive, all bits if negative
 *	  UUID				16 bytes
 *	  variable kinds	bytes with 00 written as 00 FF, then 00 01
 *
 * A key is at most REEF_KEY_MAX_SIZE bytes.  Padding of char(n) is stripped
 * by the caller: the engine sees bytes only.
 *
 * DOCUMENT.  Relative to an ordered list of columns (a layout) that is stored
 * beside it (the column table of a WAL frame):
 *
 *	  document := bitmap value*
 *	  bitmap	 ceil(columns / 8) bytes, bit i%8 of byte i/8 set: not null
 *	  value		 fixed kinds: their width, little-endian (BOOL one byte);
 *				 variable kinds: varint size, bytes
 *
 * Key columns are part of the document: -0 and the padding of char(n) are not
 * in the key.
 */
#ifndef REEF_BASE_DOCUMENT_H
#define REEF_BASE_DOCUMENT_H

#include "base/schema.h"

#define REEF_KEY_MAX_SIZE 4096
#define REEF_DOCUMENT_MAX_SIZE (256 * 1024 * 1024)

/* Append one column of a key; the value must not be null. */
extern void reef_key_append(ReefBuf *key, ReefKind kind, const ReefValue *value);
/* May a column of this kind be part of a key? (all but JSON) */
extern bool reef_key_kind_is_allowed(ReefKind kind);

/* Append a document: values[i] belongs to columns[i]. */
extern void reef_document_append(ReefBuf *document, const ReefColumn *columns,
								 int column_count, const ReefValue *values);

/*
 * Decode a whole document into values[column_count]; variable values borrow
 * the document's bytes.  REEF_CORRUPT when the bytes do not fit the layout.
 */
extern ReefCode reef_document_decode(ReefSlice document,
									 const ReefColumn *columns,
									 int column_count, ReefValue *values,
									 ReefError *err) REEF_MUST_CHECK;

/*
 * Append the key of a document whose layout has all key columns.  REEF_LIMIT
 * if it is larger than REEF_KEY_MAX_SIZE, REEF_CORRUPT if a key column is
 * null or the layout has none.
 */
extern ReefCode reef_document_key(const ReefColumn *columns, int column_count,
								  const ReefValue *values, ReefBuf *key,
								  ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_BASE_DOCUMENT_H */
