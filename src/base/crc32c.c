/*
 * crc32c.c
 *	  CRC-32C by the processor's instruction, or by eight tables.
 *
 * Every stored object is checked when it is read, so this runs over all bytes
 * that pass through.  The instructions of SSE 4.2 and ARMv8 take eight bytes
 * at a time; elsewhere "slicing by 8" looks up eight bytes in eight tables and
 * combines the results, which is several times faster than one table.
 *
 * x86-64 is compiled for processors without SSE 4.2, so the choice is made at
 * the first call there.  64-bit ARM has the instructions in every server
 * processor, but only a compiler told so (-march=...+crc) will use them.
 */
#include "base/crc32c.h"

#include "base/bytes.h"

#ifdef __x86_64__
#include <nmmintrin.h>
#endif
#ifdef __ARM_FEATURE_CRC32
#include <arm_acle.h>
#endif

typedef uint32_t (*CrcFunction) (uint32_t crc, const uint8_t *p, size_t size);

/* 0x1edc6f41 with its bits reversed */
#define CRC32C_POLYNOMIAL UINT32_C(0x82f63b78)

static uint32_t tables[8][256];

static void
fill_tables(void)
{
	uint32_t	i;
	int			k;

	for (i = 0; i < 256; i++)
	{
		uint32_t	crc = i;

		for (k = 0; k < 8; k++)
			crc = (crc & 1) != 0 ? (crc >> 1) ^ CRC32C_POLYNOMIAL : crc >> 1;
		tables[0][i] = crc;
	}
	/* tables[k][i]: the checksum of byte i followed by k zero bytes */
	for (i = 0; i < 256; i++)
	{
		for (k = 1; k < 8; k++)
		{
			uint32_t	crc = tables[k - 1][i];

			tables[k][i] = (crc >> 8) ^ tables[0][crc & 0xff];
		}
	}
}

static uint32_t
crc_by_tables(uint32_t crc, const uint8_t *p, size_t size)
{
	for (; size >= 8; size -= 8, p += 8)
	{
		uint64_t	chunk = reef_get_u64(p) ^ crc;

		crc = tables[7][chunk & 0xff] ^
			tables[6][(chunk >> 8) & 0xff] ^
			tables[5][(chunk >> 16) & 0xff] ^
			tables[4][(chunk >> 24) & 0xff] ^
			tables[3][(chunk >> 32) & 0xff] ^
			tables[2][(chunk >> 40) & 0xff] ^
			tables[1][(chunk >> 48) & 0xff] ^
			tables[0][chunk >> 56];
	}
	for (; size > 0; size--, p++)
		crc = (crc >> 8) ^ tables[0][(crc ^ *p) & 0xff];
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2")))
static uint32_t
crc_by_instruction(uint32_t crc, const uint8_t *p, size_t size)
{
	uint64_t	wide = crc;

	for (; size >= 8; size -= 8, p += 8)
		wide = _mm_crc32_u64(wide, reef_get_u64(p));
	crc = (uint32_t) wide;
	for (; size > 0; size--, p++)
		crc = _mm_crc32_u8(crc, *p);
	return crc;
}
#endif

#ifdef __ARM_FEATURE_CRC32
static uint32_t
crc_by_instruction(uint32_t crc, const uint8_t *p, size_t size)
{
	for (; size >= 8; size -= 8, p += 8)
		crc = __crc32cd(crc, reef_get_u64(p));
	for (; size > 0; size--, p++)
		crc = __crc32cb(crc, *p);
	return crc;
}
#endif

static CrcFunction
choose_function(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return crc_by_instruction;
#endif
#ifdef __ARM_FEATURE_CRC32
	return crc_by_instruction;
#endif
	fill_tables();
	return crc_by_tables;
}

uint32_t
reef_crc32c(uint32_t crc, const void *data, size_t size)
{
	static CrcFunction function;

	if (function == NULL)
		function = choose_function();
	return ~function(~crc, data, size);
}
