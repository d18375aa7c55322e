/*
 * memtable.c
 *	  Generations: where the memory of a memtable comes from and goes back to.
 *
 * The host hands out shared memory in pages; a generation takes blocks of them
 * and gives pieces away from the newest block.  Nothing is freed piecemeal:
 * readers may hold any pointer into a generation as long as they hold a
 * reference on it, and the last one to let go frees all its blocks, the one
 * the generation itself lives in included.
 */
#include "engine/memtable.h"

/* Blocks double between these; a bigger piece gets a block of its own. */
#define GENERATION_BLOCK_MIN_SIZE ((size_t) 4 * REEF_SHARED_PAGE_SIZE)
#define GENERATION_BLOCK_MAX_SIZE ((size_t) 64 * REEF_SHARED_PAGE_SIZE)
#define GENERATION_ALIGNMENT ((size_t) 16)

typedef struct ReefGenerationBlock
{
	struct ReefGenerationBlock *next;	/* older */
	size_t		size;			/* this header included */
} ReefGenerationBlock;

#define BLOCK_HEADER_SIZE \
	((sizeof(ReefGenerationBlock) + GENERATION_ALIGNMENT - 1) & \
	 ~(GENERATION_ALIGNMENT - 1))

/* What reef_skiplist_* allocates through. */
typedef struct GenerationMemory
{
	const ReefHost *host;
	ReefGeneration *generation;
} GenerationMemory;

static size_t
round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

static ReefGenerationBlock *
block_new(const ReefHost *host, size_t size)
{
	ReefGenerationBlock *block = host->shared_alloc(host->arg, size);

	if (block != NULL)
	{
		block->next = NULL;
		block->size = size;
	}
	return block;
}

void *
reef_generation_alloc(const ReefHost *host, ReefGeneration *generation,
					  size_t size)
{
	ReefGenerationBlock *newest = generation->blocks;
	ReefGenerationBlock *block;
	size_t		block_size;
	void	   *piece;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = round_up(size, GENERATION_ALIGNMENT);
	if (newest->size - generation->block_used >= size)
	{
		piece = (uint8_t *) newest + generation->block_used;
		generation->block_used += size;
		return piece;
	}

	block_size = newest->size * 2;
	if (block_size > GENERATION_BLOCK_MAX_SIZE)
		block_size = GENERATION_BLOCK_MAX_SIZE;
	if (block_size < BLOCK_HEADER_SIZE + size)
		block_size = round_up(BLOCK_HEADER_SIZE + size, REEF_SHARED_PAGE_SIZE);
	block = block_new(host, block_size);
	if (block == NULL)
		return NULL;
	atomic_fetch_add_explicit(&generation->size, block_size,
							  memory_order_relaxed);
	piece = (uint8_t *) block + BLOCK_HEADER_SIZE;

	/*
	 * Go on with whichever block has more room left: a big piece must not
	 * strand the rest of the block before it.
	 */
	if (newest->size - generation->block_used >
		block_size - BLOCK_HEADER_SIZE - size)
	{
		block->next = newest->next;
		newest->next = block;
	}
	else
	{
		block->next = newest;
		generation->blocks = block;
		generation->block_used = BLOCK_HEADER_SIZE + size;
	}
	return piece;
}

static void *
allocate_piece(void *arg, size_t size)
{
	GenerationMemory *memory = arg;

	return reef_generation_alloc(memory->host, memory->generation, size);
}

