/*
 * page_copy.c
 *	  A decoded page, copied into one piece of memory.
 *
 * A vector of a variable kind points into whatever its decoder had: the
 * page's own bytes, in order, or a dictionary, whose strings many rows share.
 * Copying string by string would make the first slow and the second large.
 * So strings that lie one behind the other, with no more between them than
 * the length that Parquet puts there, are copied as they lie, and of all
 * others each is copied once for the first row that has it.
 *
 * The block is: values, nulls, bytes.
 */
#include <stdlib.h>

#include "engine/page_cache.h"

/* What may lie between two strings of one page: a length.  Two separate
 * pieces of memory are never so close. */
#define GAP_MAX 4

static bool
is_absent(const ReefVector *vector, uint32_t row)
{
	return vector->nulls != NULL && vector->nulls[row] != 0;
}

/* Are all strings one behind the other? */
static bool
find_span(ReefPageCopy *copy, const ReefSlice *slices)
{
	const uint8_t *start = NULL;
	const uint8_t *end = NULL;
	uint32_t	row;

	for (row = 0; row < copy->row_count; row++)
	{
		const ReefSlice *slice = &slices[row];

		if (is_absent(copy->vector, row) || slice->data == NULL)
			continue;
		if (start == NULL)
			start = end = slice->data;
		if ((uintptr_t) slice->data < (uintptr_t) end ||
			(uintptr_t) slice->data - (uintptr_t) end > GAP_MAX)
			return false;
		end = slice->data + slice->size;
	}
	copy->span = start;
	copy->span_size = start == NULL ? 0 : (size_t) (end - start);
	return true;
}

static uint32_t
hash_address(const void *address)
{
	uint64_t	number = (uint64_t) (uintptr_t) address;

	return (uint32_t) ((number * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

/* Find for each row the first one with the same bytes at the same place. */
static bool
find_first_rows(ReefPageCopy *copy, const ReefSlice *slices)
{
	uint32_t	slot_count = 16;
	uint32_t   *slots;			/* 1 + row; 0: free */
	uint32_t	row;

	while (slot_count < copy->row_count * 2)
		slot_count *= 2;
	slots = calloc(slot_count, sizeof(*slots));
	copy->first_rows = malloc(sizeof(uint32_t) *
							  ((size_t) copy->row_count + 1));
	if (slots == NULL || copy->first_rows == NULL)
	{
		free(slots);
		return false;
	}
	for (row = 0; row < copy->row_count; row++)
	{
		const ReefSlice *slice = &slices[row];
		uint32_t	slot;

		copy->first_rows[row] = row;
		if (is_absent(copy->vector, row))
			continue;
		slot = hash_address(slice->data) & (slot_count - 1);
		while (slots[slot] != 0 &&
			   (slices[slots[slot] - 1].data != slice->data ||
				slices[slots[slot] - 1].size != slice->size))
			slot = (slot + 1) & (slot_count - 1);
		if (slots[slot] != 0)
			copy->first_rows[row] = slots[slot] - 1;
		else
		{
			slots[slot] = row + 1;
			copy->size += slice->size;
		}
	}
	free(slots);
	return true;
}

bool
reef_page_copy_measure(ReefPageCopy *copy, const ReefVector *vector,
					   uint32_t row_count)
{
	memset(copy, 0, sizeof(*copy));
	copy->vector = vector;
	copy->row_count = row_count;
	copy->values_size = (size_t) reef_vector_element_size(vector->kind) *
		row_count;
	copy->size = copy->values_size + (vector->nulls == NULL ? 0 : row_count);
	if (!reef_kind_is_variable(vector->kind))
		return true;
	if (!find_span(copy, vector->values))
		return find_first_rows(copy, vector->values);
	copy->size += copy->span_size;
	return true;
}

static void
copy_span(const ReefPageCopy *copy, uint8_t *bytes, ReefSlice *out)
{
	const ReefSlice *slices = copy->vector->values;
	uint32_t	row;

	if (copy->span_size > 0)
		memcpy(bytes, copy->span, copy->span_size);
	for (row = 0; row < copy->row_count; row++)
	{
		out[row] = reef_slice(NULL, 0);
		if (!is_absent(copy->vector, row) && slices[row].data != NULL)
			out[row] = reef_slice(bytes + (slices[row].data - copy->span),
								  slices[row].size);
	}
}

static void
copy_strings(const ReefPageCopy *copy, uint8_t *bytes, ReefSlice *out)
{
	const ReefSlice *slices = copy->vector->values;
	uint32_t	row;

	for (row = 0; row < copy->row_count; row++)
	{
		out[row] = reef_slice(NULL, 0);
		if (is_absent(copy->vector, row))
			continue;
		if (copy->first_rows[row] != row)
		{
			out[row] = out[copy->first_rows[row]];
			continue;
		}
		out[row] = reef_slice(bytes, slices[row].size);
		if (slices[row].size > 0)
			memcpy(bytes, slices[row].data, slices[row].size);
		bytes += slices[row].size;
	}
}

void
reef_page_copy_write(const ReefPageCopy *copy, uint8_t *block,
					 ReefVector *vector)
{
	uint8_t    *bytes = block + copy->values_size;

	vector->kind = copy->vector->kind;
	vector->values = block;
	vector->nulls = NULL;
	if (copy->vector->nulls != NULL)
	{
		memcpy(bytes, copy->vector->nulls, copy->row_count);
		vector->nulls = bytes;
		bytes += copy->row_count;
	}
	if (!reef_kind_is_variable(copy->vector->kind))
	{
		if (copy->values_size > 0)
			memcpy(block, copy->vector->values, copy->values_size);
	}
	else if (copy->first_rows == NULL)
		copy_span(copy, bytes, (ReefSlice *) (void *) block);
	else
		copy_strings(copy, bytes, (ReefSlice *) (void *) block);
}

void
reef_page_copy_release(ReefPageCopy *copy)
{
	free(copy->first_rows);
	copy->first_rows = NULL;
}
