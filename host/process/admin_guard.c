// See admin_guard.h.
#include "admin_guard.h"

#include <arpa/inet.h>
#include <string.h>

#include "../base/log.h"

static void read_address(const char *text, unsigned char address[16])
{
  static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
  memset(address, 0, 16);
  if (inet_pton(AF_INET, text, address + 12) == 1)
    memcpy(address, mapped, sizeof mapped);
  else if (inet_pton(AF_INET6, text, address) == 1 && memcmp(address, mapped, 12) != 0)
    memset(address + 8, 0, 8); // one client has a whole /64
  if (address[0] == 0 && memcmp(address, address + 1, 15) == 0)
    address[15] = 1; // none that can be read: a place all the same
}

static GuardPlace *find(AdminGuard *guard, const char *text)
{
  unsigned char address[16];
  int i;
  read_address(text, address);
  for (i = 0; i < GUARD_PLACES; i++) {
    if (memcmp(guard->places[i].address, address, 16) == 0)
      return &guard->places[i];
  }
  return NULL;
}

static GuardPlace *take(AdminGuard *guard, const char *text)
{
  GuardPlace *oldest = &guard->places[0];
  int i;
  for (i = 1; i < GUARD_PLACES; i++) {
    if (guard->places[i].last_ms < oldest->last_ms)
      oldest = &guard->places[i];
  }
  memset(oldest, 0, sizeof *oldest);
  read_address(text, oldest->address);
  return oldest;
}

uint64_t admin_guard_wait(AdminGuard *guard, const char *address, uint64_t now_ms)
{
  GuardPlace *place = find(guard, address);
  if (!place || place->locked_until_ms == 0)
    return 0;
  if (now_ms < place->locked_until_ms) {
    place->refused++;
    return place->locked_until_ms - now_ms;
  }
  log_event(LOG_INFO, "admin address may try again", LOG_S("client_ip", address),
            LOG_I("refused", place->refused));
  memset(place, 0, sizeof *place);
  return 0;
}

bool admin_guard_fail(AdminGuard *guard, const char *address, uint64_t now_ms)
{
  GuardPlace *place = find(guard, address);
  if (!place)
    place = take(guard, address);
  if (place->failures == 0 || now_ms - place->first_ms > GUARD_WINDOW_MS) {
    place->failures = 0;
    place->first_ms = now_ms;
  }
  place->last_ms = now_ms;
  if (++place->failures < GUARD_TRIES)
    return false;
  place->locked_until_ms = now_ms + GUARD_LOCK_MS;
  return true;
}

void admin_guard_pass(AdminGuard *guard, const char *address)
{
  GuardPlace *place = find(guard, address);
  if (place)
    memset(place, 0, sizeof *place);
}
