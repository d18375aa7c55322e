/*
 * plain.c
 *	  Between the representation of value.h and Parquet's.
 *
 * These loops see every value, so each kind has its own, without a branch on
 * the kind inside.  Where nothing changes they reduce to a copy.
 */
#include "parquet/plain.h"

#include "parquet/type.h"

static ReefCode
no_place(ReefKind kind, ReefError *err)
{
	return reef_error_set(err, REEF_INVALID,
						  "value is outside the range of its type",
						  "a %s cannot be moved to the Unix epoch",
						  reef_kind_name(kind));
}

static ReefCode
append_slices(ReefBuf *buf, const ReefSlice *values,
			  const uint16_t *positions, size_t count, ReefError *err)
{
	size_t		size = 0;
	uint8_t    *out;

	for (size_t i = 0; i < count; i++)
	{
		if (values[positions[i]].size > INT32_MAX / 2)
			return reef_error_set(err, REEF_LIMIT, "value is too long",
								  "%zu bytes", values[positions[i]].size);
		size += 4 + values[positions[i]].size;
	}
	out = reef_buf_reserve(buf, size);
	if (out == NULL)
		return reef_error_no_memory(err, size);
	for (size_t i = 0; i < count; i++)
	{
		ReefSlice	v = values[positions[i]];

		reef_put_u32(out, (uint32_t) v.size);
		out += 4;
		if (v.size > 0)
			memcpy(out, v.data, v.size);
		out += v.size;
	}
	buf->size += size;
	return REEF_OK;
}

static bool
put_moved(uint8_t *out, const ReefVector *vector, const uint16_t *positions,
		  size_t count)
{
	bool		ok = true;

	if (vector->kind == REEF_KIND_DATE)
	{
		const int32_t *in = vector->values;

		for (size_t i = 0; i < count; i++)
		{
			int32_t		v = 0;

			ok &= reef_date_to_unix(in[positions[i]], &v);
			reef_put_u32(out + 4 * i, (uint32_t) v);
		}
	}
	else
	{
		const int64_t *in = vector->values;

		for (size_t i = 0; i < count; i++)
		{
			int64_t		v = 0;

			ok &= reef_timestamp_to_unix(in[positions[i]], &v);
			reef_put_u64(out + 8 * i, (uint64_t) v);
		}
	}
	return ok;
}

/* Kinds whose bits are stored as they are. */
static void
put_fixed(uint8_t *out, const ReefVector *vector, const uint16_t *positions,
		  size_t count)
{
	switch (reef_vector_element_size(vector->kind))
	{
		case 1:
			for (size_t i = 0; i < count; i++)
				out[i] = ((const uint8_t *) vector->values)[positions[i]] != 0;
			break;
		case 4:
			for (size_t i = 0; i < count; i++)
				reef_put_u32(out + 4 * i, ((const uint32_t *)
										   vector->values)[positions[i]]);
			break;
		case 8:
			for (size_t i = 0; i < count; i++)
				reef_put_u64(out + 8 * i, ((const uint64_t *)
										   vector->values)[positions[i]]);
			break;
		default:
			for (size_t i = 0; i < count; i++)
				memcpy(out + 16 * i, (const uint8_t *) vector->values +
					   16 * (size_t) positions[i], 16);
	}
}

ReefCode
reef_plain_append(ReefBuf *buf, const ReefVector *vector,
				  const uint16_t *positions, size_t count, ReefError *err)
{
	size_t		size = count * (size_t) reef_physical_width(vector->kind);
	uint8_t    *out;

	if (reef_kind_is_variable(vector->kind))
		return append_slices(buf, vector->values, positions, count, err);
	out = reef_buf_reserve(buf, size);
	if (out == NULL)
		return reef_error_no_memory(err, size);
	switch (vector->kind)
	{
		case REEF_KIND_DATE:
		case REEF_KIND_TIMESTAMP:
		case REEF_KIND_TIMESTAMPTZ:
			if (!put_moved(out, vector, positions, count))
				return no_place(vector->kind, err);
			break;
		case REEF_KIND_INT16:
			for (size_t i = 0; i < count; i++)
				reef_put_u32(out + 4 * i, (uint32_t) (int32_t)
							 ((const int16_t *) vector->values)[positions[i]]);
			break;
		case REEF_KIND_DECIMAL128:
			for (size_t i = 0; i < count; i++)
			{
				ReefValue	v;
				ReefSlice	unused;

				memcpy(&v.as.int128, (const uint8_t *) vector->values +
					   16 * (size_t) positions[i], 16);
				(void) reef_physical_encode(REEF_KIND_DECIMAL128, &v,
											out + 16 * i, &unused);
			}
			break;
		default:
			put_fixed(out, vector, positions, count);
	}
	buf->size += size;
	return REEF_OK;
}

void
reef_plain_pack_booleans(ReefBuf *buf, const uint8_t *values, size_t count)
{
	size_t		size = (count + 7) / 8;
	uint8_t    *out = reef_buf_reserve(buf, size);

	if (out == NULL)
		return;
	memset(out, 0, size);
	for (size_t i = 0; i < count; i++)
		out[i / 8] |= (uint8_t) ((values[i] & 1) << (i % 8));
	buf->size += size;
}

