/*
 * bucket.c
 *	  The objects of a store, in memory.
 *
 * States are checked by the hundred thousand, and many checks change the
 * bucket (a server takes over, folds, deletes), so a copy shares the objects
 * and costs one pointer each.
 */
#include <stdlib.h>

#include "sim.h"

SimBucket *
sim_bucket_new(void)
{
	SimBucket  *bucket = calloc(1, sizeof(*bucket));

	if (bucket == NULL)
		abort();
	return bucket;
}

SimBucket *
sim_bucket_copy(const SimBucket *bucket)
{
	SimBucket  *copy = sim_bucket_new();

	*copy = *bucket;
	copy->capacity = bucket->count + 16;
	copy->entries = malloc(sizeof(SimEntry) * copy->capacity);
	if (copy->entries == NULL)
		abort();
	for (size_t i = 0; i < bucket->count; i++)
	{
		copy->entries[i] = bucket->entries[i];
		copy->entries[i].object->references++;
	}
	return copy;
}

static void
release(SimObject *object)
{
	if (--object->references > 0)
		return;
	free(object->data);
	free(object);
}

void
sim_bucket_free(SimBucket *bucket)
{
	for (size_t i = 0; i < bucket->count; i++)
		release(bucket->entries[i].object);
	free(bucket->entries);
	free(bucket);
}

static size_t
find_place(const SimBucket *bucket, const char *key, bool *found)
{
	size_t		low = 0;
	size_t		high = bucket->count;

	*found = false;
	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;
		int			order = strcmp(bucket->entries[middle].object->key, key);

		if (order == 0)
		{
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const SimEntry *
sim_bucket_find(const SimBucket *bucket, const char *key)
{
	bool		found;
	size_t		place = find_place(bucket, key, &found);

	return found ? &bucket->entries[place] : NULL;
}

/* The bytes are exactly as large as the object, so that a sanitizer sees a
 * read past its end. */
static SimObject *
new_object(const char *key, ReefSlice bytes)
{
	size_t		key_size = strlen(key) + 1;
	SimObject  *object = malloc(sizeof(*object) + key_size);

	if (object == NULL)
		abort();
	object->references = 1;
	object->size = bytes.size;
	object->data = malloc(bytes.size > 0 ? bytes.size : 1);
	if (object->data == NULL)
		abort();
	if (bytes.size > 0)
		memcpy(object->data, bytes.data, bytes.size);
	memcpy(object->key, key, key_size);
	return object;
}

bool
sim_bucket_put(SimBucket *bucket, const char *key, ReefSlice bytes,
			   int64_t now_us)
{
	bool		found;
	size_t		place = find_place(bucket, key, &found);

	if (found)
		return false;
	if (bucket->count == bucket->capacity)
	{
		bucket->capacity = bucket->capacity * 2 + 16;
		bucket->entries = reallocarray(bucket->entries, bucket->capacity,
									   sizeof(SimEntry));
		if (bucket->entries == NULL)
			abort();
	}
	memmove(bucket->entries + place + 1, bucket->entries + place,
			(bucket->count - place) * sizeof(SimEntry));
	bucket->entries[place].object = new_object(key, bytes);
	bucket->entries[place].modified_us = now_us;
	bucket->count++;
	bucket->version++;
	return true;
}

bool
sim_bucket_remove(SimBucket *bucket, const char *key)
{
	bool		found;
	size_t		place = find_place(bucket, key, &found);

	if (!found)
		return false;
	release(bucket->entries[place].object);
	bucket->count--;
	memmove(bucket->entries + place, bucket->entries + place + 1,
			(bucket->count - place) * sizeof(SimEntry));
	bucket->version++;
	return true;
}

void
sim_bucket_damage(SimBucket *bucket, size_t index, size_t size,
				  size_t flip_at, uint8_t mask)
{
	SimObject  *object = bucket->entries[index].object;
	SimObject  *damaged = new_object(object->key,
									 reef_slice(object->data, size));

	if (flip_at < size)
		damaged->data[flip_at] ^= mask;
	release(object);
	bucket->entries[index].object = damaged;
	bucket->version++;
}

void
sim_bucket_replace(SimBucket *bucket, const char *key, ReefSlice bytes)
{
	const SimEntry *entry = sim_bucket_find(bucket, key);
	int64_t		modified_us;

	if (entry == NULL)
		return;
	modified_us = entry->modified_us;
	(void) sim_bucket_remove(bucket, key);
	(void) sim_bucket_put(bucket, key, bytes, modified_us);
}
