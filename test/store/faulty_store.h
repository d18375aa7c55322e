/*
 * faulty_store.h
 *	  A store that fails where it is told to.
 *
 * It wraps any implementation.  Before each call a fault is chosen: by the
 * hook, if there is one, else by the plan.  Nothing here is random.
 */
#ifndef REEF_FAULTY_STORE_H
#define REEF_FAULTY_STORE_H

#include "store/store.h"

typedef enum ReefFaultyCall
{
	REEF_FAULTY_PUT,
	REEF_FAULTY_GET,
	REEF_FAULTY_GET_RANGE,
	REEF_FAULTY_HEAD,
	REEF_FAULTY_LIST,
	REEF_FAULTY_DELETE,
	REEF_FAULTY_WRITE_BEGIN,
	REEF_FAULTY_WRITE,
	REEF_FAULTY_WRITE_COMMIT,
	REEF_FAULTY_NOW
} ReefFaultyCall;

#define REEF_FAULTY_CALL_COUNT 10

typedef enum ReefFault
{
	REEF_FAULT_NONE,

	/* Refused: nothing happens, REEF_UNAVAILABLE. */
	REEF_FAULT_REFUSE,

	/*
	 * Nothing happens and nobody can tell: REEF_UNCERTAIN for a put or a
	 * commit, REEF_UNAVAILABLE for the rest.
	 */
	REEF_FAULT_LOSE_REQUEST,

	/* It happens, and the caller is told the same. */
	REEF_FAULT_LOSE_RESPONSE,

	/*
	 * As LOSE_REQUEST now; a put happens when reef_faulty_store_deliver is
	 * called, however late.  For other calls the same as LOSE_REQUEST.
	 */
	REEF_FAULT_DELAY,

	/*
	 * The process is dead: this call (before or after it happens) and every
	 * later one return REEF_UNAVAILABLE.
	 */
	REEF_FAULT_CRASH_BEFORE,
	REEF_FAULT_CRASH_AFTER
} ReefFault;

typedef ReefFault (*ReefFaultyHook) (void *arg, ReefFaultyCall call,
									 const char *key);

typedef struct ReefFaultyStore ReefFaultyStore;

/*
 * Takes over "impl".  Pass &reef_faulty_store_ops and the result to
 * reef_store_new; reef_store_close then frees it.
 */
extern ReefFaultyStore *reef_faulty_store_new(const ReefStoreOps *ops,
											  void *impl);
extern const ReefStoreOps reef_faulty_store_ops;

/* Fail the n-th call from now (1 = the next one), of whatever kind. */
extern void reef_faulty_store_fail_nth(ReefFaultyStore *faulty, uint64_t n,
									   ReefFault fault);
/* Fail the n-th call of this kind from now. */
extern void reef_faulty_store_fail_nth_of(ReefFaultyStore *faulty,
										  ReefFaultyCall call, uint64_t n,
										  ReefFault fault);
/* "key" is a prefix for a list and "" where there is none. */
extern void reef_faulty_store_set_hook(ReefFaultyStore *faulty,
									   ReefFaultyHook hook, void *arg);

/*
 * Let the oldest delayed put happen, if there is one.  *outcome is what the
 * store said to it, which nobody else will ever hear.
 */
extern bool reef_faulty_store_deliver(ReefFaultyStore *faulty,
									  ReefCode *outcome);

extern bool reef_faulty_store_has_crashed(const ReefFaultyStore *faulty);
/* Calls so far, refused ones included. */
extern uint64_t reef_faulty_store_calls(const ReefFaultyStore *faulty);
extern uint64_t reef_faulty_store_calls_of(const ReefFaultyStore *faulty,
										   ReefFaultyCall call);

#endif							/* REEF_FAULTY_STORE_H */
