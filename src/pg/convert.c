/*
 * convert.c
 *	  Datums to engine values and back.
 *
 * Every value that goes in must come out as the same value, in any cluster,
 * whatever its settings.  The common types have a representation of their own
 * in the engine (base/value.h) and are converted by copying bits, without a
 * function call per value.  All others travel in their text form, made and
 * read by the type's own output and input functions under settings that make
 * that form exact and unambiguous; these settings are in force only while
 * values are converted, because between two rows expressions of the query
 * run, which must see the user's.
 *
 * Text is UTF-8 in the store.  A database in another encoding converts; one
 * in SQL_ASCII has no encoding to convert from, so that its bytes pass
 * unchanged and are its users' affair.  (Reading in any other encoding checks
 * them.)
 *
 * char(n) is stored without its padding, which two such values that are equal
 * may differ in, and which the declared length restores.  Without a declared
 * length the blanks are part of the value and stay.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/uuid.h"

#include "pg/convert.h"

/*
 * The name of a type as any database understands it: format_type's with the
 * schema, except for pg_catalog, whatever the search path is.
 */
static char *
portable_type_name(Oid type, int32 typmod)
{
	static const char catalog[] = "pg_catalog.";
	char	   *name = format_type_extended(type, typmod,
											FORMAT_TYPE_TYPEMOD_GIVEN |
											FORMAT_TYPE_FORCE_QUALIFY);

	if (strncmp(name, catalog, sizeof(catalog) - 1) == 0)
		return pstrdup(name + sizeof(catalog) - 1);
	return name;
}

static ReefType
numeric_type(int32 typmod)
{
	ReefType	result = {.kind = REEF_KIND_OTHER, .length = -1};

	if (typmod >= (int32) VARHDRSZ)
	{
		int			precision = ((typmod - VARHDRSZ) >> 16) & 0xFFFF;
		int			scale = (((typmod - VARHDRSZ) & 0x7FF) ^ 1024) - 1024;

		/* A scale outside 0..precision is for the text form. */
		if (precision <= 38 && scale >= 0 && scale <= precision)
		{
			result.kind = precision <= 18 ?
				REEF_KIND_DECIMAL64 : REEF_KIND_DECIMAL128;
			result.precision = (uint8_t) precision;
			result.scale = (uint8_t) scale;
		}
	}
	return result;
}

ReefType
reefpg_type_of(Oid type, int32 typmod)
{
	ReefType	result = {.kind = REEF_KIND_OTHER, .length = -1};
	Oid			base_type = getBaseTypeAndTypmod(type, &typmod);

	switch (base_type)
	{
		case BOOLOID:
			result.kind = REEF_KIND_BOOL;
			break;
		case INT2OID:
			result.kind = REEF_KIND_INT16;
			break;
		case INT4OID:
			result.kind = REEF_KIND_INT32;
			break;
		case INT8OID:
			result.kind = REEF_KIND_INT64;
			break;
		case FLOAT4OID:
			result.kind = REEF_KIND_FLOAT32;
			break;
		case FLOAT8OID:
			result.kind = REEF_KIND_FLOAT64;
			break;
		case NUMERICOID:
			result = numeric_type(typmod);
			break;
		case VARCHAROID:
		case BPCHAROID:
			if (typmod >= (int32) VARHDRSZ)
				result.length = typmod - VARHDRSZ;
			result.kind = REEF_KIND_TEXT;
			break;
		case TEXTOID:
		case NAMEOID:
			result.kind = REEF_KIND_TEXT;
			break;
		case BYTEAOID:
			result.kind = REEF_KIND_BYTES;
			break;
		case UUIDOID:
			result.kind = REEF_KIND_UUID;
			break;
		case DATEOID:
			result.kind = REEF_KIND_DATE;
			break;
		case TIMEOID:
			result.kind = REEF_KIND_TIME;
			break;
		case TIMESTAMPOID:
			result.kind = REEF_KIND_TIMESTAMP;
			break;
		case TIMESTAMPTZOID:
			result.kind = REEF_KIND_TIMESTAMPTZ;
			break;
		case JSONOID:
		case JSONBOID:
			result.kind = REEF_KIND_JSON;
			break;
		default:
			break;
	}
	result.pg_type = portable_type_name(base_type, typmod);
	return result;
}

