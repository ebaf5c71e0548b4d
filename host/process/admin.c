// See admin.h.
#include "admin.h"

#include "../base/memory.h"

enum { PORTS_TRIED = 20 };

struct Admin {
  HttpServer *server;
  bool is_ready;
  void (*on_closed)(void *context);
  void *context;
};

static void reply_text(Request *request, int status, const char *text)
{
  HeaderList headers = { 0 };
  header_list_add(&headers, span_of("Content-Type"), span_of("text/plain; charset=utf-8"));
  reply_full(request, status, &headers, text, strlen(text));
  header_list_free(&headers);
}

static void on_head(void *context, Request *request)
{
  const Admin *admin = context;
  bool is_health = span_is(request->path, "/healthz"), is_ready = span_is(request->path, "/readyz");
  if (!is_health && !is_ready) {
    reply_error(request, 404, "not_found", "there is nothing at this address", NULL);
  } else if (!span_is(request->method, "GET") && !request->is_head) {
    HeaderList headers = { 0 };
    header_list_add(&headers, span_of("Allow"), span_of("GET, HEAD"));
    reply_error(request, 405, "method_not_allowed", "this address takes GET", &headers);
    header_list_free(&headers);
  } else if (is_ready && !admin->is_ready) {
    reply_text(request, 503, "not ready\n");
  } else {
    reply_text(request, 200, is_ready ? "ready\n" : "ok\n");
  }
}

static void on_request(void *context, Request *request)
{
  (void)context;
  (void)request; // every request was answered at its head
}

static void on_over(void *context, Request *request, bool is_complete, const char *ended_by)
{
  (void)context;
  (void)request;
  (void)is_complete;
  (void)ended_by;
}

static const HttpHandler handler = { on_head, on_request, on_request, on_over };

Admin *admin_new(Loop *loop, const ConfigListen *listen, bool may_move, Err *err)
{
  Admin *admin = mem_zero(1, sizeof *admin);
  HttpLimits limits = http_limits_default();
  int port = listen->port, tries = may_move && port ? PORTS_TRIED : 1;
  limits.max_connections = 64;
  for (; tries > 0 && !admin->server; tries--, port++) {
    admin->server = http_server_new(loop, listen->host, port, &limits, &handler, admin, err);
    if (!admin->server && err->code != UV_EADDRINUSE)
      break;
  }
  if (admin->server)
    return admin;
  mem_free(admin);
  return NULL;
}

int admin_port(const Admin *admin)
{
  return http_server_port(admin->server);
}

void admin_set_ready(Admin *admin, bool is_ready)
{
  admin->is_ready = is_ready;
}

static void on_server_closed(void *context)
{
  Admin *admin = context;
  void (*on_closed)(void *) = admin->on_closed;
  void *closed_context = admin->context;
  http_server_free(admin->server);
  mem_free(admin);
  on_closed(closed_context);
}

void admin_close(Admin *admin, void (*on_closed)(void *context), void *context)
{
  admin->on_closed = on_closed;
  admin->context = context;
  http_server_stop(admin->server, true, on_server_closed, admin);
}
