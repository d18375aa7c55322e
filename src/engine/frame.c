/*
 * frame.c
 *	  A prepared transaction in shared memory, and what became of it.
 *
 * The backend that prepared a frame sleeps while another one commits it.  The
 * committer fills in the outcome and then stores the state with release order;
 * who reads the state with acquire order may read the rest.
 */
#include "engine/state.h"

ReefFrameState
reef_frame_state(const ReefFrame *frame)
{
	return (ReefFrameState) atomic_load_explicit(&frame->state,
												 memory_order_acquire);
}

uint64_t
reef_frame_lsn(const ReefFrame *frame)
{
	return frame->lsn;
}

void
reef_frame_error(const ReefFrame *frame, ReefError *err)
{
	*err = frame->error;
}

size_t
reef_frame_size(const ReefFrame *frame)
{
	return frame->allocated;
}

void
reef_frame_free(const ReefHost *host, ReefFrame *frame)
{
	host->shared_free(host->arg, frame, frame->allocated);
}

void
reef_frame_finish(ReefFrame *frame, ReefFrameState state, const ReefError *err)
{
	if (err != NULL)
		frame->error = *err;
	atomic_store_explicit(&frame->state, (uint32_t) state,
						  memory_order_release);
}
