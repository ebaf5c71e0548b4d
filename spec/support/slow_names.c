// Preloaded into a host by specs: a name server that takes its time. Names that end in ".slow.test"
// are answered after SLOW_NAMES_MS milliseconds, with loopback; all others as always.
#include <dlfcn.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

typedef int Ask(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
  static const char ending[] = ".slow.test";
  size_t len = name ? strlen(name) : 0;
  Ask *ask;
  *(void **)&ask = dlsym(RTLD_NEXT, "getaddrinfo");
  if (len > sizeof ending && strcmp(name + len - (sizeof ending - 1), ending) == 0) {
    const char *ms = getenv("SLOW_NAMES_MS");
    poll(NULL, 0, ms ? atoi(ms) : 1000);
    name = "127.0.0.1";
  }
  return ask(name, service, hints, found);
}
