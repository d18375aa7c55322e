/*
 * crc32.h
 *	  The checksum of Parquet pages: CRC-32 as gzip has it (polynomial
 *	  0x04C11DB7, reflected), not the CRC-32C of everything else here.
 */
#ifndef REEF_PARQUET_CRC32_H
#define REEF_PARQUET_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Checksum of the bytes; pass the result back as "crc" to continue, 0 first. */
extern uint32_t reef_crc32(uint32_t crc, const void *data, size_t size);

#endif							/* REEF_PARQUET_CRC32_H */
