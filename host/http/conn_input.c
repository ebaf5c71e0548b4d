// A connection's input: it is parsed as it comes, and kept while the request at hand is not over.
#include "conn.h"
#include "hangup.h"

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf);
static HeadVerdict on_head(RequestParser *parser);
static size_t feed(Conn *conn, const char *bytes, size_t len);
static void keep(Conn *conn, const char *bytes, size_t len);
static void on_hangup(void *context);
static void end_of_input(Conn *conn);

int conn_start_reading(Conn *conn)
{
  return uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read);
}

void conn_drop_parser(Conn *conn)
{
  if (conn->parser)
    server_give_parser(conn->server, conn->parser);
  conn->parser = NULL;
}

void conn_feed_kept(Conn *conn)
{
  size_t used = feed(conn, conn->kept.bytes + conn->kept_at, conn->kept.len - conn->kept_at);
  if (conn->phase == CONN_CLOSING || conn->phase == CONN_PASSING)
    return; // there, what is kept is another
  conn->kept_at += used;
  if (conn->kept_at == conn->kept.len || conn->ignores_input) {
    buffer_free(&conn->kept);
    conn->kept_at = 0;
  }
  if (conn->is_paused && conn->kept.len - conn->kept_at < KEPT_INPUT_BYTES / 2)
    conn_resume_reading(conn);
}

void conn_resume_reading(Conn *conn)
{
  hangup_close(conn->hangup);
  conn->hangup = NULL;
  conn->is_paused = false;
  if (!conn->is_eof && conn_start_reading(conn) != 0)
    conn->is_eof = true;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
  Conn *conn = (Conn *)handle;
  (void)suggested;
  *buf = uv_buf_init(conn->server->read_buffer, READ_BUFFER_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf)
{
  Conn *conn = (Conn *)stream;
  size_t used = 0;
  if (nread == 0 || conn->phase == CONN_CLOSING)
    return;
  if (nread == UV_EOF) {
    end_of_input(conn);
    return;
  }
  if (nread < 0) {
    conn_break(conn, "client");
    return;
  }
  if (conn->phase < CONN_REPLY)
    used = feed(conn, buf->base, (size_t)nread);
  if (used < (size_t)nread && conn->phase == CONN_REPLY && !conn->ignores_input)
    keep(conn, buf->base + used, (size_t)nread - used);
}

// Parses; returns how many bytes were used. Whatever happens to the connection happens later or
// through conn_close, so `conn` is there when it returns.
static size_t feed(Conn *conn, const char *bytes, size_t len)
{
  HttpServer *server = conn->server;
  Loop *loop = server->loop;
  Refusal refusal;
  size_t used;
  if (!conn->parser) {
    conn->parser = server_take_parser(server);
    request_parser_init(conn->parser, &conn->request, &server->limits, &server->budget, on_head);
  }
  switch (request_parser_feed(conn->parser, bytes, len, &used)) {
  case PARSE_MORE:
    if (conn->phase == CONN_IDLE) {
      conn->phase = CONN_HEAD;
      conn->since_ms = loop_now_ms(loop);
      timer_start(loop, &conn->timer, server->limits.head_ms, conn_on_timer);
    } else if (conn->phase == CONN_BODY) {
      conn->progress_ms = loop_now_ms(loop);
      if (conn->parser->expects_continue) {
        conn->parser->expects_continue = false;
        buffer_string(&conn->out, "HTTP/1.1 100 Continue\r\n\r\n");
        conn_cork(conn);
      }
    }
    break;
  case PARSE_COMPLETE:
    conn_drop_parser(conn);
    conn->phase = CONN_REPLY;
    conn->ignores_input |= !conn->keeps_alive;
    if (!conn->has_begun && !conn->is_done)
      server->handler.on_request(server->context, &conn->request);
    break;
  case PARSE_STOPPED:
    conn_drop_parser(conn);
    conn->phase = CONN_REPLY;
    conn->ignores_input = true;
    break;
  case PARSE_PASSED:
    conn_drop_parser(conn);
    conn_pass(conn, bytes + used, len - used);
    return len;
  case PARSE_REFUSED:
    refusal = conn->parser->refusal;
    conn_drop_parser(conn);
    reply_refusal(conn, &refusal);
    break;
  }
  return used;
}

static HeadVerdict on_head(RequestParser *parser)
{
  Conn *conn = (Conn *)((char *)parser->request - offsetof(Conn, request));
  HttpServer *server = conn->server;
  conn->phase = CONN_BODY;
  conn->is_seen = true;
  conn->keeps_alive = parser->keeps_alive;
  server_make_id(server, conn->request.id);
  server->handler.on_head(server->context, &conn->request);
  if (conn->is_passed_on)
    return HEAD_PASSED;
  if (conn->has_begun || conn->is_done)
    return HEAD_ANSWERED;
  if (conn->request.has_body) {
    conn->since_ms = conn->progress_ms = loop_now_ms(server->loop);
    timer_start(server->loop, &conn->timer, server->limits.body_ms, conn_on_timer);
  }
  return HEAD_TAKEN;
}

static void keep(Conn *conn, const char *bytes, size_t len)
{
  if (conn->kept_at > 0 && conn->kept_at >= conn->kept.len / 2) {
    buffer_consume(&conn->kept, conn->kept_at);
    conn->kept_at = 0;
  }
  buffer_append(&conn->kept, bytes, len);
  if (conn->kept.len - conn->kept_at >= KEPT_INPUT_BYTES && !conn->is_paused) {
    uv_os_fd_t fd;
    uv_read_stop((uv_stream_t *)&conn->tcp);
    conn->is_paused = true;
    if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0)
      conn->hangup = hangup_watch(loop_uv(conn->server->loop), fd, on_hangup, conn);
  }
}

static void on_hangup(void *context)
{
  end_of_input(context);
}

// The client will send no more. While a reply is due this counts as leaving; but a reply that the
// handler makes in the same turn is still sent.
static void end_of_input(Conn *conn)
{
  conn->is_eof = true;
  if (conn->phase == CONN_REPLY)
    conn_cork(conn);
  else
    conn_break(conn, "client");
}
