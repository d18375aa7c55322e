/*
 * manifest_text.h
 *	  The text forms of bytes and large integers in a manifest.
 *
 * Each value has one form, and parsing accepts no other, so that what was
 * decoded and encoded again has the same bytes.
 */
#ifndef REEF_FORMAT_MANIFEST_TEXT_H
#define REEF_FORMAT_MANIFEST_TEXT_H

#include "base/value.h"

/* The first word of a manifest. */
#define REEF_MANIFEST_MAGIC "reef-manifest"

/* Two lower-case digits a byte. */
extern void reef_text_append_hex(ReefBuf *text, ReefSlice bytes);
/* Into out[strlen(text) / 2]; false if it is not hex text. */
extern bool reef_text_parse_hex(const char *text, uint8_t *out);

/* Decimal digits, '-' in front of a negative number. */
extern void reef_text_append_int128(ReefBuf *text, ReefInt128 value);
extern bool reef_text_parse_int128(const char *text, ReefInt128 *value);

/* UTF-8 without NUL? */
extern bool reef_text_is_plain(ReefSlice bytes);

#endif							/* REEF_FORMAT_MANIFEST_TEXT_H */
