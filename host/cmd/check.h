// moonhook check DIR...: every problem of the packages, one a line on stdout.
#ifndef MOONHOOK_CMD_CHECK_H
#define MOONHOOK_CMD_CHECK_H

// argv[0] is "check". Returns the exit code: 0 fine, 1 problems, 2 usage.
int cmd_check(int argc, char **argv);

#endif