/*
 * A key is compared by its bytes, so its type must not call two different
 * texts equal: 1.0 and 1.00, 24 hours and one day.
 */
void
reefpg_check_key_type(Oid type, int32 typmod, Oid collation,
					  const char *column)
{
	ReefType	reef_type = reefpg_type_of(type, typmod);
	Oid			base_type = getBaseType(type);
	bool		is_allowed = reef_type.kind != REEF_KIND_JSON;

	if (reef_type.kind == REEF_KIND_OTHER)
		is_allowed = type_is_enum(base_type) || base_type == INETOID ||
			base_type == CIDROID || base_type == MACADDROID ||
			base_type == MACADDR8OID || base_type == OIDOID ||
			base_type == CHAROID;
	if (!is_allowed)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of type %s cannot be part of a key",
						column, format_type_be(type)),
				 base_type == NUMERICOID ?
				 errhint("Declare a precision of at most 38 digits, and a scale.") : 0));
	if (base_type == BPCHAROID && reef_type.length < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of type %s cannot be part of a key",
						column, format_type_be(type)),
				 errhint("Declare a length.")));
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" cannot be part of a key", column),
				 errdetail("Its collation is not deterministic, but keys are compared by their bytes.")));
}

/* Is there a name of a database object in the type's text form? */
static bool
form_has_names(Oid type)
{
	Oid			element = get_base_element_type(type);

	if (OidIsValid(element))
		type = getBaseType(element);
	switch (type)
	{
		case REGPROCOID:
		case REGPROCEDUREOID:
		case REGOPEROID:
		case REGOPERATOROID:
		case REGCLASSOID:
		case REGTYPEOID:
		case REGCONFIGOID:
		case REGDICTIONARYOID:
		case REGCOLLATIONOID:
			return true;
		default:
			return type_is_rowtype(type);
	}
}

void
reefpg_column_converter_init(ReefPgColumnConverter *column, Oid type,
							 int32 typmod)
{
	Oid			function;
	bool		is_varlena;

	memset(column, 0, sizeof(*column));
	column->type = reefpg_type_of(type, typmod);
	column->base_type = getBaseType(type);
	column->padded_length = -1;
	if (column->base_type == BPCHAROID)
	{
		/* An expression's type has lost its length; only equality matters. */
		column->is_padded = column->type.length >= 0;
		column->padded_length = column->type.length;
	}
	column->uses_io = column->type.kind == REEF_KIND_OTHER ||
		column->base_type == JSONBOID;
	if (column->uses_io)
	{
		getTypeOutputInfo(column->base_type, &function, &is_varlena);
		fmgr_info(function, &column->output);
		getTypeInputInfo(column->base_type, &function, &column->input_param);
		fmgr_info(function, &column->input);
	}
}

ReefPgConverter *
reefpg_converter_new(const ReefPgTable *table, TupleDesc desc)
{
	ReefPgConverter *converter = palloc0(sizeof(ReefPgConverter));
	int			i;

	converter->column_count = table->schema.column_count;
	converter->columns = palloc0(Max(1, converter->column_count) *
								 sizeof(ReefPgColumnConverter));
	converter->attributes = table->attribute_of_column;
	for (i = 0; i < converter->column_count; i++)
	{
		ReefPgColumnConverter *column = &converter->columns[i];
		Form_pg_attribute attribute =
		TupleDescAttr(desc, table->attribute_of_column[i] - 1);

		reefpg_column_converter_init(column, attribute->atttypid,
									 attribute->atttypmod);
		column->name = attribute->attname;
		if (column->type.kind != REEF_KIND_OTHER)
			continue;
		converter->uses_io = true;
		converter->uses_names |= form_has_names(column->base_type);
		converter->uses_money |= column->base_type == CASHOID ||
			get_base_element_type(column->base_type) == CASHOID ||
			type_is_rowtype(column->base_type);
	}
	return converter;
}

