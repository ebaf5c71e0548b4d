// Who tried wrong admin keys: after ten within a minute an address (of IPv6: its /64) is refused
// for a minute, whatever it sends. A table of fixed size; when it is full the address that failed
// longest ago is forgotten.
#ifndef MOONHOOK_PROCESS_ADMIN_GUARD_H
#define MOONHOOK_PROCESS_ADMIN_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum { GUARD_TRIES = 10, GUARD_WINDOW_MS = 60000, GUARD_LOCK_MS = 60000, GUARD_PLACES = 256 };

typedef struct {
  unsigned char address[16]; // IPv4 as mapped; all zero: free
  uint32_t failures;         // since first_ms
  uint64_t first_ms, last_ms, locked_until_ms;
  uint64_t refused; // while locked, for the log
} GuardPlace;

typedef struct {
  GuardPlace places[GUARD_PLACES];
} AdminGuard; // zero-initialise

// Milliseconds until the address may try again; 0: now. Counts the attempt if it is refused.
uint64_t admin_guard_wait(AdminGuard *guard, const char *address, uint64_t now_ms);
// A wrong key. True: with this one the address is locked.
bool admin_guard_fail(AdminGuard *guard, const char *address, uint64_t now_ms);
void admin_guard_pass(AdminGuard *guard,
                      const char *address); // the right key: forgets its failures

#endif
