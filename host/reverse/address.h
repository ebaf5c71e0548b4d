// What kind of address an address is. Only the ones that anybody on the Internet may have are
// public; the rest lead into this machine, its networks, or nowhere.
#ifndef MOONHOOK_REVERSE_ADDRESS_H
#define MOONHOOK_REVERSE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

typedef union {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} Address;

// NULL for a public address; else what it is, with its article: "a loopback address".
const char *address_kind(const Address *address);

// A block of addresses: 10.0.0.0/8, fd00::/8, or one address.
typedef struct {
  Address first;
  unsigned bits;
} AddressBlock;

// Returns 0, or UV_EINVAL when `text` is no address, or no address with the number of its bits.
int address_block_parse(const char *text, AddressBlock *block);
bool address_block_has(const AddressBlock *block, const Address *address);

#endif