static bool
decode_slices(ReefSlice bytes, ReefSlice *values, size_t count)
{
	const uint8_t *p = bytes.data;
	size_t		left = bytes.size;

	for (size_t i = 0; i < count; i++)
	{
		size_t		size;

		if (left < 4)
			return false;
		size = reef_get_u32(p);
		if (size > left - 4)
			return false;
		values[i].data = p + 4;
		values[i].size = size;
		p += 4 + size;
		left -= 4 + size;
	}
	return left == 0;
}

static bool
decode_booleans(ReefSlice bytes, uint8_t *values, size_t count)
{
	if (bytes.size != (count + 7) / 8)
		return false;
	for (size_t i = 0; i < count; i++)
		values[i] = (uint8_t) ((unsigned) bytes.data[i / 8] >> (i % 8)) & 1;
	return true;
}

bool
reef_plain_convert_int32(ReefKind kind, const int32_t *in, void *values,
						 size_t count)
{
	bool		ok = true;

	if (kind == REEF_KIND_INT16)
	{
		int16_t    *out = values;

		for (size_t i = 0; i < count; i++)
		{
			out[i] = (int16_t) in[i];
			ok &= out[i] == in[i];
		}
	}
	else if (kind == REEF_KIND_DATE)
	{
		int32_t    *out = values;

		for (size_t i = 0; i < count; i++)
			ok &= reef_date_of_unix(in[i], &out[i]);
	}
	else if (values != in)
		memcpy(values, in, count * sizeof(int32_t));
	return ok;
}

/*
 * Timestamps: nearly all values only need the subtraction.  So subtract
 * always, note whether any value needs more, and then do it again with care.
 */
static bool
convert_timestamps(const int64_t *in, int64_t *out, size_t count)
{
	const int64_t low = INT64_MIN + REEF_TIMESTAMP_EPOCH_MOVE;
	bool		special = false;
	bool		ok = true;

	for (size_t i = 0; i < count; i++)
		special |= (in[i] == INT64_MAX) | (in[i] <= low) |
			((uint64_t) in[i] - (uint64_t) REEF_TIMESTAMP_EXCESS_BASE <
			 (uint64_t) REEF_TIMESTAMP_EPOCH_MOVE);
	if (!special)
	{
		for (size_t i = 0; i < count; i++)
			out[i] = in[i] - REEF_TIMESTAMP_EPOCH_MOVE;
		return true;
	}
	for (size_t i = 0; i < count; i++)
		ok &= reef_timestamp_of_unix(in[i], &out[i]);
	return ok;
}

bool
reef_plain_convert_int64(ReefKind kind, const int64_t *in, void *values,
						 size_t count)
{
	if (kind == REEF_KIND_TIMESTAMP || kind == REEF_KIND_TIMESTAMPTZ)
		return convert_timestamps(in, values, count);
	if (values != in)
		memcpy(values, in, count * sizeof(int64_t));
	return true;
}

/* Little-endian integers to the processor's, in place or not. */
static void
get_integers(const uint8_t *in, void *values, size_t count, int width)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	for (size_t i = 0; i < count; i++)
	{
		if (width == 4)
			((uint32_t *) values)[i] = reef_get_u32(in + 4 * i);
		else
			((uint64_t *) values)[i] = reef_get_u64(in + 8 * i);
	}
#else
	if ((const uint8_t *) values != in && count > 0)
		memcpy(values, in, count * (size_t) width);
#endif
}

static bool
decode_int16(ReefSlice bytes, int16_t *values, size_t count)
{
	bool		ok = true;

	for (size_t i = 0; i < count; i++)
	{
		int32_t		v = (int32_t) reef_get_u32(bytes.data + 4 * i);

		values[i] = (int16_t) v;
		ok &= values[i] == v;
	}
	return ok;
}

bool
reef_plain_decode(ReefKind kind, ReefSlice bytes, void *values, size_t count)
{
	int			width = reef_physical_width(kind);

	if (kind == REEF_KIND_BOOL)
		return decode_booleans(bytes, values, count);
	if (reef_kind_is_variable(kind))
		return decode_slices(bytes, values, count);
	if (bytes.size != count * (size_t) width)
		return false;
	switch (kind)
	{
		case REEF_KIND_INT16:
			return decode_int16(bytes, values, count);
		case REEF_KIND_DECIMAL128:
			for (size_t i = 0; i < count; i++)
			{
				ReefValue	v;

				(void) reef_physical_decode(kind,
											reef_slice(bytes.data + 16 * i,
													   16), &v);
				memcpy((uint8_t *) values + 16 * i, &v.as.int128, 16);
			}
			return true;
		case REEF_KIND_UUID:
			if ((const uint8_t *) values != bytes.data && count > 0)
				memcpy(values, bytes.data, bytes.size);
			return true;
		case REEF_KIND_DATE:
			get_integers(bytes.data, values, count, 4);
			return reef_plain_convert_int32(kind, values, values, count);
		default:
			get_integers(bytes.data, values, count, width);
			return width != 8 ||
				reef_plain_convert_int64(kind, values, values, count);
	}
}
