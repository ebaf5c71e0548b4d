// Connections that go on in another process which serves the same: the socket, and what was read
// of it and not answered. They travel through one pair of datagram sockets that all processes
// share; whoever listens takes the next, and what nobody took yet outlives a process that dies.
#ifndef MOONHOOK_HTTP_PASSING_H
#define MOONHOOK_HTTP_PASSING_H

#include "../base/loop.h"
#include "server.h"

typedef struct Passing Passing;

typedef struct {
  int fd; // the client's socket
  char remote_addr[46];
  uint16_t remote_port;
  uint64_t started_us; // of the request whose head `input` begins with
  Buffer input;        // that was read and is not answered
} PassedConn;

// The descriptors are borrowed until passing_close. on_passed takes the socket and the input.
Passing *passing_new(Loop *loop, int out_fd, int in_fd,
                     void (*on_passed)(void *context, PassedConn *passed), void *context);
// 0: it is on its way, and the caller closes its own descriptor. Else nothing was sent: UV_EAGAIN
// when too many are on their way.
int passing_send(const Passing *passing, const PassedConn *passed);
// At first it does not listen; and no more when there are no descriptors left, until told again.
void passing_listen(Passing *passing, bool is_on);
void passing_take(Passing *passing); // what has been sent up to now
void passing_close(Passing *passing);

// Appends the request's head as it may be parsed again: the same method, target, version and
// fields.
void passing_write_head(const Request *request, Buffer *out);

#endif
