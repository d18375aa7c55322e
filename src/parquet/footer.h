/*
 * footer.h
 *	  Parquet's metadata structures and their Thrift encoding.
 *
 * WHAT WE WRITE.  Written by the engine's folds and compactions through
 * writer.h, read by reader.h and by any other Parquet reader:
 *
 *	  file := "PAR1" row_group* bloom* index* footer footer_size:u32 "PAR1"
 *	  row_group := column_chunk*			in column order
 *	  column_chunk := dictionary_page? data_page_v2*
 *	  index := (ColumnIndex? OffsetIndex)*	one region per row group
 *
 * All integers are little-endian.  All columns are flat and OPTIONAL.  Data
 * pages of one row group start at the same rows in every column, and all data
 * pages of one column chunk have the same encoding.  The footer's key-values
 * of ours ("%08x" each, CRC-32C):
 *
 *	  reef.columns		  one line a column: "<kind> <length> <key position>
 *						  <PostgreSQL type>\n"
 *	  reef.body_crc32c	  of the bytes before the footer
 *	  reef.bloom_crc32c	  of each bloom filter with its header, by row group,
 *						  then column
 *	  reef.index_crc32c	  of each row group's index region
 *	  reef.footer_crc32c  of the footer, with these eight digits taken as "0"
 *
 * Page bodies are covered by the CRC in their header.  The header itself is
 * covered by agreeing with the footer and the page index in every field; so a
 * damaged byte anywhere is found before a wrong value is returned.
 *
 * WHAT WE READ besides: flat REQUIRED or OPTIONAL columns of other writers
 * with v1 or v2 pages, encodings PLAIN, dictionary, RLE (booleans) and
 * DELTA_BINARY_PACKED, uncompressed, zstd or LZ4_RAW.
 */
#ifndef REEF_PARQUET_FOOTER_H
#define REEF_PARQUET_FOOTER_H

#include "base/arena.h"
#include "base/bytes.h"

#define REEF_PARQUET_MAGIC "PAR1"
#define REEF_PARQUET_CREATED_BY "reef_fdw version 1.0"
#define REEF_PARQUET_KEY_COLUMNS "reef.columns"
#define REEF_PARQUET_KEY_BODY_CRC "reef.body_crc32c"
#define REEF_PARQUET_KEY_BLOOM_CRC "reef.bloom_crc32c"
#define REEF_PARQUET_KEY_INDEX_CRC "reef.index_crc32c"
#define REEF_PARQUET_KEY_FOOTER_CRC "reef.footer_crc32c"
#define REEF_PARQUET_CRC_DIGITS 8

/* Parquet's own numbers, from here to ReefParquetPageType. */
typedef enum ReefPhysicalType
{
	REEF_PHYSICAL_BOOLEAN = 0,
	REEF_PHYSICAL_INT32 = 1,
	REEF_PHYSICAL_INT64 = 2,
	REEF_PHYSICAL_INT96 = 3,
	REEF_PHYSICAL_FLOAT = 4,
	REEF_PHYSICAL_DOUBLE = 5,
	REEF_PHYSICAL_BYTE_ARRAY = 6,
	REEF_PHYSICAL_FIXED = 7,
} ReefPhysicalType;

typedef enum ReefRepetition
{
	REEF_REPETITION_REQUIRED = 0,
	REEF_REPETITION_OPTIONAL = 1,
	REEF_REPETITION_REPEATED = 2,
} ReefRepetition;

typedef enum ReefConvertedType
{
	REEF_CONVERTED_NONE = -1,
	REEF_CONVERTED_UTF8 = 0,
	REEF_CONVERTED_DECIMAL = 5,
	REEF_CONVERTED_DATE = 6,
	REEF_CONVERTED_TIME_MICROS = 8,
	REEF_CONVERTED_TIMESTAMP_MICROS = 10,
	REEF_CONVERTED_INT_16 = 16,
	REEF_CONVERTED_INT_32 = 17,
	REEF_CONVERTED_INT_64 = 18,
	REEF_CONVERTED_JSON = 19,
} ReefConvertedType;

typedef enum ReefLogicalType	/* field numbers of the union LogicalType */
{
	REEF_LOGICAL_NONE = 0,
	REEF_LOGICAL_STRING = 1,
	REEF_LOGICAL_DECIMAL = 5,
	REEF_LOGICAL_DATE = 6,
	REEF_LOGICAL_TIME = 7,
	REEF_LOGICAL_TIMESTAMP = 8,
	REEF_LOGICAL_INTEGER = 10,
	REEF_LOGICAL_JSON = 12,
	REEF_LOGICAL_UUID = 14,
} ReefLogicalType;

typedef enum ReefTimeUnit		/* field numbers of the union TimeUnit */
{
	REEF_TIME_UNIT_MILLIS = 1,
	REEF_TIME_UNIT_MICROS = 2,
	REEF_TIME_UNIT_NANOS = 3,
} ReefTimeUnit;

typedef enum ReefEncoding
{
	REEF_ENCODING_PLAIN = 0,
	REEF_ENCODING_PLAIN_DICTIONARY = 2,
	REEF_ENCODING_RLE = 3,
	REEF_ENCODING_DELTA_BINARY_PACKED = 5,
	REEF_ENCODING_RLE_DICTIONARY = 8,
} ReefEncoding;

typedef enum ReefPageType
{
	REEF_PAGE_DATA = 0,
	REEF_PAGE_INDEX = 1,
	REEF_PAGE_DICTIONARY = 2,
	REEF_PAGE_DATA_V2 = 3,
} ReefPageType;

