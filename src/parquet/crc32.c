/*
 * crc32.c
 *	  CRC-32 of Parquet pages, eight bytes a step ("slicing by eight").
 *
 * Every page that is read is checksummed first, so a bytewise loop would cost
 * more than decompressing.  Eight tables let eight bytes be looked up
 * independently of each other; table[k][b] is the CRC of byte b followed by k
 * zero bytes.
 */
#include "parquet/crc32.h"

#include <pthread.h>

#include "base/bytes.h"

#define REEF_CRC32_POLYNOMIAL 0xEDB88320u	/* reflected */

static uint32_t crc_table[8][256];
static pthread_once_t crc_table_once = PTHREAD_ONCE_INIT;

static void
build_table(void)
{
	for (uint32_t b = 0; b < 256; b++)
	{
		uint32_t	crc = b;

		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? REEF_CRC32_POLYNOMIAL : 0);
		crc_table[0][b] = crc;
	}
	for (int k = 1; k < 8; k++)
		for (int b = 0; b < 256; b++)
		{
			uint32_t	previous = crc_table[k - 1][b];

			crc_table[k][b] = (previous >> 8) ^ crc_table[0][previous & 0xFF];
		}
}

uint32_t
reef_crc32(uint32_t crc, const void *data, size_t size)
{
	const uint8_t *p = data;

	(void) pthread_once(&crc_table_once, build_table);	/* cannot fail */
	crc = ~crc;
	while (size >= 8)
	{
		uint32_t	low = reef_get_u32(p) ^ crc;
		uint32_t	high = reef_get_u32(p + 4);

		crc = crc_table[7][low & 0xFF] ^
			crc_table[6][(low >> 8) & 0xFF] ^
			crc_table[5][(low >> 16) & 0xFF] ^
			crc_table[4][low >> 24] ^
			crc_table[3][high & 0xFF] ^
			crc_table[2][(high >> 8) & 0xFF] ^
			crc_table[1][(high >> 16) & 0xFF] ^
			crc_table[0][high >> 24];
		p += 8;
		size -= 8;
	}
	while (size-- > 0)
		crc = (crc >> 8) ^ crc_table[0][(crc ^ *p++) & 0xFF];
	return ~crc;
}
