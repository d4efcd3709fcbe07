/*
 * debug_internal.h: what the files of DEBUG share.
 */
#ifndef SERVER_DEBUG_INTERNAL_H
#define SERVER_DEBUG_INTERNAL_H

#include "commands_internal.h"

/* By enable-debug-command and the connection. False: an error was replied. */
MUST_USE bool debug_is_allowed(struct command_call *call);

/* RESTORE takes payloads with wrong checksums (dump.c). */
void restore_skip_checksums(bool skip);

/* debug_digest.c */
enum status debug_prepare_digest(struct command_call *call, struct tier_wait *wait);
void debug_digest_destroy(void *state);
void cmd_debug_digest(struct command_call *call);
void cmd_debug_digest_value(struct command_call *call);

#endif