typedef enum ReefBoundaryOrder
{
	REEF_BOUNDARY_UNORDERED = 0,
	REEF_BOUNDARY_ASCENDING = 1,
	REEF_BOUNDARY_DESCENDING = 2,
} ReefBoundaryOrder;

/* A leaf of the schema. */
typedef struct ReefParquetElement
{
	ReefSlice	name;
	int			physical;		/* ReefPhysicalType; -1: a group */
	int			length;			/* of REEF_PHYSICAL_FIXED */
	int			repetition;		/* ReefRepetition */
	int			child_count;
	int			converted;		/* ReefConvertedType */
	int			scale;
	int			precision;
	int			logical;		/* ReefLogicalType or a number we do not know */
	bool		is_utc;			/* TIME, TIMESTAMP */
	int			unit;			/* ReefTimeUnit */
	int			bit_width;		/* INTEGER */
	bool		is_signed;
} ReefParquetElement;

/* Statistics of a column chunk, in stored form. */
typedef struct ReefParquetBounds
{
	bool		has_min_max;
	bool		has_null_count;
	bool		min_exact;
	bool		max_exact;
	uint64_t	null_count;
	ReefSlice	min;
	ReefSlice	max;
} ReefParquetBounds;

typedef struct ReefParquetChunk
{
	int			physical;
	int			codec;			/* Parquet's number */
	int			encoding;		/* of all data pages, -1: not known */
	uint64_t	value_count;	/* nulls included */
	uint64_t	uncompressed_size;
	uint64_t	compressed_size;
	uint64_t	data_offset;
	uint64_t	dictionary_offset;	/* 0: none */
	uint64_t	bloom_offset;	/* 0: none */
	uint64_t	bloom_size;
	uint64_t	offset_index_offset;	/* 0: none */
	uint64_t	offset_index_size;
	uint64_t	column_index_offset;	/* 0: none */
	uint64_t	column_index_size;
	int			page_count;		/* data pages; written, not read */
	ReefParquetBounds bounds;
} ReefParquetChunk;

typedef struct ReefParquetRowGroup
{
	uint64_t	row_count;
	uint64_t	total_size;		/* uncompressed */
	int			chunk_count;
	ReefParquetChunk *chunks;
} ReefParquetRowGroup;

typedef struct ReefParquetPair
{
	ReefSlice	key;
	ReefSlice	value;
	size_t		value_offset;	/* set by encoding: in its output */
} ReefParquetPair;

typedef struct ReefParquetFooter
{
	uint64_t	row_count;
	int			element_count;	/* the root is element 0 */
	ReefParquetElement *elements;
	int			row_group_count;
	ReefParquetRowGroup *row_groups;
	int			pair_count;
	ReefParquetPair *pairs;
	ReefSlice	created_by;
} ReefParquetFooter;

/* Sizes and counts are what the file says, checked only not to be negative. */
typedef struct ReefPageHeader
{
	int			type;			/* ReefPageType */
	uint32_t	uncompressed_size;
	uint32_t	compressed_size;
	bool		has_crc;
	uint32_t	crc;
	uint32_t	value_count;	/* nulls included; entries of a dictionary */
	int			encoding;
	int			level_encoding; /* v1 */
	uint32_t	null_count;		/* v2, from here on */
	uint32_t	row_count;
	uint32_t	definition_size;
	uint32_t	repetition_size;
	bool		is_compressed;
} ReefPageHeader;

typedef struct ReefPageLocation
{
	uint64_t	offset;
	uint32_t	size;			/* with the header */
	uint64_t	first_row;
} ReefPageLocation;

typedef struct ReefOffsetIndex
{
	int			page_count;
	ReefPageLocation *pages;
} ReefOffsetIndex;

typedef struct ReefColumnIndex
{
	int			page_count;
	bool	   *null_pages;		/* all null: no bounds */
	ReefSlice  *min;
	ReefSlice  *max;
	bool		has_null_counts;
	uint64_t   *null_counts;
	int			boundary_order;
} ReefColumnIndex;

/* Slices point into the bytes, arrays into the arena.  On failure the error
 * says what was wrong, not where: the caller knows the object. */
extern ReefCode reef_footer_decode(ReefSlice bytes, ReefArena *arena,
								   ReefParquetFooter *footer, ReefError *err)
			REEF_MUST_CHECK;
extern void reef_footer_encode(ReefBuf *buf, ReefParquetFooter *footer);

/*
 * *size is the number of bytes that the header takes.  False if the bytes are
 * not a header, or not all of it.
 */
extern bool reef_page_header_decode(ReefSlice bytes, ReefPageHeader *header,
									size_t *size);
extern void reef_page_header_encode(ReefBuf *buf, const ReefPageHeader *header);

extern ReefCode reef_offset_index_decode(ReefSlice bytes, ReefArena *arena,
										 ReefOffsetIndex *index,
										 ReefError *err) REEF_MUST_CHECK;
extern void reef_offset_index_encode(ReefBuf *buf,
									 const ReefOffsetIndex *index);
extern ReefCode reef_column_index_decode(ReefSlice bytes, ReefArena *arena,
										 ReefColumnIndex *index,
										 ReefError *err) REEF_MUST_CHECK;
extern void reef_column_index_encode(ReefBuf *buf,
									 const ReefColumnIndex *index);

#endif							/* REEF_PARQUET_FOOTER_H */
