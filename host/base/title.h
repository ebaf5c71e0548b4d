// What `ps` and `top` show of this process. A title overwrites the arguments and, behind them, the
// environment, as nginx and PostgreSQL do; both were copied before.
#ifndef MOONHOOK_BASE_TITLE_H
#define MOONHOOK_BASE_TITLE_H

// First in a program: copies arguments and environment. Returns the copies, which last for ever and
// are to be used from now on.
char **title_open(int argc, char **argv);
char *const *title_arguments(void); // the copies; NULL-terminated

// "moonhook: NAME" for ps. `short_name` goes to top and ps -e as "moonhook:SHORT", at most 6 bytes;
// NULL: it stays "moonhook", which only the process that takes signals should be called.
void title_set(const char *name, const char *short_name);
// The same with the arguments behind it in parentheses: `pgrep -f` finds the host by them.
void title_set_with_arguments(const char *name);

#endif
