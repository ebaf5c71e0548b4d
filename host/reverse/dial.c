// Opens a wire: the name, the addresses one after the other, the proxy's CONNECT, TLS. How long all
// of it may take is the owner's business; an address that has others behind it gets ADDRESS_MS.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../base/memory.h"
#include "response.h"
#include "wire_parts.h"

enum { ADDRESS_MS = 1000 };

typedef enum { DIAL_NAME, DIAL_ADDRESS, DIAL_PROXY, DIAL_CERTIFICATES, DIAL_TLS } DialStep;

struct Dial {
  Wire *wire;
  DialStep step;
  Lookup lookup;
  TlsWaiter certificates;
  Timer timer;
  Addresses addresses;
  uint32_t next_address;
  Response response; // the proxy's
  int problem_code;
  char problem[224];
};

static void try_address(Dial *dial);
static void start_tls(Dial *dial);

// The first machine to reach: the proxy or the host itself.
static const Url *first_hop(const Dial *dial)
{
  const Wire *wire = dial->wire;
  return wire->route->has_proxy ? &wire->net->proxy.url : &wire->route->url;
}

static const char *host_of(const Dial *dial)
{
  return dial->wire->route->url.host;
}

static void __attribute__((format(printf, 2, 3))) describe(Dial *dial, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  vsnprintf(dial->problem, sizeof dial->problem, format, args);
  va_end(args);
}

// Gives up. Nothing is touched after this: the owner may have freed the wire.
static void fail(Dial *dial, int code)
{
  Wire *wire = dial->wire;
  timer_stop(&dial->timer);
  wire_end(wire, code, "%s", dial->problem);
}

static void on_fail_later(Timer *timer)
{
  Dial *dial = (Dial *)((char *)timer - offsetof(Dial, timer));
  fail(dial, dial->problem_code);
}

static void opened(Dial *dial)
{
  Wire *wire = dial->wire;
  wire->dial = NULL;
  wire->has_sent = false; // of the owner's bytes, none
  dial_free(dial);
  if (!wire->tls)
    wire_start_reading(wire);
  wire->events->on_open(wire);
}

// --- addresses -----------------------------------------------------------------------------------

static void note_problem(Dial *dial, const Address *address, int code)
{
  const char *host = first_hop(dial)->host;
  char text[INET6_ADDRSTRLEN] = "";
  bool is_name;
  if (address->any.sa_family == AF_INET6)
    uv_ip6_name(&address->v6, text, sizeof text);
  else
    uv_ip4_name(&address->v4, text, sizeof text);
  is_name = strcmp(host, text) != 0;
  dial->problem_code = code;
  describe(dial, "%s: %s%s%s%s port %u: %s",
           code == UV_ECONNREFUSED ? "connect_refused" : "connect_failed", host,
           is_name ? " (" : "", is_name ? text : "", is_name ? ")" : "", first_hop(dial)->port,
           uv_strerror(code));
}

static void drop_socket(Dial *dial)
{
  if (dial->wire->socket)
    socket_close(dial->wire->socket);
  dial->wire->socket = NULL;
}

static void on_address_slow(Timer *timer)
{
  Dial *dial = (Dial *)((char *)timer - offsetof(Dial, timer));
  drop_socket(dial);
  try_address(dial);
}

static void send_connect(Dial *dial)
{
  Wire *wire = dial->wire;
  const Url *url = &wire->route->url;
  const char *open = url->is_ipv6 ? "[" : "", *close = url->is_ipv6 ? "]" : "";
  Buffer head = { 0 };
  int rc;
  dial->step = DIAL_PROXY;
  response_init(&dial->response, RESPONSE_TO_CONNECT);
  buffer_printf(&head, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n", open, url->host, close,
                url->port, open, url->host, close, url->port);
  if (wire->net->proxy.authorization)
    buffer_printf(&head, "Proxy-Authorization: %s\r\n", wire->net->proxy.authorization);
  buffer_string(&head, "\r\n");
  rc = wire_send_raw(wire, head.bytes, head.len);
  explicit_bzero(head.bytes, head.len);
  buffer_free(&head);
  if (rc < 0)
    dial_ended(wire, rc);
}

