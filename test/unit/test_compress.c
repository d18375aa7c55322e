/*
 * test_compress.c
 *	  The block codecs: what comes back, and what damage does.
 */
#include <stdlib.h>
#include <string.h>

#include "base/compress.h"
#include "unit.h"

static const ReefCodec codecs[] = {
	REEF_CODEC_NONE, REEF_CODEC_ZSTD, REEF_CODEC_LZ4
};

/* Text-like: compressible, but not trivially. */
static void
fill(uint8_t *bytes, size_t size)
{
	size_t		i;

	for (i = 0; i < size; i++)
		bytes[i] = (uint8_t) ('a' + unit_random_below(4));
}

UNIT_TEST(test_compress__blocks_come_back)
{
	static const size_t sizes[] = {0, 1, 100, 4096, 300000};
	static uint8_t bytes[300000];
	static uint8_t back[300000];
	ReefError	err;
	size_t		c;
	size_t		s;

	reef_error_init(&err);
	fill(bytes, sizeof(bytes));
	for (c = 0; c < 3; c++)
	{
		for (s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++)
		{
			ReefBuf		out;
			ReefSlice	in = reef_slice(bytes, sizes[s]);

			reef_buf_init(&out);
			reef_buf_append_string(&out, "head");
			UNIT_OK(reef_compress(codecs[c], 3, in, &out, &err), &err);
			UNIT_EQUAL_INT(memcmp(out.data, "head", 4), 0);
			if (codecs[c] != REEF_CODEC_NONE && sizes[s] >= 4096)
				UNIT_CHECK(out.size < sizes[s] * 3 / 4);
			memset(back, 0, sizes[s]);
			UNIT_OK(reef_decompress(codecs[c],
									reef_slice(out.data + 4, out.size - 4),
									back, sizes[s], &err), &err);
			UNIT_EQUAL_BYTES(reef_slice(back, sizes[s]), in);
			reef_buf_release(&out);
		}
	}
}

/* Written by hand from RFC 8878 and the LZ4 block format. */
UNIT_TEST(test_compress__blocks_of_the_published_formats_are_read)
{
	static const uint8_t zstd[] = {
		0x28, 0xb5, 0x2f, 0xfd, /* magic */
		0x20, 0x05,				/* single segment, content size 5 */
		0x29, 0x00, 0x00,		/* last block, raw, 5 bytes */
		'h', 'e', 'l', 'l', 'o'
	};
	static const uint8_t lz4[] = {0x50, 'h', 'e', 'l', 'l', 'o'};
	char		back[5];
	ReefError	err;

	reef_error_init(&err);
	UNIT_OK(reef_decompress(REEF_CODEC_ZSTD, reef_slice(zstd, sizeof(zstd)),
							back, 5, &err), &err);
	UNIT_EQUAL_BYTES(reef_slice(back, 5), reef_slice("hello", 5));
	memset(back, 0, sizeof(back));
	UNIT_OK(reef_decompress(REEF_CODEC_LZ4, reef_slice(lz4, sizeof(lz4)),
							back, 5, &err), &err);
	UNIT_EQUAL_BYTES(reef_slice(back, 5), reef_slice("hello", 5));
}

UNIT_TEST(test_compress__any_other_size_is_corrupt)
{
	uint8_t		bytes[500];
	ReefError	err;
	size_t		c;
	size_t		size;

	reef_error_init(&err);
	fill(bytes, sizeof(bytes));
	for (c = 0; c < 3; c++)
	{
		ReefBuf		out;

		reef_buf_init(&out);
		UNIT_OK(reef_compress(codecs[c], 1, reef_slice(bytes, sizeof(bytes)),
							  &out, &err), &err);
		for (size = 0; size < 600; size += 3)
		{
			/* Of exactly this size, so that an overrun is noticed. */
			uint8_t    *back = malloc(size > 0 ? size : 1);

			if (size != sizeof(bytes))
				UNIT_CODE(reef_decompress(codecs[c], reef_buf_slice(&out),
										  back, size, &err),
						  REEF_CORRUPT, &err);
			free(back);
		}
		reef_buf_release(&out);
	}
}

UNIT_TEST(test_compress__every_truncation_is_corrupt)
{
	uint8_t		bytes[500];
	uint8_t		back[500];
	ReefError	err;
	size_t		c;
	size_t		size;

	reef_error_init(&err);
	fill(bytes, sizeof(bytes));
	for (c = 0; c < 3; c++)
	{
		ReefBuf		out;

		reef_buf_init(&out);
		UNIT_OK(reef_compress(codecs[c], 1, reef_slice(bytes, sizeof(bytes)),
							  &out, &err), &err);
		for (size = 0; size < out.size; size++)
		{
			uint8_t    *part = malloc(size > 0 ? size : 1);

			memcpy(part, out.data, size);
			UNIT_CODE(reef_decompress(codecs[c], reef_slice(part, size), back,
									  sizeof(back), &err),
					  REEF_CORRUPT, &err);
			free(part);
		}
		reef_buf_release(&out);
	}
}

UNIT_TEST(test_compress__flipped_bits_do_no_harm)
{
	uint8_t		bytes[300];
	uint8_t		back[300];
	ReefError	err;
	size_t		c;
	int			i;

	reef_error_init(&err);
	fill(bytes, sizeof(bytes));
	for (c = 1; c < 3; c++)
	{
		ReefBuf		out;

		reef_buf_init(&out);
		UNIT_OK(reef_compress(codecs[c], 1, reef_slice(bytes, sizeof(bytes)),
							  &out, &err), &err);
		for (i = 0; i < 3000; i++)
		{
			size_t		place = (size_t) unit_random_below(out.size);
			uint8_t		old = out.data[place];
			ReefCode	rc;

			out.data[place] ^= (uint8_t) (1 + unit_random_below(255));
			rc = reef_decompress(codecs[c], reef_buf_slice(&out), back,
								 sizeof(back), &err);
			UNIT_CHECK(rc == REEF_OK || rc == REEF_CORRUPT);
			out.data[place] = old;
		}
		reef_buf_release(&out);
	}
}

UNIT_TEST(test_compress__an_unknown_codec_is_unsupported)
{
	ReefBuf		out;
	ReefError	err;
	char		back[4];

	reef_error_init(&err);
	reef_buf_init(&out);
	UNIT_CODE(reef_compress((ReefCodec) 3, 1, reef_slice("abcd", 4), &out,
							&err), REEF_UNSUPPORTED, &err);
	UNIT_CODE(reef_decompress((ReefCodec) 3, reef_slice("abcd", 4), back, 4,
							  &err), REEF_UNSUPPORTED, &err);
	reef_buf_release(&out);
}
