/*
 * type.c
 *	  Kinds to Parquet types and back, and the move between the epochs.
 */
#include "parquet/type.h"

int
reef_physical_width(ReefKind kind)
{
	if (kind == REEF_KIND_INT16)
		return 4;
	return reef_kind_width(kind);
}

void
reef_element_of_column(const ReefColumn *column, ReefParquetElement *element)
{
	memset(element, 0, sizeof(*element));
	element->name = reef_slice_of_string(column->name);
	element->repetition = REEF_REPETITION_OPTIONAL;
	element->converted = REEF_CONVERTED_NONE;
	element->physical = REEF_PHYSICAL_INT64;
	switch (column->type.kind)
	{
		case REEF_KIND_BOOL:
			element->physical = REEF_PHYSICAL_BOOLEAN;
			break;
		case REEF_KIND_INT16:
			element->physical = REEF_PHYSICAL_INT32;
			element->logical = REEF_LOGICAL_INTEGER;
			element->bit_width = 16;
			element->is_signed = true;
			element->converted = REEF_CONVERTED_INT_16;
			break;
		case REEF_KIND_INT32:
			element->physical = REEF_PHYSICAL_INT32;
			break;
		case REEF_KIND_INT64:
			break;
		case REEF_KIND_FLOAT32:
			element->physical = REEF_PHYSICAL_FLOAT;
			break;
		case REEF_KIND_FLOAT64:
			element->physical = REEF_PHYSICAL_DOUBLE;
			break;
		case REEF_KIND_DECIMAL128:
			element->physical = REEF_PHYSICAL_FIXED;
			element->length = 16;
			/* FALLTHROUGH */
		case REEF_KIND_DECIMAL64:
			element->logical = REEF_LOGICAL_DECIMAL;
			element->converted = REEF_CONVERTED_DECIMAL;
			element->precision = column->type.precision;
			element->scale = column->type.scale;
			break;
		case REEF_KIND_TEXT:
		case REEF_KIND_OTHER:
			element->physical = REEF_PHYSICAL_BYTE_ARRAY;
			element->logical = REEF_LOGICAL_STRING;
			element->converted = REEF_CONVERTED_UTF8;
			break;
		case REEF_KIND_BYTES:
			element->physical = REEF_PHYSICAL_BYTE_ARRAY;
			break;
		case REEF_KIND_UUID:
			element->physical = REEF_PHYSICAL_FIXED;
			element->length = 16;
			element->logical = REEF_LOGICAL_UUID;
			break;
		case REEF_KIND_DATE:
			element->physical = REEF_PHYSICAL_INT32;
			element->logical = REEF_LOGICAL_DATE;
			element->converted = REEF_CONVERTED_DATE;
			break;
		case REEF_KIND_TIME:
			element->logical = REEF_LOGICAL_TIME;
			element->unit = REEF_TIME_UNIT_MICROS;
			break;
		case REEF_KIND_TIMESTAMP:
			element->logical = REEF_LOGICAL_TIMESTAMP;
			element->unit = REEF_TIME_UNIT_MICROS;
			break;
		case REEF_KIND_TIMESTAMPTZ:
			element->logical = REEF_LOGICAL_TIMESTAMP;
			element->unit = REEF_TIME_UNIT_MICROS;
			element->is_utc = true;
			element->converted = REEF_CONVERTED_TIMESTAMP_MICROS;
			break;
		case REEF_KIND_JSON:
			element->physical = REEF_PHYSICAL_BYTE_ARRAY;
			element->logical = REEF_LOGICAL_JSON;
			element->converted = REEF_CONVERTED_JSON;
			break;
	}
}

