/*
 * dictionary.c
 *	  Open addressing over the PLAIN bytes of values.
 *
 * Equal means equal bytes: -0 and 0, or two NaNs, stay what they are.
 */
#include "parquet/dictionary.h"

#include <stdlib.h>

#include "parquet/type.h"

#define FIRST_SLOT_COUNT 1024
/* After so many values ... */
#define PROBATION_COUNT 8192
/* ... there must be this many for each distinct one. */
#define PROBATION_REPEATS 2

void
reef_dictionary_init(ReefDictionary *dictionary, ReefKind kind)
{
	memset(dictionary, 0, sizeof(*dictionary));
	dictionary->width = reef_physical_width(kind);
	/* booleans are a bit each as they are */
	dictionary->is_given_up = kind == REEF_KIND_BOOL;
	reef_buf_init(&dictionary->values);
	reef_buf_init(&dictionary->offsets);
	reef_buf_init(&dictionary->indexes);
}

static void
give_up(ReefDictionary *dictionary)
{
	reef_buf_release(&dictionary->values);
	reef_buf_release(&dictionary->offsets);
	reef_buf_release(&dictionary->indexes);
	free(dictionary->slots);
	dictionary->slots = NULL;
	dictionary->slot_count = 0;
	dictionary->count = 0;
	dictionary->is_given_up = true;
}

void
reef_dictionary_release(ReefDictionary *dictionary)
{
	give_up(dictionary);
}

void
reef_dictionary_reset(ReefDictionary *dictionary)
{
	reef_buf_reset(&dictionary->values);
	reef_buf_reset(&dictionary->offsets);
	reef_buf_reset(&dictionary->indexes);
	if (dictionary->slots != NULL)
		memset(dictionary->slots, 0,
			   dictionary->slot_count * sizeof(uint32_t));
	dictionary->count = 0;
	dictionary->is_given_up = dictionary->width == 1;
}

size_t
reef_dictionary_memory(const ReefDictionary *dictionary)
{
	return dictionary->values.capacity + dictionary->offsets.capacity +
		dictionary->indexes.capacity +
		dictionary->slot_count * sizeof(uint32_t);
}

static uint64_t
hash_value(const uint8_t *p, size_t size)
{
	const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15);
	uint64_t	h = size * factor;

	for (; size >= 8; size -= 8, p += 8)
	{
		h = (h ^ reef_get_u64(p)) * factor;
		h ^= h >> 32;
	}
	if (size >= 4)
	{
		h = (h ^ reef_get_u32(p)) * factor;
		h ^= h >> 32;
		size -= 4;
		p += 4;
	}
	for (; size > 0; size--, p++)
		h = (h ^ *p) * factor;
	return h ^ (h >> 29);
}

static size_t
value_size(const ReefDictionary *dictionary, const uint8_t *value)
{
	if (dictionary->width > 0)
		return (size_t) dictionary->width;
	return 4 + (size_t) reef_get_u32(value);
}

static const uint8_t *
value_at(const ReefDictionary *dictionary, uint32_t number)
{
	return dictionary->values.data +
		((const uint32_t *) dictionary->offsets.data)[number];
}

static bool
grow(ReefDictionary *dictionary)
{
	uint32_t	slot_count = dictionary->slot_count == 0 ?
		FIRST_SLOT_COUNT : dictionary->slot_count * 2;
	uint32_t   *slots = calloc(slot_count, sizeof(uint32_t));

	if (slots == NULL)
		return false;
	for (uint32_t i = 0; i < dictionary->count; i++)
	{
		const uint8_t *value = value_at(dictionary, i);
		uint32_t	slot = (uint32_t)
			hash_value(value, value_size(dictionary, value)) &
			(slot_count - 1);

		while (slots[slot] != 0)
			slot = (slot + 1) & (slot_count - 1);
		slots[slot] = i + 1;
	}
	free(dictionary->slots);
	dictionary->slots = slots;
	dictionary->slot_count = slot_count;
	return true;
}

/* The value's number; UINT32_MAX if the dictionary cannot take it. */
static uint32_t
find_or_add(ReefDictionary *dictionary, const uint8_t *value, size_t size)
{
	uint32_t	mask;
	uint32_t	slot;
	uint32_t	offset = (uint32_t) dictionary->values.size;

	if (dictionary->count >= dictionary->slot_count / 2 && !grow(dictionary))
		return UINT32_MAX;
	mask = dictionary->slot_count - 1;
	slot = (uint32_t) hash_value(value, size) & mask;
	while (dictionary->slots[slot] != 0)
	{
		const uint8_t *known = value_at(dictionary,
										dictionary->slots[slot] - 1);

		if (value_size(dictionary, known) == size &&
			memcmp(known, value, size) == 0)
			return dictionary->slots[slot] - 1;
		slot = (slot + 1) & mask;
	}
	if (size > REEF_DICTIONARY_MAX_SIZE - dictionary->values.size)
		return UINT32_MAX;
	reef_buf_append(&dictionary->values, value, size);
	reef_buf_append(&dictionary->offsets, &offset, sizeof(offset));
	if (dictionary->values.failed || dictionary->offsets.failed)
		return UINT32_MAX;
	dictionary->slots[slot] = ++dictionary->count;
	return dictionary->count - 1;
}

void
reef_dictionary_add(ReefDictionary *dictionary, ReefSlice values, size_t count)
{
	const uint8_t *p = values.data;
	const uint8_t *previous = NULL;
	size_t		previous_size = 0;
	uint32_t	number = 0;
	uint32_t   *indexes;

	if (dictionary->is_given_up || count == 0)
		return;
	indexes = (uint32_t *) (void *)
		reef_buf_reserve(&dictionary->indexes, count * sizeof(uint32_t));
	if (indexes == NULL)
	{
		give_up(dictionary);
		return;
	}
	for (size_t i = 0; i < count; i++)
	{
		size_t		size = value_size(dictionary, p);

		/* sorted and constant columns repeat the previous value */
		if (previous == NULL || size != previous_size ||
			memcmp(p, previous, size) != 0)
			number = find_or_add(dictionary, p, size);
		if (number == UINT32_MAX)
		{
			give_up(dictionary);
			return;
		}
		indexes[i] = number;
		previous = p;
		previous_size = size;
		p += size;
	}
	dictionary->indexes.size += count * sizeof(uint32_t);
	count = dictionary->indexes.size / sizeof(uint32_t);
	if (count >= PROBATION_COUNT &&
		dictionary->count > count / PROBATION_REPEATS)
		give_up(dictionary);
}
