/*
 * crc32c.h
 *	  CRC-32C (Castagnoli, RFC 3720 appendix B.4), with the processor's own
 *	  instruction where there is one (SSE 4.2, ARMv8 CRC), chosen at run time.
 */
#ifndef REEF_BASE_CRC32C_H
#define REEF_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Checksum of the bytes; pass the result back as "crc" to continue, 0 first. */
extern uint32_t reef_crc32c(uint32_t crc, const void *data, size_t size);

#endif							/* REEF_BASE_CRC32C_H */
