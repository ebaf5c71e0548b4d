// See resolver.h. getaddrinfo runs in detached threads of our own rather than in libuv's pool: it
// may block for many seconds, and neither file work nor the end of the process shall wait for it.
// Thread and loop share only an `Inbox`, which lives until both have let go of it.
#include "resolver.h"

#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "../base/memory.h"

enum { MAX_NAMES = 512, THREAD_STACK_BYTES = 512 * 1024 };

typedef struct Question {
  struct Question *next;
  struct Inbox *inbox;
  Addresses addresses;
  char name[];
} Question;

// Answers on their way from the threads to the loop.
typedef struct Inbox {
  pthread_mutex_t mutex;
  uint32_t holds;
  uv_async_t *async; // NULL once the resolver is closed
  Question *answered;
} Inbox;

typedef enum { NAME_KNOWN, NAME_QUEUED, NAME_ASKED } NameState;

typedef struct Name {
  struct Name *next;
  NameState state;
  uint64_t keep_until_ms;
  Lookup waiting; // the head of a ring
  Addresses addresses;
  char text[];
} Name;

struct Resolver {
  Loop *loop;
  uv_async_t async;
  Inbox *inbox;
  Name *names;
  uint32_t name_count;
  uint32_t threads;
  Addresses literal;
  void (*on_closed)(void *context);
  void *closed_context;
};

// The first address stays first, then the families take turns: when one of them leads nowhere, the
// other comes soon.
static void interleave(Addresses *addresses)
{
  uint32_t i, j;
  for (i = 1; i < addresses->count; i++) {
    for (j = i; j < addresses->count; j++) {
      if (addresses->items[j].any.sa_family != addresses->items[i - 1].any.sa_family)
        break;
    }
    if (j < addresses->count && j > i) {
      Address other = addresses->items[j];
      memmove(&addresses->items[i + 1], &addresses->items[i], (j - i) * sizeof other);
      addresses->items[i] = other;
    }
  }
}

static void ask_system(const char *name, Addresses *addresses)
{
  struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
  struct addrinfo *list = NULL, *item;
  int rc = getaddrinfo(name, NULL, &hints, &list);
  addresses->count = 0;
  for (item = list; item && addresses->count < RESOLVER_MAX_ADDRESSES; item = item->ai_next) {
    if (item->ai_addrlen <= sizeof *addresses->items &&
        (item->ai_family == AF_INET || item->ai_family == AF_INET6))
      memcpy(&addresses->items[addresses->count++], item->ai_addr, item->ai_addrlen);
  }
  if (list)
    freeaddrinfo(list);
  interleave(addresses);
  if (addresses->count == 0)
    snprintf(addresses->problem, sizeof addresses->problem, "%s",
             rc ? gai_strerror(rc) : "no address of a usable kind");
}

void (*resolver_ask)(const char *name, Addresses *addresses) = ask_system;

// --- between thread and loop ---------------------------------------------------------------------

static void inbox_release(Inbox *inbox) // with the mutex held; unlocks it
{
  bool is_last = --inbox->holds == 0;
  pthread_mutex_unlock(&inbox->mutex);
  if (is_last) {
    pthread_mutex_destroy(&inbox->mutex);
    mem_free(inbox);
  }
}

static void *thread_main(void *argument)
{
  Question *question = argument;
  Inbox *inbox = question->inbox;
  resolver_ask(question->name, &question->addresses);
  pthread_mutex_lock(&inbox->mutex);
  if (inbox->async) {
    question->next = inbox->answered;
    inbox->answered = question;
    uv_async_send(inbox->async);
  } else {
    mem_free(question);
  }
  inbox_release(inbox);
  return NULL;
}

static int start_thread(Question *question)
{
  pthread_attr_t attr;
  pthread_t thread;
  sigset_t all, before;
  int rc;
  pthread_attr_init(&attr);
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
  sigfillset(&all); // signals are the loop's
  pthread_sigmask(SIG_SETMASK, &all, &before);
  rc = pthread_create(&thread, &attr, thread_main, question);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  return rc;
}

// --- names ---------------------------------------------------------------------------------------

static void ring_init(Lookup *ring)
{
  ring->prev = ring->next = ring;
}

static void ring_remove(Lookup *lookup)
{
  lookup->prev->next = lookup->next;
  lookup->next->prev = lookup->prev;
  lookup->prev = lookup->next = NULL;
}

static void name_answer(Resolver *resolver, Name *name)
{
  Lookup waiting;
  name->state = NAME_KNOWN;
  name->keep_until_ms = loop_now_ms(resolver->loop) +
                        (name->addresses.count ? RESOLVER_KEEP_MS : RESOLVER_KEEP_FAILURE_MS);
  if (name->waiting.next == &name->waiting)
    return;
  waiting = name->waiting; // those who ask again from on_done are not in this round
  waiting.next->prev = waiting.prev->next = &waiting;
  ring_init(&name->waiting);
  while (waiting.next != &waiting) {
    Lookup *lookup = waiting.next;
    ring_remove(lookup);
    lookup->on_done(lookup, &name->addresses);
  }
}