/* Writers older than the logical types say the same with converted types. */
static int
logical_type(const ReefParquetElement *element, bool *is_utc, int *unit,
			 int *bit_width)
{
	*is_utc = element->is_utc;
	*unit = element->unit;
	*bit_width = element->bit_width;
	if (element->logical != REEF_LOGICAL_NONE)
		return element->logical;
	*is_utc = true;
	*unit = REEF_TIME_UNIT_MICROS;
	switch (element->converted)
	{
		case REEF_CONVERTED_UTF8:
			return REEF_LOGICAL_STRING;
		case REEF_CONVERTED_DECIMAL:
			return REEF_LOGICAL_DECIMAL;
		case REEF_CONVERTED_DATE:
			return REEF_LOGICAL_DATE;
		case REEF_CONVERTED_TIME_MICROS:
			return REEF_LOGICAL_TIME;
		case REEF_CONVERTED_TIMESTAMP_MICROS:
			return REEF_LOGICAL_TIMESTAMP;
		case REEF_CONVERTED_INT_16:
		case REEF_CONVERTED_INT_32:
		case REEF_CONVERTED_INT_64:
			*bit_width = 16 << (element->converted - REEF_CONVERTED_INT_16);
			return REEF_LOGICAL_INTEGER;
		case REEF_CONVERTED_JSON:
			return REEF_LOGICAL_JSON;
		case REEF_CONVERTED_NONE:
			return REEF_LOGICAL_NONE;
		default:
			return -1;
	}
}

/* 0 if the combination is not one we read. */
static ReefKind
kind_of_element(const ReefParquetElement *element)
{
	bool		is_utc;
	int			unit;
	int			bit_width;
	int			logical = logical_type(element, &is_utc, &unit, &bit_width);
	bool		is_int32 = element->physical == REEF_PHYSICAL_INT32;
	bool		is_int64 = element->physical == REEF_PHYSICAL_INT64;
	bool		is_bytes = element->physical == REEF_PHYSICAL_BYTE_ARRAY;
	bool		is_fixed16 = element->physical == REEF_PHYSICAL_FIXED &&
		element->length == 16;

	switch (logical)
	{
		case REEF_LOGICAL_NONE:
			if (element->physical == REEF_PHYSICAL_BOOLEAN)
				return REEF_KIND_BOOL;
			if (element->physical == REEF_PHYSICAL_FLOAT)
				return REEF_KIND_FLOAT32;
			if (element->physical == REEF_PHYSICAL_DOUBLE)
				return REEF_KIND_FLOAT64;
			if (is_bytes)
				return REEF_KIND_BYTES;
			return is_int32 ? REEF_KIND_INT32 : is_int64 ? REEF_KIND_INT64 : 0;
		case REEF_LOGICAL_INTEGER:
			if (element->logical == REEF_LOGICAL_INTEGER &&
				!element->is_signed)
				return 0;
			if (is_int32 && bit_width == 16)
				return REEF_KIND_INT16;
			if (is_int32 && bit_width == 32)
				return REEF_KIND_INT32;
			return is_int64 && bit_width == 64 ? REEF_KIND_INT64 : 0;
		case REEF_LOGICAL_DECIMAL:
			if (is_int64 && element->precision <= 18)
				return REEF_KIND_DECIMAL64;
			return is_fixed16 && element->precision <= 38 ?
				REEF_KIND_DECIMAL128 : 0;
		case REEF_LOGICAL_STRING:
			return is_bytes ? REEF_KIND_TEXT : 0;
		case REEF_LOGICAL_JSON:
			return is_bytes ? REEF_KIND_JSON : 0;
		case REEF_LOGICAL_UUID:
			return is_fixed16 ? REEF_KIND_UUID : 0;
		case REEF_LOGICAL_DATE:
			return is_int32 ? REEF_KIND_DATE : 0;
		case REEF_LOGICAL_TIME:
			return is_int64 && unit == REEF_TIME_UNIT_MICROS ?
				REEF_KIND_TIME : 0;
		case REEF_LOGICAL_TIMESTAMP:
			if (!is_int64 || unit != REEF_TIME_UNIT_MICROS)
				return 0;
			return is_utc ? REEF_KIND_TIMESTAMPTZ : REEF_KIND_TIMESTAMP;
		default:
			return 0;
	}
}

