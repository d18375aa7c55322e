/*
 * verify.h
 *	  Looking at one object at a time: what verify and repair share.
 *
 * Everything here reads the store and nothing else.  Segments are read through
 * a cache of one's own without the shared pages: what is in memory may have
 * been read before the damage happened.
 *
 * What is found is reported; a code is only for what stops the walk.
 */
#ifndef REEF_ENGINE_VERIFY_H
#define REEF_ENGINE_VERIFY_H

#include "engine/segment_cache.h"
#include "engine/state.h"

/* Bytes of one read of a whole object. */
#define REEF_VERIFY_READ_SIZE ((size_t) 1024 * 1024)

typedef struct ReefVerify
{
	ReefNamespace *ns;
	ReefFindingVisitor visit;	/* NULL: nobody wants to know */
	void	   *arg;
	ReefSeverity severity_max;	/* what is worse is reported as this */
	uint64_t	errors;			/* findings of this severity so far */
	uint64_t	warnings;

	ReefEngineSettings settings;	/* without caches */
	int64_t		window_start_us;	/* of reef_io_throttle */
	uint64_t	window_bytes;
	const char *phase;			/* for progress */
	uint64_t	done;
	uint64_t	total;
} ReefVerify;

extern void reef_verify_init(ReefVerify *verify, ReefNamespace *ns,
							 ReefFindingVisitor visit, void *arg);

/* ---- verify_object.c ---- */

/* The code is the visitor's. */
extern ReefCode reef_finding_report(ReefVerify *verify, ReefError *err,
									ReefSeverity severity, const char *object,
									const char *check_name,
									const char *detail, ...)
			REEF_PRINTF(6, 7) REEF_MUST_CHECK;
/* The same of what an error says. */
extern ReefCode reef_finding_report_error(ReefVerify *verify,
										  ReefSeverity severity,
										  const char *object,
										  const char *check_name,
										  const ReefError *found,
										  ReefError *err) REEF_MUST_CHECK;
/*
 * Is it the object that is bad (and the walk goes on), or the way to it?  A
 * medium that cannot give the bytes back counts as a bad object.
 */
extern bool reef_verify_is_damage(ReefCode rc, const ReefError *err);

/* One more object, or part of it, is going to be read: ask whether to stop,
 * say how far we are, keep to the I/O limit. */
extern ReefCode reef_verify_step(ReefVerify *verify, uint64_t bytes,
								 ReefError *err) REEF_MUST_CHECK;
extern void reef_verify_begin_phase(ReefVerify *verify, const char *phase,
									uint64_t total);
/* Has a manifest above this version appeared? */
extern ReefCode reef_verify_has_moved(ReefVerify *verify, uint64_t version_max,
									  bool *has_moved, ReefError *err)
			REEF_MUST_CHECK;
/*
 * The namespace's id, as most of its newest manifests and records have it:
 * one object in a wrong place does not decide.  False: nothing says it.
 */
extern ReefCode reef_verify_identity(ReefVerify *verify, uint8_t id[16],
									 bool *is_known, ReefError *err)
			REEF_MUST_CHECK;

/* Numbers of all stored objects of a kind that has numbers, ascending. */
extern ReefCode reef_verify_list_numbers(ReefVerify *verify,
										 ReefObjectKind kind, uint64_t after,
										 ReefArena *arena, uint64_t **numbers,
										 size_t *count, ReefError *err)
			REEF_MUST_CHECK;

/* A key for people: its columns, or its bytes if they do not decode. */
extern void reef_key_describe(ReefSlice key, const ReefSchema *schema,
							  char *text, size_t size);

/* A set of segment ids; all in the arena. */
typedef struct ReefIdSet
{
	ReefArena  *arena;
	uint8_t   (*slots)[16];
	bool	   *is_used;
	size_t		capacity;
	size_t		count;
} ReefIdSet;

extern ReefCode reef_id_set_add(ReefIdSet *set, const uint8_t id[16],
								ReefError *err) REEF_MUST_CHECK;
extern bool reef_id_set_contains(const ReefIdSet *set, const uint8_t id[16]);

/* ---- verify_record.c ---- */

/* An operation of a record that makes a segment part of the table. */
typedef struct ReefVerifiedAttach
{
	uint64_t	lsn;
	uint32_t	frame;
	ReefSegmentMeta meta;		/* LSNs set */
	ReefSchema	schema;			/* of the frame */
	struct ReefVerifiedAttach *next;
} ReefVerifiedAttach;

typedef struct ReefVerifiedAbort
{
	uint64_t	lsn;
	uint32_t	frame;
	uint64_t	by_lsn;			/* the record that says so */
	struct ReefVerifiedAbort *next;
} ReefVerifiedAbort;

/* What records say that other checks need. */
typedef struct ReefVerifiedRecords
{
	ReefArena  *arena;
	ReefVerifiedAttach *attaches;
	ReefVerifiedAbort *aborts;
} ReefVerifiedRecords;

/*
 * Load one record and look at all of it.  *is_readable: the header can be
 * believed, so *header is set.  REEF_NOT_FOUND: it is not there.
 */
extern ReefCode reef_verify_record(ReefVerify *verify, uint64_t lsn,
								   const uint8_t namespace_id[16],
								   ReefVerifiedRecords *records,
								   ReefWalHeader *header, bool *is_readable,
								   ReefError *err) REEF_MUST_CHECK;

/* ---- verify_segment.c ---- */

typedef struct ReefSegmentState
{
	bool		is_present;
	bool		is_sound;		/* no finding above INFO */
	bool		is_open;		/* the footer is that of this segment, so pages
								 * that decode are its pages */
	bool		is_newer_format;
} ReefSegmentState;

/* Look at one segment; "deep": every value of every page. */
extern ReefCode reef_verify_segment(ReefVerify *verify,
									const ReefSegmentMeta *meta,
									const ReefSchema *schema,
									const uint8_t namespace_id[16], bool deep,
									ReefSegmentState *state, ReefError *err)
			REEF_MUST_CHECK;

/* ---- verify_rows.c ---- */

/*
 * Count the live rows of sound segments, in the manifest's order, and report
 * segments that hide more rows than they say (then their readers would show
 * rows that are gone).  *is_exact false: that was the case.
 */
extern ReefCode reef_verify_rows(ReefVerify *verify,
								 const ReefSegmentMeta *segments, int count,
								 const ReefSchema *schema,
								 const uint8_t namespace_id[16],
								 uint64_t *live_rows, bool *is_exact,
								 ReefError *err) REEF_MUST_CHECK;

#endif							/* REEF_ENGINE_VERIFY_H */