static void ask_queued(Resolver *resolver)
{
  Name *name;
  for (name = resolver->names; name && resolver->threads < RESOLVER_THREADS; name = name->next) {
    Question *question;
    size_t size = strlen(name->text) + 1;
    if (name->state != NAME_QUEUED)
      continue;
    question = mem_zero(1, sizeof *question + size);
    memcpy(question->name, name->text, size);
    question->inbox = resolver->inbox;
    pthread_mutex_lock(&resolver->inbox->mutex);
    resolver->inbox->holds++;
    pthread_mutex_unlock(&resolver->inbox->mutex);
    name->state = NAME_ASKED;
    resolver->threads++;
    if (start_thread(question) != 0) {
      // No thread to be had: an answer like any other, on the usual way.
      snprintf(question->addresses.problem, sizeof question->addresses.problem,
               "no thread for the look-up");
      pthread_mutex_lock(&resolver->inbox->mutex);
      question->next = resolver->inbox->answered;
      resolver->inbox->answered = question;
      uv_async_send(resolver->inbox->async);
      inbox_release(resolver->inbox);
    }
  }
}

static void on_answers(uv_async_t *async)
{
  Resolver *resolver = async->data;
  Question *question, *next;
  pthread_mutex_lock(&resolver->inbox->mutex);
  question = resolver->inbox->answered;
  resolver->inbox->answered = NULL;
  pthread_mutex_unlock(&resolver->inbox->mutex);
  for (; question; question = next) {
    Name *name;
    next = question->next;
    resolver->threads--;
    for (name = resolver->names; name; name = name->next) {
      if (strcmp(name->text, question->name) == 0)
        break;
    }
    if (name) {
      name->addresses = question->addresses;
      name_answer(resolver, name);
    }
    mem_free(question);
  }
  ask_queued(resolver);
}

// Forgets the names whose time is over and that nobody waits for.
static void sweep(Resolver *resolver, uint64_t now_ms)
{
  Name **at = &resolver->names;
  while (*at) {
    Name *name = *at;
    if (name->state == NAME_KNOWN && name->keep_until_ms <= now_ms) {
      *at = name->next;
      resolver->name_count--;
      mem_free(name);
    } else {
      at = &name->next;
    }
  }
}

static Name *name_find(Resolver *resolver, const char *text)
{
  size_t size = strlen(text) + 1;
  Name *name;
  for (name = resolver->names; name; name = name->next) {
    if (strcmp(name->text, text) == 0)
      return name;
  }
  if (resolver->name_count >= MAX_NAMES)
    sweep(resolver, loop_now_ms(resolver->loop));
  name = mem_zero(1, sizeof *name + size);
  memcpy(name->text, text, size);
  ring_init(&name->waiting);
  name->next = resolver->names;
  resolver->names = name;
  resolver->name_count++;
  return name;
}

static bool parse_literal(const char *text, Addresses *addresses)
{
  memset(addresses, 0, sizeof *addresses);
  addresses->count = uv_ip4_addr(text, 0, &addresses->items[0].v4) == 0 ||
                     uv_ip6_addr(text, 0, &addresses->items[0].v6) == 0;
  return addresses->count > 0;
}

// --- the interface -------------------------------------------------------------------------------

Resolver *resolver_new(Loop *loop)
{
  Resolver *resolver = mem_zero(1, sizeof *resolver);
  resolver->loop = loop;
  resolver->inbox = mem_zero(1, sizeof *resolver->inbox);
  resolver->inbox->holds = 1;
  pthread_mutex_init(&resolver->inbox->mutex, NULL);
  uv_async_init(loop_uv(loop), &resolver->async, on_answers);
  uv_unref((uv_handle_t *)&resolver->async);
  resolver->async.data = resolver;
  resolver->inbox->async = &resolver->async;
  return resolver;
}

static void on_async_closed(uv_handle_t *handle)
{
  Resolver *resolver = handle->data;
  Name *name, *next;
  for (name = resolver->names; name; name = next) {
    next = name->next;
    mem_free(name);
  }
  resolver->on_closed(resolver->closed_context);
  mem_free(resolver);
}

void resolver_close(Resolver *resolver, void (*on_closed)(void *context), void *context)
{
  Question *question, *next;
  resolver->on_closed = on_closed;
  resolver->closed_context = context;
  pthread_mutex_lock(&resolver->inbox->mutex);
  resolver->inbox->async = NULL;
  question = resolver->inbox->answered;
  resolver->inbox->answered = NULL;
  inbox_release(resolver->inbox);
  for (; question; question = next) {
    next = question->next;
    mem_free(question);
  }
  uv_close((uv_handle_t *)&resolver->async, on_async_closed);
}

const Addresses *resolver_get(Resolver *resolver, const char *text, Lookup *lookup)
{
  Name *name;
  if (parse_literal(text, &resolver->literal))
    return &resolver->literal;
  name = name_find(resolver, text);
  if (name->state == NAME_KNOWN) {
    if (name->keep_until_ms > loop_now_ms(resolver->loop))
      return &name->addresses;
    name->state = NAME_QUEUED;
  }
  lookup->prev = name->waiting.prev;
  lookup->next = &name->waiting;
  lookup->prev->next = lookup->next->prev = lookup;
  ask_queued(resolver);
  return NULL;
}

void resolver_cancel(Lookup *lookup)
{
  if (lookup->next)
    ring_remove(lookup);
}
