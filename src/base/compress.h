/*
 * compress.h
 *	  Compression of one block of bytes, for the frames of a WAL record and the
 *	  pages of a segment.
 *
 * The size of the original is not part of the compressed bytes: whoever
 * stores them stores it beside them, checks it against his own limit, and
 * passes it in.  So a damaged or hostile block can never make us allocate.
 */
#ifndef REEF_BASE_COMPRESS_H
#define REEF_BASE_COMPRESS_H

#include "base/bytes.h"

typedef enum ReefCodec			/* stored; never renumber */
{
	REEF_CODEC_NONE = 0,
	REEF_CODEC_ZSTD = 1,
	REEF_CODEC_LZ4 = 2,			/* one raw LZ4 block */
} ReefCodec;

/*
 * Append the compressed bytes to *out, which may be more than "in" has.
 * "level" is zstd's; LZ4 has none.
 */
extern ReefCode reef_compress(ReefCodec codec, int level, ReefSlice in,
							  ReefBuf *out, ReefError *err) REEF_MUST_CHECK;

/*
 * Restore exactly out_size bytes.  REEF_CORRUPT if the bytes are damaged or
 * stand for any other number, REEF_UNSUPPORTED for a codec that we do not
 * know; *out then holds anything.
 */
extern ReefCode reef_decompress(ReefCodec codec, ReefSlice in, void *out,
								size_t out_size, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_BASE_COMPRESS_H */
