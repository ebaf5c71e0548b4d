// Taking one connection from a listening socket.
#ifndef MOONHOOK_HTTP_ACCEPT_H
#define MOONHOOK_HTTP_ACCEPT_H

#include <stdint.h>

typedef struct {
  int fd;    // non-blocking, close-on-exec, TCP_NODELAY; -1 when none was taken
  int error; // errno when fd is -1
  char address[46];
  uint16_t port;
} Accepted;

Accepted accept_one(int listening_fd);

#endif
