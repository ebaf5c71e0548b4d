// A spec's client: one TCP connection to a plugin under test. Bytes go out and come in as they are;
// the spec's Lua code writes and reads HTTP.
#ifndef MOONHOOK_TESTING_CLIENT_SOCKET_H
#define MOONHOOK_TESTING_CLIENT_SOCKET_H

#include <uv.h>

#include "bed.h"

struct ClientSocket {
  uv_tcp_t tcp; // first member
  uv_connect_t connect;
  Bed *bed;
  ClientSocket *next;
  uint32_t id;
  Buffer in;   // came, and nobody took it
  bool is_eof; // nothing more will come
  bool is_told;
  char read_buffer[16384];
};

ClientSocket *client_socket_open(Bed *bed, int port);
ClientSocket *client_socket_find(const Bed *bed, uint32_t id); // NULL: closed
void client_socket_send(ClientSocket *socket, Span bytes);
void client_socket_shut(ClientSocket *socket); // our side is over; the other may still send
void client_socket_close(Bed *bed, uint32_t id);

#endif