ReefCode
reef_element_type(const ReefParquetElement *element, ReefType *type,
				  ReefError *err)
{
	int			name_size = element->name.size < 200 ?
		(int) element->name.size : 200;

	memset(type, 0, sizeof(*type));
	type->length = -1;
	type->kind = kind_of_element(element);
	if (type->kind == 0 || element->repetition == REEF_REPETITION_REPEATED)
		return reef_error_set(err, REEF_UNSUPPORTED,
							  "parquet column of an unsupported type",
							  "column \"%.*s\" has physical type %d, logical type %d, converted type %d, repetition %d",
							  name_size, (const char *) element->name.data,
							  element->physical, element->logical,
							  element->converted, element->repetition);
	if (type->kind == REEF_KIND_DECIMAL64 || type->kind == REEF_KIND_DECIMAL128)
	{
		if (element->precision < 1 || element->scale < 0 ||
			element->scale > element->precision)
			return reef_error_set(err, REEF_CORRUPT,
								  "damaged parquet footer",
								  "column \"%.*s\" is a decimal of precision %d, scale %d",
								  name_size,
								  (const char *) element->name.data,
								  element->precision, element->scale);
		type->precision = (uint8_t) element->precision;
		type->scale = (uint8_t) element->scale;
	}
	return REEF_OK;
}

bool
reef_element_is_of(const ReefParquetElement *element, const ReefType *type)
{
	ReefKind	kind = kind_of_element(element);

	if (kind == REEF_KIND_TEXT && type->kind == REEF_KIND_OTHER)
		return true;
	return kind == type->kind;
}

bool
reef_date_to_unix(int32_t date, int32_t *unix_days)
{
	if (date == INT32_MAX)
		*unix_days = INT32_MAX;
	else if (date == INT32_MIN)
		*unix_days = -INT32_MAX;
	else if (date >= INT32_MAX - REEF_DATE_EPOCH_MOVE)
		return false;
	else
		*unix_days = date + REEF_DATE_EPOCH_MOVE;
	return true;
}

bool
reef_date_of_unix(int32_t unix_days, int32_t *date)
{
	if (unix_days == INT32_MAX)
		*date = INT32_MAX;
	else if (unix_days == -INT32_MAX)
		*date = INT32_MIN;
	else if (unix_days <= INT32_MIN + REEF_DATE_EPOCH_MOVE)
		return false;
	else
		*date = unix_days - REEF_DATE_EPOCH_MOVE;
	return true;
}

/* The first timestamp that has no place after the move: INT64_MAX itself
 * stands for infinity. */
#define FIRST_EXCESS (INT64_MAX - REEF_TIMESTAMP_EPOCH_MOVE)

bool
reef_timestamp_is_excess(int64_t unix_micros)
{
	return unix_micros >= REEF_TIMESTAMP_EXCESS_BASE &&
		unix_micros < REEF_TIMESTAMP_EXCESS_BASE + REEF_TIMESTAMP_EPOCH_MOVE;
}

bool
reef_timestamp_to_unix(int64_t timestamp, int64_t *unix_micros)
{
	if (timestamp == INT64_MAX)
		*unix_micros = INT64_MAX;
	else if (timestamp == INT64_MIN)
		*unix_micros = -INT64_MAX;
	else if (timestamp >= FIRST_EXCESS)
		*unix_micros = REEF_TIMESTAMP_EXCESS_BASE + (timestamp - FIRST_EXCESS);
	else
	{
		*unix_micros = timestamp + REEF_TIMESTAMP_EPOCH_MOVE;
		return !reef_timestamp_is_excess(*unix_micros);
	}
	return true;
}

bool
reef_timestamp_of_unix(int64_t unix_micros, int64_t *timestamp)
{
	if (unix_micros == INT64_MAX)
		*timestamp = INT64_MAX;
	else if (unix_micros == -INT64_MAX)
		*timestamp = INT64_MIN;
	else if (reef_timestamp_is_excess(unix_micros))
		*timestamp = FIRST_EXCESS + (unix_micros - REEF_TIMESTAMP_EXCESS_BASE);
	else if (unix_micros <= INT64_MIN + REEF_TIMESTAMP_EPOCH_MOVE)
		return false;
	else
		*timestamp = unix_micros - REEF_TIMESTAMP_EPOCH_MOVE;
	return true;
}

static void
put_int128(uint8_t *out, ReefInt128 value)
{
	ReefUint128 v = (ReefUint128) value;

	reef_put_u64(out, __builtin_bswap64((uint64_t) (v >> 64)));
	reef_put_u64(out + 8, __builtin_bswap64((uint64_t) v));
}