static void on_connected(uv_connect_t *connect, int status)
{
  Wire *wire = ((Socket *)connect->handle)->wire;
  Dial *dial;
  mem_free(connect);
  if (!wire)
    return; // let go of meanwhile
  dial = wire->dial;
  timer_stop(&dial->timer);
  if (status < 0) {
    note_problem(dial, &dial->addresses.items[dial->next_address - 1], status);
    drop_socket(dial);
    try_address(dial);
    return;
  }
  if (wire->route->url.is_tls)
    wire_start_reading(wire);
  if (wire->route->has_proxy)
    send_connect(dial);
  else if (wire->route->url.is_tls)
    start_tls(dial);
  else
    opened(dial);
}

// Tries the addresses that are left until one begins to connect.
static void try_address(Dial *dial)
{
  Wire *wire = dial->wire;
  dial->step = DIAL_ADDRESS;
  while (dial->next_address < dial->addresses.count) {
    Address *address = &dial->addresses.items[dial->next_address++];
    uint16_t port = htons(first_hop(dial)->port);
    uv_connect_t *connect;
    int rc;
    if (address->any.sa_family == AF_INET6)
      address->v6.sin6_port = port;
    else
      address->v4.sin_port = port;
    wire->socket = socket_new(wire);
    connect = mem_alloc(sizeof *connect);
    rc = uv_tcp_connect(connect, &wire->socket->tcp, &address->any, on_connected);
    if (rc == 0) {
      if (dial->next_address < dial->addresses.count)
        timer_start(wire->net->loop, &dial->timer, ADDRESS_MS, on_address_slow);
      return;
    }
    mem_free(connect);
    note_problem(dial, address, rc);
    drop_socket(dial);
  }
  timer_start(wire->net->loop, &dial->timer, 0, on_fail_later); // never from within wire_new
}

// Leaves the addresses that the policy lets pass. From here on only these are connected to; the
// name is not looked up again.
static void keep_allowed(Dial *dial)
{
  const Policy *policy = dial->wire->route->policy;
  Addresses *addresses = &dial->addresses;
  uint32_t i, kept = 0;
  for (i = 0; i < addresses->count; i++) {
    const char *objection = policy_objection(policy, host_of(dial), &addresses->items[i]);
    if (objection)
      describe(dial, "blocked_address: %s is %s", host_of(dial), objection);
    else
      addresses->items[kept++] = addresses->items[i];
  }
  addresses->count = kept;
}

static void take_addresses(Dial *dial, const Addresses *addresses)
{
  dial->addresses = *addresses;
  dial->problem_code = UV_EAI_FAIL;
  if (addresses->count == 0)
    describe(dial, "dns: %s: %s", first_hop(dial)->host, addresses->problem);
  else if (dial->wire->route->policy && !dial->wire->route->has_proxy)
    keep_allowed(dial);
  try_address(dial);
}

static void on_addresses(Lookup *lookup, const Addresses *addresses)
{
  take_addresses((Dial *)((char *)lookup - offsetof(Dial, lookup)), addresses);
}

// --- TLS -----------------------------------------------------------------------------------------

// Takes the hand-shake as far as the bytes go.
static void shake_hands(Dial *dial)
{
  Wire *wire = dial->wire;
  TlsStatus status = tls_session_handshake(wire->tls);
  int rc = wire_flush_tls(wire);
  if (status == TLS_OK) {
    opened(dial);
    if (!wire->is_freed)
      wire_drain_tls(wire); // the peer may have said more already
    return;
  }
  if (status == TLS_MORE && rc == 0)
    return;
  if (status == TLS_FAILED) {
    const char *error = tls_session_error(wire->tls), *colon = strchr(error, ':');
    describe(dial, "%.*s: %s%s", (int)(colon - error), error, host_of(dial), colon);
  } else {
    describe(dial, "tls_handshake: %s closed the connection", host_of(dial));
  }
  fail(dial, UV_EPROTO);
}

static void on_certificates(TlsWaiter *waiter)
{
  start_tls((Dial *)((char *)waiter - offsetof(Dial, certificates)));
}

