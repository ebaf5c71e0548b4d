// See pool.h.
#include "pool.h"

#include <string.h>

#include "../base/memory.h"

typedef struct Idle {
  struct Idle *prev, *next; // in the origin's ring, the most recently used first
  Origin *origin;
  Wire *wire;
  Timer timer;
} Idle;

struct Origin {
  Origin *next;
  Pool *pool;
  uint32_t holds;
  Route route;
  RetryBudget budget;
  Breaker breaker;
  Idle ring; // a head without a wire
  uint32_t idle_count;
};

struct Pool {
  Net *net;
  Origin *origins;
  uint32_t origin_count;
  uint32_t idle_count;
};

// Takes the wire out of the pool; it is the caller's.
static Wire *unpool(Idle *idle)
{
  Wire *wire = idle->wire;
  timer_stop(&idle->timer);
  idle->prev->next = idle->next;
  idle->next->prev = idle->prev;
  idle->origin->idle_count--;
  idle->origin->pool->idle_count--;
  mem_free(idle);
  return wire;
}

static void on_idle_too_long(Timer *timer)
{
  wire_free(unpool((Idle *)((char *)timer - offsetof(Idle, timer))));
}

static void on_unasked_bytes(Wire *wire, const char *bytes, size_t len)
{
  (void)bytes;
  (void)len;
  wire_free(unpool(wire_owner(wire)));
}

static void on_idle_end(Wire *wire, int code, const char *text)
{
  (void)code;
  (void)text;
  wire_free(unpool(wire_owner(wire)));
}

static const WireEvents idle_events = { .on_bytes = on_unasked_bytes, .on_end = on_idle_end };

Pool *pool_new(Net *net)
{
  Pool *pool = mem_zero(1, sizeof *pool);
  pool->net = net;
  return pool;
}

static void origin_free(Origin *origin)
{
  while (origin->ring.next != &origin->ring)
    wire_free(unpool(origin->ring.next));
  SSL_SESSION_free(origin->route.session);
  policy_release(origin->route.policy);
  mem_free(origin);
}

void pool_free(Pool *pool)
{
  Origin *origin, *next;
  for (origin = pool->origins; origin; origin = next) {
    next = origin->next;
    origin_free(origin);
  }
  mem_free(pool);
}

// Forgets the origins that have neither calls nor open wires.
static void sweep(Pool *pool)
{
  Origin **at = &pool->origins;
  while (*at) {
    Origin *origin = *at;
    if (origin->holds == 0 && origin->idle_count == 0) {
      *at = origin->next;
      pool->origin_count--;
      origin_free(origin);
    } else {
      at = &origin->next;
    }
  }
}

Origin *pool_origin(Pool *pool, const Url *url, Policy *policy)
{
  Origin *origin;
  for (origin = pool->origins; origin; origin = origin->next) {
    const Url *other = &origin->route.url;
    if (other->port == url->port && other->is_tls == url->is_tls &&
        strcmp(other->host, url->host) == 0 && origin->route.policy == policy)
      break;
  }
  if (!origin) {
    if (pool->origin_count >= POOL_MAX_ORIGINS)
      sweep(pool);
    origin = mem_zero(1, sizeof *origin);
    origin->pool = pool;
    origin->route.url = *url;
    origin->route.url.target = NULL; // it points into the caller's text
    origin->route.policy = policy ? policy_hold(policy) : NULL;
    origin->route.has_proxy =
        (!policy || policy_uses_proxy(policy)) && proxy_is_for(&pool->net->proxy, url);
    origin->ring.prev = origin->ring.next = &origin->ring;
    origin->next = pool->origins;
    pool->origins = origin;
    pool->origin_count++;
  }
  origin->holds++;
  return origin;
}

void origin_release(Origin *origin)
{
  origin->holds--;
}

RetryBudget *origin_budget(Origin *origin)
{
  return &origin->budget;
}

Breaker *origin_breaker(Origin *origin)
{
  return &origin->breaker;
}

Wire *origin_take(Origin *origin, const WireEvents *events, void *owner)
{
  while (origin->ring.next != &origin->ring) {
    Wire *wire = unpool(origin->ring.next);
    if (wire_is_alive(wire)) {
      wire_forget_sent(wire);
      wire_give(wire, events, owner);
      return wire;
    }
    wire_free(wire);
  }
  return NULL;
}

Wire *origin_connect(Origin *origin, const WireEvents *events, void *owner)
{
  return wire_new(origin->pool->net, &origin->route, events, owner);
}

void origin_put(Origin *origin, Wire *wire)
{
  Idle *idle;
  if (origin->idle_count >= POOL_MAX_ORIGIN_IDLE || origin->pool->idle_count >= POOL_MAX_IDLE ||
      wire_unsent(wire) > 0) {
    wire_free(wire);
    return;
  }
  idle = mem_zero(1, sizeof *idle);
  idle->origin = origin;
  idle->wire = wire;
  idle->next = origin->ring.next;
  idle->prev = &origin->ring;
  idle->next->prev = origin->ring.next = idle;
  origin->idle_count++;
  origin->pool->idle_count++;
  wire_give(wire, &idle_events, idle);
  wire_read(wire, true);
  timer_start(origin->pool->net->loop, &idle->timer, POOL_IDLE_MS, on_idle_too_long);
}