static ReefInt128
get_int128(const uint8_t *in)
{
	ReefUint128 v = __builtin_bswap64(reef_get_u64(in));

	return (ReefInt128) ((v << 64) | __builtin_bswap64(reef_get_u64(in + 8)));
}

bool
reef_physical_encode(ReefKind kind, const ReefValue *value,
					 uint8_t scratch[REEF_PHYSICAL_MAX_WIDTH],
					 ReefSlice *bytes)
{
	int32_t		i32;
	int64_t		i64;
	uint32_t	u32;
	uint64_t	u64;

	switch (kind)
	{
		case REEF_KIND_BOOL:
			scratch[0] = value->as.boolean;
			break;
		case REEF_KIND_INT16:
			reef_put_u32(scratch, (uint32_t) (int32_t) value->as.int16);
			break;
		case REEF_KIND_INT32:
			reef_put_u32(scratch, (uint32_t) value->as.int32);
			break;
		case REEF_KIND_DATE:
			if (!reef_date_to_unix(value->as.int32, &i32))
				return false;
			reef_put_u32(scratch, (uint32_t) i32);
			break;
		case REEF_KIND_FLOAT32:
			memcpy(&u32, &value->as.float32, sizeof(u32));
			reef_put_u32(scratch, u32);
			break;
		case REEF_KIND_FLOAT64:
			memcpy(&u64, &value->as.float64, sizeof(u64));
			reef_put_u64(scratch, u64);
			break;
		case REEF_KIND_INT64:
		case REEF_KIND_DECIMAL64:
		case REEF_KIND_TIME:
			reef_put_u64(scratch, (uint64_t) value->as.int64);
			break;
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			if (!reef_timestamp_to_unix(value->as.int64, &i64))
				return false;
			reef_put_u64(scratch, (uint64_t) i64);
			break;
		case REEF_KIND_DECIMAL128:
			put_int128(scratch, value->as.int128);
			break;
		case REEF_KIND_UUID:
			memcpy(scratch, value->as.uuid, 16);
			break;
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			*bytes = value->as.bytes;
			return true;
	}
	*bytes = reef_slice(scratch, (size_t) reef_physical_width(kind));
	return true;
}

bool
reef_physical_decode(ReefKind kind, ReefSlice bytes, ReefValue *value)
{
	uint32_t	u32 = 0;
	uint64_t	u64 = 0;

	memset(value, 0, sizeof(*value));
	if (!reef_kind_is_variable(kind) &&
		bytes.size != (size_t) reef_physical_width(kind))
		return false;
	if (bytes.size == 4)
		u32 = reef_get_u32(bytes.data);
	else if (bytes.size == 8)
		u64 = reef_get_u64(bytes.data);
	switch (kind)
	{
		case REEF_KIND_BOOL:
			value->as.boolean = bytes.data[0] != 0;
			return bytes.data[0] <= 1;
		case REEF_KIND_INT16:
			value->as.int16 = (int16_t) (int32_t) u32;
			return value->as.int16 == (int32_t) u32;
		case REEF_KIND_INT32:
			value->as.int32 = (int32_t) u32;
			return true;
		case REEF_KIND_DATE:
			return reef_date_of_unix((int32_t) u32, &value->as.int32);
		case REEF_KIND_FLOAT32:
			memcpy(&value->as.float32, &u32, sizeof(u32));
			return true;
		case REEF_KIND_FLOAT64:
			memcpy(&value->as.float64, &u64, sizeof(u64));
			return true;
		case REEF_KIND_INT64:
		case REEF_KIND_DECIMAL64:
		case REEF_KIND_TIME:
			value->as.int64 = (int64_t) u64;
			return true;
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			return reef_timestamp_of_unix((int64_t) u64, &value->as.int64);
		case REEF_KIND_DECIMAL128:
			value->as.int128 = get_int128(bytes.data);
			return true;
		case REEF_KIND_UUID:
			memcpy(value->as.uuid, bytes.data, 16);
			return true;
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			value->as.bytes = bytes;
			return true;
	}
	return false;
}