ReefCode
reef_generation_new(const ReefHost *host, uint64_t lsn_from,
					ReefGeneration **generation, ReefError *err)
{
	ReefGenerationBlock *block = block_new(host, GENERATION_BLOCK_MIN_SIZE);
	ReefGeneration *fresh;
	GenerationMemory memory;
	uint64_t	seed;
	ReefCode	rc;

	if (block == NULL)
		return reef_error_set(err, REEF_LIMIT,
							  "memory for a memtable is used up", NULL);
	fresh = (ReefGeneration *) ((uint8_t *) block + BLOCK_HEADER_SIZE);
	memset(fresh, 0, sizeof(*fresh));
	fresh->lsn_from = lsn_from;
	atomic_init(&fresh->lsn_to, lsn_from);
	atomic_init(&fresh->layouts, NULL);
	atomic_init(&fresh->first_attached, NULL);
	atomic_init(&fresh->size, block->size);
	fresh->references = 1;
	fresh->blocks = block;
	fresh->block_used = BLOCK_HEADER_SIZE +
		round_up(sizeof(*fresh), GENERATION_ALIGNMENT);

	memory.host = host;
	memory.generation = fresh;
	host->random(host->arg, &seed, sizeof(seed));
	rc = reef_skiplist_init(&fresh->rows, allocate_piece, &memory, seed, err);
	if (rc != REEF_OK)
	{
		reef_generation_free(host, fresh);
		return rc;
	}
	*generation = fresh;
	return REEF_OK;
}

void
reef_generation_free(const ReefHost *host, ReefGeneration *generation)
{
	ReefGenerationBlock *block = generation->blocks;

	/* the generation itself is in one of them: touch it no more */
	while (block != NULL)
	{
		ReefGenerationBlock *next = block->next;

		host->shared_free(host->arg, block, block->size);
		block = next;
	}
}

static bool
column_equal(const ReefColumn *a, const ReefColumn *b)
{
	return strcmp(a->name, b->name) == 0 &&
		a->type.kind == b->type.kind &&
		a->type.precision == b->type.precision &&
		a->type.scale == b->type.scale &&
		a->type.length == b->type.length &&
		strcmp(a->type.pg_type, b->type.pg_type) == 0 &&
		a->key_position == b->key_position &&
		a->not_null == b->not_null &&
		a->has_bloom == b->has_bloom;
}

static bool
schema_equal(const ReefSchema *a, const ReefSchema *b)
{
	int			i;

	if (a->column_count != b->column_count)
		return false;
	for (i = 0; i < a->column_count; i++)
	{
		if (!column_equal(&a->columns[i], &b->columns[i]))
			return false;
	}
	return true;
}

static const char *
copy_string(const ReefHost *host, ReefGeneration *generation,
			const char *string)
{
	size_t		size = strlen(string) + 1;
	char	   *copy = reef_generation_alloc(host, generation, size);

	if (copy != NULL)
		memcpy(copy, string, size);
	return copy;
}

ReefCode
reef_generation_layout(const ReefHost *host, ReefGeneration *generation,
					   const ReefSchema *schema, const ReefLayout **layout,
					   ReefError *err)
{
	ReefLayout *head = atomic_load_explicit(&generation->layouts,
											memory_order_relaxed);
	ReefLayout *fresh;
	ReefColumn *columns;
	int			i;

	for (fresh = head; fresh != NULL; fresh = fresh->next)
	{
		if (schema_equal(&fresh->schema, schema))
		{
			*layout = fresh;
			return REEF_OK;
		}
	}

	fresh = reef_generation_alloc(host, generation, sizeof(*fresh));
	columns = reef_generation_alloc(host, generation,
									sizeof(*columns) *
									(size_t) schema->column_count);
	if (fresh == NULL || columns == NULL)
		return reef_error_set(err, REEF_LIMIT,
							  "memory for a memtable is used up", NULL);
	for (i = 0; i < schema->column_count; i++)
	{
		columns[i] = schema->columns[i];
		columns[i].name = copy_string(host, generation, columns[i].name);
		columns[i].type.pg_type =
			copy_string(host, generation, columns[i].type.pg_type);
		if (columns[i].name == NULL || columns[i].type.pg_type == NULL)
			return reef_error_set(err, REEF_LIMIT,
								  "memory for a memtable is used up", NULL);
	}
	fresh->schema.column_count = schema->column_count;
	fresh->schema.columns = columns;
	atomic_init(&fresh->is_published, false);
	fresh->next = head;
	atomic_store_explicit(&generation->layouts, fresh, memory_order_release);
	*layout = fresh;
	return REEF_OK;
}