static void
set_for_now(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * The settings under which text forms are exact.  Usually they are what they
 * should be, and nothing is done; else the caller gets the nest level to give
 * to reefpg_converter_leave.
 */
int
reefpg_converter_enter(const ReefPgConverter *converter)
{
	int			nest_level;

	if (!converter->uses_io)
		return 0;
	if (DateStyle == USE_ISO_DATES && IntervalStyle == INTSTYLE_POSTGRES &&
		extra_float_digits >= 1 && !converter->uses_names &&
		!converter->uses_money)
		return 0;

	nest_level = NewGUCNestLevel();
	if (DateStyle != USE_ISO_DATES)
		set_for_now("datestyle", "ISO");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		set_for_now("intervalstyle", "postgres");
	if (extra_float_digits < 1)
		set_for_now("extra_float_digits", "3");
	if (converter->uses_names)
		set_for_now("search_path", "pg_catalog");
	if (converter->uses_money)
		set_for_now("lc_monetary", "C");
	return nest_level;
}

void
reefpg_converter_leave(int nest_level)
{
	if (nest_level > 0)
		AtEOXact_GUC(true, nest_level);
}

static ReefSlice
text_to_utf8(const char *data, int size)
{
	char	   *utf8;

	if (GetDatabaseEncoding() == PG_UTF8 ||
		GetDatabaseEncoding() == PG_SQL_ASCII)
		return reef_slice(data, size);
	utf8 = pg_server_to_any(data, size, PG_UTF8);
	return reef_slice(utf8, utf8 == data ? (size_t) size : strlen(utf8));
}

static ReefSlice
varlena_to_slice(ReefPgColumnConverter *column, Datum datum)
{
	struct varlena *bytes = PG_DETOAST_DATUM_PACKED(datum);
	const char *data = VARDATA_ANY(bytes);
	int			size = VARSIZE_ANY_EXHDR(bytes);

	if (column->type.kind == REEF_KIND_BYTES)
		return reef_slice(data, size);
	if (column->is_padded)
	{
		while (size > 0 && data[size - 1] == ' ')
			size--;
	}
	return text_to_utf8(data, size);
}

static void
decimal_value(ReefPgColumnConverter *column, Datum datum, ReefValue *value)
{
	bool		is_short = column->type.kind == REEF_KIND_DECIMAL64;
	ReefInt128	unscaled;

	switch (reefpg_numeric_unscale(datum, column->type.scale, &unscaled))
	{
		case REEFPG_NUMERIC_NAN:
			if (is_short)
				value->as.int64 = REEF_DECIMAL64_NAN;
			else
				value->as.int128 = REEF_DECIMAL128_NAN;
			return;
		case REEFPG_NUMERIC_EXACT:
			if (!is_short)
			{
				value->as.int128 = unscaled;
				return;
			}
			if (unscaled > -INT64CONST(1000000000000000000) &&
				unscaled < INT64CONST(1000000000000000000))
			{
				value->as.int64 = (int64) unscaled;
				return;
			}
			break;
		case REEFPG_NUMERIC_INEXACT:
		case REEFPG_NUMERIC_TOO_LOW:
		case REEFPG_NUMERIC_TOO_HIGH:
			break;
	}
	/* The executor has coerced the value to the column's type. */
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("value %s does not fit column \"%s\" of type %s",
					DatumGetCString(DirectFunctionCall1(numeric_out, datum)),
					NameStr(column->name), column->type.pg_type)));
}

