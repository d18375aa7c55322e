/*
 * options.h
 *	  Reading single options that the validator has accepted (options.c).
 */
#ifndef REEF_PG_OPTIONS_H
#define REEF_PG_OPTIONS_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* The value of an option, or NULL. */
extern const char *reefpg_option_find(List *options, const char *name);
/* These leave *value alone if the option is not there. */
extern void reefpg_option_boolean(List *options, const char *name,
								  bool *value);
extern void reefpg_option_word(List *options, const char *name, int *value);
extern void reefpg_option_integer(List *options, const char *name, int *value);

#endif							/* REEF_PG_OPTIONS_H */
