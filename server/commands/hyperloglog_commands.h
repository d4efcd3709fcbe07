/*
 * hyperloglog_commands.h: the handlers of hyperloglog_commands.c, for the table.
 */
#ifndef SERVER_HYPERLOGLOG_COMMANDS_H
#define SERVER_HYPERLOGLOG_COMMANDS_H

#include "server/command.h"

void cmd_pfadd(struct command_call *call);
void cmd_pfcount(struct command_call *call);
void cmd_pfmerge(struct command_call *call);
void cmd_pfdebug(struct command_call *call);
void cmd_pfselftest(struct command_call *call);

#endif
