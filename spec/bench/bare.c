// The least that libuv and llhttp let an HTTP server do: each request gets the same reply, made
// beforehand. No routes, no log, no limits: what the host's hello is compared with.
//
//   bare PORT
#include <llhttp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                            "Content-Length: 14\r\n\r\nHello, world!\n";

typedef struct {
  uv_tcp_t tcp; // first member
  llhttp_t parser;
} Conn;

static llhttp_settings_t settings;
static char input[65536];

static void on_closed(uv_handle_t *handle)
{
  free(handle);
}

static int on_message_complete(llhttp_t *parser)
{
  Conn *conn = parser->data;
  uv_buf_t buf = uv_buf_init((char *)reply, sizeof reply - 1);
  // The socket takes such a small one, or the client does not read: then it has lost.
  return uv_try_write((uv_stream_t *)&conn->tcp, &buf, 1) == (int)sizeof reply - 1 ? 0 : HPE_USER;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
  (void)handle;
  (void)suggested;
  *buf = uv_buf_init(input, sizeof input);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
  Conn *conn = (Conn *)stream;
  if (nread < 0 || (nread > 0 && llhttp_execute(&conn->parser, buf->base, (size_t)nread) != HPE_OK))
    uv_close((uv_handle_t *)stream, on_closed);
}

static void on_connection(uv_stream_t *listener, int status)
{
  Conn *conn = calloc(1, sizeof *conn);
  if (status < 0 || !conn)
    abort();
  uv_tcp_init(listener->loop, &conn->tcp);
  llhttp_init(&conn->parser, HTTP_REQUEST, &settings);
  conn->parser.data = conn;
  if (uv_accept(listener, (uv_stream_t *)&conn->tcp) < 0 ||
      uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) < 0)
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

int main(int argc, char **argv)
{
  struct sockaddr_in address;
  uv_tcp_t listener;
  if (argc != 2) {
    fprintf(stderr, "usage: bare PORT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  llhttp_settings_init(&settings);
  settings.on_message_complete = on_message_complete;
  uv_ip4_addr("127.0.0.1", atoi(argv[1]), &address);
  uv_tcp_init(uv_default_loop(), &listener);
  if (uv_tcp_bind(&listener, (struct sockaddr *)&address, 0) < 0 ||
      uv_listen((uv_stream_t *)&listener, 1024, on_connection) < 0) {
    fprintf(stderr, "bare: cannot listen on port %s\n", argv[1]);
    return 1;
  }
  return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
