/*
 * manifest_copy.h
 *	  A manifest as text, for the footer of a segment.
 *
 * The last segment of each job that writes segments (fold, compaction) carries
 * a copy of the manifest that the job is going to commit, without the segment
 * itself: its size and checksum are not known before it is written, and can be
 * found out by reading it.  With all manifests gone, rebuild starts from the
 * newest copy all of whose segments are there.
 *
 *	  text := version " " size " " base64
 *
 * version is that of the manifest, size the bytes of its encoding
 * (manifest.h), both decimal; base64 (RFC 4648, padded) is that encoding, one
 * zstd frame.  Equal manifests are equal text.
 *
 * CHECKSUM.  That of the manifest's own first line; and the footer has one.
 *
 * VERSIONS.  Those of the manifest.
 *
 * LIMITS.  REEF_MANIFEST_COPY_MAX_SIZE bytes of text; a larger copy is left
 * out, and the records that it would have covered are kept instead
 * (rebuildable_lsn).  The size is at most 1000 times that of the text and 64
 * kB.
 */
#ifndef REEF_FORMAT_MANIFEST_COPY_H
#define REEF_FORMAT_MANIFEST_COPY_H

#include "format/manifest.h"

/* The footer pair's name. */
#define REEF_MANIFEST_COPY_PAIR "reef.manifest"

#define REEF_MANIFEST_COPY_MAX_SIZE (64u * 1024 * 1024)

/* Append the text and a NUL.  *fits false, and nothing appended, if it would be
 * larger than the limit. */
extern ReefCode reef_manifest_copy_encode(const ReefManifest *manifest,
										  ReefBuf *text, bool *fits,
										  ReefError *err) REEF_MUST_CHECK;
/*
 * Decode untrusted text; everything in *manifest lives in the arena.
 * REEF_CORRUPT and REEF_UNSUPPORTED name the object "key".
 */
extern ReefCode reef_manifest_copy_decode(const char *text, const char *key,
										  ReefArena *arena,
										  ReefManifest *manifest,
										  ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_FORMAT_MANIFEST_COPY_H */
