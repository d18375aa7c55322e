/*
 * check.h
 *	  What must hold of schemas, segments' descriptions and manifests, wherever
 *	  they are stored.
 *
 * Both codecs check on the way in and on the way out with the same functions:
 * what an encoder accepts its decoder accepts too, so that no commit can write
 * an object that recovery refuses.  The caller says which code a violation is
 * (REEF_CORRUPT for stored bytes, REEF_INVALID for a caller's mistake).
 */
#ifndef REEF_FORMAT_CHECK_H
#define REEF_FORMAT_CHECK_H

#include "format/manifest.h"

/* Bytes of a type's name. */
#define REEF_TYPE_NAME_MAX_SIZE 1024

/* As RFC 3629 has it: shortest forms, no surrogates. */
extern bool reef_utf8_is_valid(ReefSlice text);

/*
 * Names are unique, not empty, UTF-8 and not too long; kinds exist;
 * precision and scale fit the kind; key positions are 1 .. n, each once, on
 * columns of kinds that keys may have.
 */
extern ReefCode reef_schema_check(const ReefSchema *schema, ReefCode code,
								  ReefError *err) REEF_MUST_CHECK;

/*
 * Level is 0 or 1; counts fit the row count; keys are not too large and in
 * order; statistics are of different columns, of kinds that exist, in order.
 * LSNs are not looked at.
 */
extern ReefCode reef_segment_meta_check(const ReefSegmentMeta *meta,
										ReefCode code, ReefError *err)
			REEF_MUST_CHECK;

/*
 * Numbers are in range; schema and segments are valid by themselves; segments
 * are different and in order, those of level 1 disjoint; idempotency keys and
 * transactions are different; nothing is younger than last_applied_lsn.
 */
extern ReefCode reef_manifest_check(const ReefManifest *manifest,
									ReefCode code, ReefError *err)
			REEF_MUST_CHECK;

#endif							/* REEF_FORMAT_CHECK_H */