void
reefpg_column_value(ReefPgColumnConverter *column, Datum datum,
					ReefValue *value)
{
	value->is_null = false;
	if (column->uses_io)
	{
		char	   *form = OutputFunctionCall(&column->output, datum);

		value->as.bytes = text_to_utf8(form, strlen(form));
		return;
	}
	switch (column->type.kind)
	{
		case REEF_KIND_BOOL:
			value->as.boolean = DatumGetBool(datum);
			break;
		case REEF_KIND_INT16:
			value->as.int16 = DatumGetInt16(datum);
			break;
		case REEF_KIND_INT32:
		case REEF_KIND_DATE:
			value->as.int32 = DatumGetInt32(datum);
			break;
		case REEF_KIND_INT64:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			value->as.int64 = DatumGetInt64(datum);
			break;
		case REEF_KIND_FLOAT32:
			value->as.float32 = DatumGetFloat4(datum);
			break;
		case REEF_KIND_FLOAT64:
			value->as.float64 = DatumGetFloat8(datum);
			break;
		case REEF_KIND_DECIMAL64:
		case REEF_KIND_DECIMAL128:
			decimal_value(column, datum, value);
			break;
		case REEF_KIND_UUID:
			memcpy(value->as.uuid, DatumGetUUIDP(datum)->data, UUID_LEN);
			break;
		case REEF_KIND_TEXT:
			if (column->base_type == NAMEOID)
			{
				const char *name = NameStr(*DatumGetName(datum));

				value->as.bytes = text_to_utf8(name, strlen(name));
				break;
			}
			/* FALLTHROUGH */
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
			value->as.bytes = varlena_to_slice(column, datum);
			break;
		case REEF_KIND_OTHER:
			pg_unreachable();
	}
}

ReefValue *
reefpg_values_new(int count)
{
	ReefValue  *values = palloc(count * sizeof(ReefValue));

	for (int i = 0; i < count; i++)
		values[i].is_null = true;
	return values;
}

void
reefpg_value_from_datum(ReefPgConverter *converter, int column, Datum datum,
						bool is_null, ReefValue *value)
{
	if (is_null)
		value->is_null = true;
	else
		reefpg_column_value(&converter->columns[column], datum, value);
}

void
reefpg_values_from_slot(ReefPgConverter *converter, TupleTableSlot *slot,
						ReefValue *values)
{
	int			nest_level = reefpg_converter_enter(converter);
	int			i;

	slot_getallattrs(slot);
	for (i = 0; i < converter->column_count; i++)
	{
		int			index = converter->attributes[i] - 1;

		reefpg_value_from_datum(converter, i, slot->tts_values[index],
								slot->tts_isnull[index], &values[i]);
	}
	reefpg_converter_leave(nest_level);
}

/* Server-encoded and checked; may be the argument itself, not terminated. */
static const char *
utf8_to_text(ReefSlice utf8, int *size)
{
	const char *data = (const char *) utf8.data;
	char	   *converted;

	*size = (int) utf8.size;
	if (utf8.size == 0)
		return "";
	if (GetDatabaseEncoding() == PG_SQL_ASCII)
		return data;
	converted = pg_any_to_server(data, *size, PG_UTF8);
	if (converted != data)
		*size = strlen(converted);
	return converted;
}

static Datum
build_varlena(const char *data, int size)
{
	struct varlena *result = palloc(VARHDRSZ + size);

	SET_VARSIZE(result, VARHDRSZ + size);
	memcpy(VARDATA(result), data, size);
	return PointerGetDatum(result);
}

static Datum
build_padded(const ReefPgColumnConverter *column, const char *data, int size)
{
	int			length = pg_mbstrlen_with_len(data, size);
	int			blanks = Max(0, column->padded_length - length);
	struct varlena *result = palloc(VARHDRSZ + size + blanks);

	SET_VARSIZE(result, VARHDRSZ + size + blanks);
	memcpy(VARDATA(result), data, size);
	memset(VARDATA(result) + size, ' ', blanks);
	return PointerGetDatum(result);
}

static Datum
build_name(const char *data, int size)
{
	Name		name = palloc0(NAMEDATALEN);

	memcpy(NameStr(*name), data, Min(size, NAMEDATALEN - 1));
	return NameGetDatum(name);
}

static Datum
variable_datum(ReefPgColumnConverter *column, ReefSlice bytes)
{
	const char *data;
	int			size;

	if (bytes.size > MaxAllocSize - VARHDRSZ - 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("stored value of column \"%s\" is too large",
						NameStr(column->name))));
	if (column->type.kind == REEF_KIND_BYTES)
		return build_varlena(bytes.size == 0 ? "" : (const char *) bytes.data,
							 (int) bytes.size);
	data = utf8_to_text(bytes, &size);
	if (column->uses_io)
		return InputFunctionCall(&column->input, pnstrdup(data, size),
								 column->input_param, -1);
	if (column->is_padded)
		return build_padded(column, data, size);
	if (column->base_type == NAMEOID)
		return build_name(data, size);
	return build_varlena(data, size);
}

