/*
 * test_crc32c.c
 *	  CRC-32C against the vectors of RFC 3720, and its two implementations
 *	  against each other and the definition.
 *
 * A processor uses only one of the implementations, so the source is included
 * here under another name to reach both.
 */
#include <string.h>

#include "unit.h"

#define reef_crc32c included_crc32c
#include "base/crc32c.c"
#undef reef_crc32c
extern uint32_t reef_crc32c(uint32_t crc, const void *data, size_t size);

UNIT_TEST(test_crc32c__rfc_3720_vectors)
{
	/* The last one is an iSCSI read command. */
	static const uint8_t command[48] = {
		0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
		0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
		0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00
	};
	uint8_t		bytes[32];
	uint8_t		i;

	memset(bytes, 0, sizeof(bytes));
	UNIT_EQUAL_INT(reef_crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	UNIT_EQUAL_INT(reef_crc32c(0, bytes, 32), 0x62a8ab43);
	for (i = 0; i < 32; i++)
		bytes[i] = i;
	UNIT_EQUAL_INT(reef_crc32c(0, bytes, 32), 0x46dd794e);
	for (i = 0; i < 32; i++)
		bytes[i] = (uint8_t) (31 - i);
	UNIT_EQUAL_INT(reef_crc32c(0, bytes, 32), 0x113fdb5c);
	UNIT_EQUAL_INT(reef_crc32c(0, command, sizeof(command)), 0xd9963a56);
	UNIT_EQUAL_INT(reef_crc32c(0, "123456789", 9), 0xe3069283);
	UNIT_EQUAL_INT(reef_crc32c(0, NULL, 0), 0);
}

/* Bit by bit, as the polynomial division is defined. */
static uint32_t
crc_by_definition(const uint8_t *p, size_t size)
{
	uint32_t	crc = UINT32_MAX;
	int			bit;

	for (; size > 0; size--, p++)
	{
		crc ^= *p;
		for (bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

UNIT_TEST(test_crc32c__tables_and_instruction_agree_with_the_definition)
{
	CrcFunction chosen = choose_function();
	uint8_t		bytes[200];
	size_t		i;
	size_t		start;
	size_t		size;

	fill_tables();
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t) unit_random();
	for (start = 0; start < 8; start++)
	{
		for (size = 0; size <= 150; size++)
		{
			uint32_t	expected = crc_by_definition(bytes + start, size);

			UNIT_EQUAL_INT(~crc_by_tables(UINT32_MAX, bytes + start, size),
						   expected);
			UNIT_EQUAL_INT(~chosen(UINT32_MAX, bytes + start, size), expected);
			UNIT_EQUAL_INT(included_crc32c(0, bytes + start, size), expected);
		}
	}
}

UNIT_TEST(test_crc32c__a_sum_can_be_continued_anywhere)
{
	uint8_t		bytes[100];
	uint32_t	whole;
	size_t		i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t) unit_random();
	whole = reef_crc32c(0, bytes, sizeof(bytes));
	for (i = 0; i <= sizeof(bytes); i++)
		UNIT_EQUAL_INT(reef_crc32c(reef_crc32c(0, bytes, i), bytes + i,
								   sizeof(bytes) - i), whole);
}
