// moonhook test --watch: runs the specs, and again after each save.
#ifndef MOONHOOK_CMD_TEST_WATCH_H
#define MOONHOOK_CMD_TEST_WATCH_H

// `words` are the arguments of `moonhook test` without --watch, NULL-terminated. Each run is a
// process of its own. Returns when a signal asks (exit code of the last run), or 2: cannot watch.
int test_watch(const char *const *words);

#endif