static Datum
uuid_datum(const void *bytes)
{
	pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

	memcpy(uuid->data, bytes, UUID_LEN);
	return UUIDPGetDatum(uuid);
}

static Datum
decimal64_datum(ReefPgColumnConverter *column, int64 unscaled)
{
	if (unscaled == REEF_DECIMAL64_NAN)
		return reefpg_numeric_nan();
	return reefpg_numeric_of_int64(unscaled, column->type.scale);
}

static Datum
decimal128_datum(ReefPgColumnConverter *column, const void *bytes)
{
	ReefInt128	unscaled;

	memcpy(&unscaled, bytes, sizeof(unscaled));
	if (unscaled == REEF_DECIMAL128_NAN)
		return reefpg_numeric_nan();
	return reefpg_numeric_of_int128(unscaled, column->type.scale);
}

Datum
reefpg_datum_from_vector(ReefPgConverter *converter, int column_index,
						 const ReefVector *vector, int position,
						 bool *is_null)
{
	ReefPgColumnConverter *column = &converter->columns[column_index];
	const void *values = vector->values;

	if (vector->nulls != NULL && vector->nulls[position] != 0)
	{
		*is_null = true;
		return (Datum) 0;
	}
	*is_null = false;
	switch (column->type.kind)
	{
		case REEF_KIND_BOOL:
			return BoolGetDatum(((const uint8_t *) values)[position] != 0);
		case REEF_KIND_INT16:
			return Int16GetDatum(((const int16_t *) values)[position]);
		case REEF_KIND_INT32:
		case REEF_KIND_DATE:
			return Int32GetDatum(((const int32_t *) values)[position]);
		case REEF_KIND_INT64:
		case REEF_KIND_TIME:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			return Int64GetDatum(((const int64_t *) values)[position]);
		case REEF_KIND_FLOAT32:
			return Float4GetDatum(((const float *) values)[position]);
		case REEF_KIND_FLOAT64:
			return Float8GetDatum(((const double *) values)[position]);
		case REEF_KIND_DECIMAL64:
			return decimal64_datum(column,
								   ((const int64_t *) values)[position]);
		case REEF_KIND_DECIMAL128:
			return decimal128_datum(column,
									(const char *) values +
									(size_t) position * sizeof(ReefInt128));
		case REEF_KIND_UUID:
			return uuid_datum((const char *) values +
							  (size_t) position * UUID_LEN);
		case REEF_KIND_TEXT:
		case REEF_KIND_BYTES:
		case REEF_KIND_JSON:
		case REEF_KIND_OTHER:
			return variable_datum(column,
								  ((const ReefSlice *) values)[position]);
	}
	pg_unreachable();
}

char *
reefpg_key_description(ReefPgConverter *converter, const ReefPgTable *table,
					   const ReefValue *values)
{
	int			nest_level = reefpg_converter_enter(converter);
	StringInfoData names;
	StringInfoData texts;
	int			position;

	initStringInfo(&names);
	initStringInfo(&texts);
	for (position = 1;
		 position <= reef_schema_key_count(&table->schema); position++)
	{
		int			index = reef_schema_key_column(&table->schema, position);
		ReefPgColumnConverter *column = &converter->columns[index];
		ReefVector	vector = {.kind = column->type.kind,
		.values = &values[index].as};
		bool		is_null;
		Datum		datum;
		Oid			output;
		bool		is_varlena;

		/* One value is a vector of one: all members of the union begin there. */
		datum = reefpg_datum_from_vector(converter, index, &vector, 0,
										 &is_null);
		getTypeOutputInfo(column->base_type, &output, &is_varlena);
		appendStringInfo(&names, "%s%s", position > 1 ? ", " : "",
						 quote_identifier(NameStr(column->name)));
		appendStringInfo(&texts, "%s%s", position > 1 ? ", " : "",
						 OidOutputFunctionCall(output, datum));
	}
	reefpg_converter_leave(nest_level);
	return psprintf("(%s)=(%s)", names.data, texts.data);
}
