/*
 * compress.c
 *	  zstd and LZ4, one block at a time.
 *
 * A zstd context takes longer to set up than a page takes to compress, so
 * each thread keeps the two it needs until it ends.
 */
#include "base/compress.h"

#include <limits.h>
#include <lz4.h>
#include <zstd.h>

static __thread ZSTD_CCtx *zstd_compressor;
static __thread ZSTD_DCtx *zstd_decompressor;

static ReefCode
compress_zstd(int level, ReefSlice in, ReefBuf *out, ReefError *err)
{
	size_t		bound = ZSTD_compressBound(in.size);
	uint8_t    *place;
	size_t		size;

	if (ZSTD_isError(bound))
		return reef_error_set(err, REEF_LIMIT,
							  "block is too large to compress",
							  "%zu bytes", in.size);
	if (zstd_compressor == NULL)
		zstd_compressor = ZSTD_createCCtx();
	if (zstd_compressor == NULL)
		return reef_error_set(err, REEF_NO_MEMORY, "out of memory",
							  "could not create a zstd context");
	place = reef_buf_reserve(out, bound);
	if (place == NULL)
		return reef_error_no_memory(err, bound);
	size = ZSTD_compressCCtx(zstd_compressor, place, bound, in.data, in.size,
							 level);
	if (ZSTD_isError(size))
		return reef_error_set(err, REEF_NO_MEMORY, "could not compress",
							  "zstd: %s", ZSTD_getErrorName(size));
	out->size += size;
	return REEF_OK;
}

static ReefCode
compress_lz4(ReefSlice in, ReefBuf *out, ReefError *err)
{
	int			bound;
	int			size;
	uint8_t    *place;

	if (in.size > LZ4_MAX_INPUT_SIZE)
		return reef_error_set(err, REEF_LIMIT,
							  "block is too large to compress",
							  "%zu bytes", in.size);
	bound = LZ4_compressBound((int) in.size);
	place = reef_buf_reserve(out, (size_t) bound);
	if (place == NULL)
		return reef_error_no_memory(err, (size_t) bound);
	size = LZ4_compress_default((const char *) in.data, (char *) place,
								(int) in.size, bound);
	if (size <= 0)
		return reef_error_set(err, REEF_BUG, "could not compress",
							  "lz4 needs more than its own bound");
	out->size += (size_t) size;
	return REEF_OK;
}

ReefCode
reef_compress(ReefCodec codec, int level, ReefSlice in, ReefBuf *out,
			  ReefError *err)
{
	switch (codec)
	{
		case REEF_CODEC_NONE:
			reef_buf_append(out, in.data, in.size);
			return reef_buf_check(out, err);
		case REEF_CODEC_ZSTD:
			return compress_zstd(level, in, out, err);
		case REEF_CODEC_LZ4:
			return compress_lz4(in, out, err);
	}
	return reef_error_set(err, REEF_UNSUPPORTED, "unknown compression",
						  "codec %d", (int) codec);
}

static ReefCode
wrong_size(size_t size, size_t wanted, ReefError *err)
{
	return reef_error_set(err, REEF_CORRUPT, "compressed block is damaged",
						  "it stands for %zu bytes instead of %zu",
						  size, wanted);
}

static ReefCode
decompress_zstd(ReefSlice in, void *out, size_t out_size, ReefError *err)
{
	size_t		size;

	if (zstd_decompressor == NULL)
		zstd_decompressor = ZSTD_createDCtx();
	if (zstd_decompressor == NULL)
		return reef_error_set(err, REEF_NO_MEMORY, "out of memory",
							  "could not create a zstd context");
	size = ZSTD_decompressDCtx(zstd_decompressor, out, out_size, in.data,
							   in.size);
	if (ZSTD_isError(size))
		return reef_error_set(err, REEF_CORRUPT,
							  "compressed block is damaged",
							  "zstd: %s", ZSTD_getErrorName(size));
	if (size != out_size)
		return wrong_size(size, out_size, err);
	return REEF_OK;
}

static ReefCode
decompress_lz4(ReefSlice in, void *out, size_t out_size, ReefError *err)
{
	char		nothing;
	int			size;

	if (in.size > INT_MAX || out_size > LZ4_MAX_INPUT_SIZE)
		return reef_error_set(err, REEF_CORRUPT,
							  "compressed block is damaged",
							  "%zu bytes from %zu are more than lz4 allows",
							  out_size, in.size);
	/* lz4 takes no null pointer, not even for no bytes */
	size = LZ4_decompress_safe((const char *) in.data,
							   out_size > 0 ? out : &nothing,
							   (int) in.size, (int) out_size);
	if (size < 0)
		return reef_error_set(err, REEF_CORRUPT,
							  "compressed block is damaged",
							  "lz4 found no valid block of %zu bytes",
							  out_size);
	if ((size_t) size != out_size)
		return wrong_size((size_t) size, out_size, err);
	return REEF_OK;
}

ReefCode
reef_decompress(ReefCodec codec, ReefSlice in, void *out, size_t out_size,
				ReefError *err)
{
	switch (codec)
	{
		case REEF_CODEC_NONE:
			if (in.size != out_size)
				return wrong_size(in.size, out_size, err);
			if (out_size > 0)
				memcpy(out, in.data, out_size);
			return REEF_OK;
		case REEF_CODEC_ZSTD:
			return decompress_zstd(in, out, out_size, err);
		case REEF_CODEC_LZ4:
			return decompress_lz4(in, out, out_size, err);
	}
	return reef_error_set(err, REEF_UNSUPPORTED, "unknown compression",
						  "codec %d", (int) codec);
}