static void start_tls(Dial *dial)
{
  Wire *wire = dial->wire;
  Tls *tls = wire->net->tls;
  dial->step = DIAL_CERTIFICATES;
  if (dial->certificates.next) {
    dial->certificates.on_ready = on_certificates; // they were asked for in dial_start
    return;
  }
  if (tls_problem(tls)) {
    describe(dial, "tls_verify: %s", tls_problem(tls));
    fail(dial, UV_EPROTO);
    return;
  }
  dial->step = DIAL_TLS;
  wire->tls = tls_session_new(tls, host_of(dial), &wire->route->session);
  shake_hands(dial);
}

// --- what wire.c calls ---------------------------------------------------------------------------

static void on_certificates_early(TlsWaiter *waiter)
{
  (void)waiter; // they are there before anybody needs them
}

// A proxy is asked for names only it resolves; an address can be judged here as well.
static bool is_blocked_literal(Dial *dial)
{
  const Route *route = dial->wire->route;
  AddressBlock block;
  const char *objection = NULL;
  if (route->policy && route->has_proxy && address_block_parse(route->url.host, &block) == 0)
    objection = policy_objection(route->policy, route->url.host, &block.first);
  if (objection)
    describe(dial, "blocked_address: %s is %s", route->url.host, objection);
  return objection != NULL;
}

void dial_start(Wire *wire)
{
  Dial *dial = mem_zero(1, sizeof *dial);
  const Addresses *known;
  dial->wire = wire;
  dial->lookup.on_done = on_addresses;
  dial->certificates.on_ready = on_certificates_early;
  wire->dial = dial;
  if (is_blocked_literal(dial)) {
    dial->problem_code = UV_EAI_FAIL;
    timer_start(wire->net->loop, &dial->timer, 0, on_fail_later);
    return;
  }
  if (wire->route->url.is_tls)
    tls_prepare(wire->net->tls, &dial->certificates);
  known = resolver_get(wire->net->resolver, first_hop(dial)->host, &dial->lookup);
  if (known)
    take_addresses(dial, known);
}

void dial_free(Dial *dial)
{
  if (!dial)
    return;
  timer_stop(&dial->timer);
  resolver_cancel(&dial->lookup);
  tls_cancel(&dial->certificates);
  response_free(&dial->response);
  mem_free(dial);
}

static void take_proxy_reply(Dial *dial, const char *bytes, size_t len)
{
  size_t used = 0;
  ResponseStep step = response_step(&dial->response, bytes, len, &used);
  while (step == RESPONSE_MORE && used < len)
    step = response_step(&dial->response, bytes, len, &used);
  if (step == RESPONSE_MORE)
    return;
  if (step == RESPONSE_HEAD && dial->response.is_complete && used == len) {
    start_tls(dial);
    return;
  }
  if (step == RESPONSE_HEAD && !dial->response.is_complete)
    describe(dial, "proxy_refused: %s answered %d to CONNECT", first_hop(dial)->host,
             dial->response.status);
  else
    describe(dial, "upstream_protocol: proxy %s: %s", first_hop(dial)->host,
             dial->response.problem ? dial->response.problem : "bytes behind its reply to CONNECT");
  fail(dial, UV_EPROTO);
}

void dial_take_bytes(Wire *wire, const char *bytes, size_t len)
{
  Dial *dial = wire->dial;
  switch (dial->step) {
  case DIAL_PROXY:
    take_proxy_reply(dial, bytes, len);
    break;
  case DIAL_TLS:
    tls_session_feed(wire->tls, bytes, len);
    shake_hands(dial);
    break;
  default: // in TLS the server speaks second
    describe(dial, "tls_handshake: %s: it spoke before we did", host_of(dial));
    fail(dial, UV_EPROTO);
  }
}

void dial_ended(Wire *wire, int code)
{
  Dial *dial = wire->dial;
  describe(dial, "%s: %s closed the connection",
           dial->step == DIAL_PROXY ? "proxy_refused" : "tls_handshake",
           dial->step == DIAL_PROXY ? first_hop(dial)->host : host_of(dial));
  fail(dial, code);
}
