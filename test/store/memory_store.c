/*
 * memory_store.c
 *	  An object store in memory: a sorted array of objects.
 */
#include "memory_store.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct MemoryObject
{
	char	   *key;
	uint8_t    *data;
	size_t		size;
	int64_t		modified_us;
} MemoryObject;

struct ReefMemoryBucket
{
	MemoryObject *objects;		/* in key order */
	size_t		count;
	size_t		capacity;
	int64_t		now_us;
};

typedef struct MemoryWriter
{
	char	   *key;
	ReefBuf		bytes;
} MemoryWriter;

/* Where the key is, or would be. */
static size_t
find_place(const ReefMemoryBucket *bucket, const char *key, bool *found)
{
	size_t		low = 0;
	size_t		high = bucket->count;

	*found = false;
	while (low < high)
	{
		size_t		middle = low + (high - low) / 2;
		int			order = strcmp(bucket->objects[middle].key, key);

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

static MemoryObject *
find(const ReefMemoryBucket *bucket, const char *key)
{
	bool		found;
	size_t		place = find_place(bucket, key, &found);

	return found ? &bucket->objects[place] : NULL;
}

static ReefCode
not_found(const char *key, ReefError *err)
{
	return reef_error_set(err, REEF_NOT_FOUND, "object does not exist",
						  "object %s", key);
}

static void
describe(const MemoryObject *object, ReefObjectInfo *info)
{
	snprintf(info->key, sizeof(info->key), "%s", object->key);
	info->size = object->size;
	info->modified_us = object->modified_us;
}

static ReefCode
memory_put_if_absent(void *impl, const char *key, ReefSlice bytes,
					 ReefError *err)
{
	ReefMemoryBucket *bucket = impl;
	MemoryObject object;
	bool		found;
	size_t		place = find_place(bucket, key, &found);

	if (found)
		return reef_error_set(err, REEF_CONFLICT, "object exists already",
							  "object %s", key);
	if (bucket->count == bucket->capacity)
	{
		size_t		capacity = bucket->capacity * 2 + 16;
		MemoryObject *objects = reallocarray(bucket->objects, capacity,
											 sizeof(*objects));

		if (objects == NULL)
			return reef_error_no_memory(err, capacity * sizeof(*objects));
		bucket->objects = objects;
		bucket->capacity = capacity;
	}
	object.key = strdup(key);
	/* exactly as large as the object, so that a read past its end is seen */
	object.data = malloc(bytes.size > 0 ? bytes.size : 1);
	if (object.key == NULL || object.data == NULL)
	{
		free(object.key);
		free(object.data);
		return reef_error_no_memory(err, bytes.size);
	}
	if (bytes.size > 0)
		memcpy(object.data, bytes.data, bytes.size);
	object.size = bytes.size;
	object.modified_us = bucket->now_us;
	memmove(bucket->objects + place + 1, bucket->objects + place,
			(bucket->count - place) * sizeof(object));
	bucket->objects[place] = object;
	bucket->count++;
	return REEF_OK;
}

static ReefCode
memory_put_race(void *impl, const char *key, const ReefSlice *bodies,
				int count, ReefCode *outcomes, ReefError *err)
{
	/* One of the orders that a real race could have. */
	for (int i = 0; i < count; i++)
	{
		int			racer = (i + count / 2) % count;

		outcomes[racer] = memory_put_if_absent(impl, key, bodies[racer], err);
	}
	return REEF_OK;
}

static ReefCode
memory_get(void *impl, const char *key, ReefBuf *out, ReefError *err)
{
	MemoryObject *object = find(impl, key);

	if (object == NULL)
		return not_found(key, err);
	reef_buf_append(out, object->data, object->size);
	return reef_buf_check(out, err);
}

static ReefCode
memory_get_range(void *impl, const char *key, uint64_t offset, size_t size,
				 void *out, ReefError *err)
{
	MemoryObject *object = find(impl, key);

	if (object == NULL)
		return not_found(key, err);
	if (offset > object->size || size > object->size - offset)
		return reef_error_set(err, REEF_CORRUPT,
							  "object is shorter than expected",
							  "object %s ends at byte %zu", key, object->size);
	if (size > 0)
		memcpy(out, object->data + offset, size);
	return REEF_OK;
}

static ReefCode
memory_head(void *impl, const char *key, ReefObjectInfo *info, ReefError *err)
{
	MemoryObject *object = find(impl, key);

	if (object == NULL)
		return not_found(key, err);
	describe(object, info);
	return REEF_OK;
}

static ReefCode
memory_list(void *impl, const char *prefix, const char *start_after,
			size_t limit, ReefObjectList *out, ReefError *err)
{
	ReefMemoryBucket *bucket = impl;
	size_t		first = out->count;

	for (size_t i = 0; i < bucket->count; i++)
	{
		ReefObjectInfo info;

		if (strncmp(bucket->objects[i].key, prefix, strlen(prefix)) != 0 ||
			strcmp(bucket->objects[i].key, start_after) <= 0)
			continue;
		if (limit > 0 && out->count - first == limit)
			break;
		describe(&bucket->objects[i], &info);
		REEF_TRY(reef_object_list_append(out, &info, err));
	}
	return REEF_OK;
}

bool
reef_memory_bucket_remove(ReefMemoryBucket *bucket, const char *key)
{
	bool		found;
	size_t		place = find_place(bucket, key, &found);

	if (!found)
		return false;
	free(bucket->objects[place].key);
	free(bucket->objects[place].data);
	bucket->count--;
	memmove(bucket->objects + place, bucket->objects + place + 1,
			(bucket->count - place) * sizeof(*bucket->objects));
	return true;
}

static ReefCode
memory_delete(void *impl, const char *key, ReefError *err)
{
	(void) err;
	(void) reef_memory_bucket_remove(impl, key);	/* absent is fine */
	return REEF_OK;
}

static ReefCode
memory_write_begin(void *impl, const char *key, void **writer, ReefError *err)
{
	MemoryWriter *result = malloc(sizeof(*result));

	(void) impl;
	if (result == NULL || (result->key = strdup(key)) == NULL)
	{
		free(result);
		return reef_error_no_memory(err, sizeof(*result));
	}
	reef_buf_init(&result->bytes);
	*writer = result;
	return REEF_OK;
}

static ReefCode
memory_write(void *impl, void *writer, ReefSlice bytes, ReefError *err)
{
	MemoryWriter *memory_writer = writer;

	(void) impl;
	reef_buf_append(&memory_writer->bytes, bytes.data, bytes.size);
	return reef_buf_check(&memory_writer->bytes, err);
}

static void
memory_write_abort(void *impl, void *writer)
{
	MemoryWriter *memory_writer = writer;

	(void) impl;
	reef_buf_release(&memory_writer->bytes);
	free(memory_writer->key);
	free(memory_writer);
}

static ReefCode
memory_write_commit(void *impl, void *writer, ReefError *err)
{
	MemoryWriter *memory_writer = writer;

	REEF_TRY(memory_put_if_absent(impl, memory_writer->key,
								  reef_buf_slice(&memory_writer->bytes),
								  err));
	memory_write_abort(impl, writer);
	return REEF_OK;
}

static ReefCode
memory_now(void *impl, int64_t *now_us, ReefError *err)
{
	(void) err;
	*now_us = ((ReefMemoryBucket *) impl)->now_us;
	return REEF_OK;
}

static void
memory_close(void *impl)
{
	(void) impl;				/* the bucket outlives its handles */
}

const ReefStoreOps reef_memory_store_ops = {
	.kind = "memory",
	.put_if_absent = memory_put_if_absent,
	.put_race = memory_put_race,
	.get = memory_get,
	.get_range = memory_get_range,
	.head = memory_head,
	.list = memory_list,
	.delete_object = memory_delete,
	.write_begin = memory_write_begin,
	.write = memory_write,
	.write_commit = memory_write_commit,
	.write_abort = memory_write_abort,
	.now = memory_now,
	.close = memory_close
};

ReefCode
reef_memory_store_open(ReefMemoryBucket *bucket, const ReefHost *host,
					   bool read_only, ReefStore **store, ReefError *err)
{
	ReefStoreOptions options = {
		.location = "memory://",
		.read_only = read_only
	};

	return reef_store_new(host, &reef_memory_store_ops, bucket, &options,
						  store, err);
}

ReefMemoryBucket *
reef_memory_bucket_new(void)
{
	ReefMemoryBucket *bucket = calloc(1, sizeof(*bucket));

	if (bucket == NULL)
		abort();
	bucket->now_us = INT64_C(1700000000) * 1000000;
	return bucket;
}

void
reef_memory_bucket_free(ReefMemoryBucket *bucket)
{
	for (size_t i = 0; i < bucket->count; i++)
	{
		free(bucket->objects[i].key);
		free(bucket->objects[i].data);
	}
	free(bucket->objects);
	free(bucket);
}

void
reef_memory_bucket_set_time(ReefMemoryBucket *bucket, int64_t now_us)
{
	bucket->now_us = now_us;
}

int64_t
reef_memory_bucket_time(const ReefMemoryBucket *bucket)
{
	return bucket->now_us;
}

size_t
reef_memory_bucket_count(const ReefMemoryBucket *bucket)
{
	return bucket->count;
}

const char *
reef_memory_bucket_key(const ReefMemoryBucket *bucket, size_t i)
{
	return bucket->objects[i].key;
}

ReefSlice
reef_memory_bucket_bytes(const ReefMemoryBucket *bucket, const char *key)
{
	const MemoryObject *object = find(bucket, key);

	return object == NULL ? reef_slice(NULL, 0) :
		reef_slice(object->data, object->size);
}

bool
reef_memory_bucket_flip(ReefMemoryBucket *bucket, const char *key,
						size_t offset, uint8_t mask)
{
	MemoryObject *object = find(bucket, key);

	if (object == NULL || offset >= object->size)
		return false;
	object->data[offset] ^= mask;
	return true;
}

bool
reef_memory_bucket_truncate(ReefMemoryBucket *bucket, const char *key,
							size_t size)
{
	MemoryObject *object = find(bucket, key);

	if (object == NULL || size > object->size)
		return false;
	object->size = size;
	return true;
}
