// One client's socket: bytes in, bytes out, back-pressure, time limits, close. What the bytes mean
// is told by request.c, what a reply looks like by reply.c.
//
// Nothing here is freed or finished inside a reply_* call of the handler: those only collect output
// and set flags, and the end of the turn (on_flush) draws the conclusions.
#include "conn.h"

#include <sys/socket.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/memory.h"
#include "hangup.h"

enum {
  KEPT_OUT_BYTES = 2 * 1024, // output memory that is kept between turns
  TRIM_MS = 1000,            // an idle connection gives its memory back after this
  LINGER_MS = 3000,          // for the client to read a last reply and close
  STOP_LINGER_MS = 500,      // the same while the server stops
  BODY_BYTES_PER_S = 500,    // a body slower than this on the whole is too slow
  STALL_CHECKS = 16,         // per stalled_ms
};

// A copy of bytes that the socket did not take at once.
typedef struct {
  uv_write_t req; // first member: on_written casts back, then frees the block
  Conn *conn;
  char bytes[];
} Write;

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *stream, ssize_t nread, const uv_buf_t *buf);
static void on_written(uv_write_t *req, int status);
static void on_flush(Cork *cork);
static void on_timer(Timer *timer);
static void on_closed(uv_handle_t *handle);
static void on_hangup(void *context);
static bool on_head(RequestParser *parser);
static size_t feed(Conn *conn, const char *bytes, size_t len);
static void feed_kept(Conn *conn);
static void keep(Conn *conn, const char *bytes, size_t len);
static void resume_reading(Conn *conn);
static void end_of_input(Conn *conn);
static void settle(Conn *conn);
static void finish(Conn *conn);
static void next_request(Conn *conn);
static void wait_idle(Conn *conn);
static void watch_reader(Conn *conn, size_t unsent);
static void linger(Conn *conn);
static void over(Conn *conn, bool is_complete, const char *ended_by);
static void close_conn(Conn *conn, bool is_reset);
static void time_out(Conn *conn, const char *message);

void conn_new(HttpServer *server, int fd, const char *remote_addr, uint16_t remote_port,
              bool is_refused)
{
  static const Refusal too_many = { 503, "overloaded", "too many connections, try again" };
  Conn *conn = mem_zero(1, sizeof *conn);
  conn->server = server;
  conn->next = server->conns;
  if (conn->next)
    conn->next->prev = conn;
  server->conns = conn;
  server->conn_count++;
  conn->cork.flush = on_flush;
  memcpy(conn->request.remote_addr, remote_addr,
         strnlen(remote_addr, sizeof conn->request.remote_addr - 1));
  conn->request.remote_port = remote_port;
  request_parser_init(&conn->parser, &conn->request, &server->limits, &server->budget);
  conn->parser.on_head = on_head;
  uv_tcp_init(loop_uv(server->loop), &conn->tcp);
  if (uv_tcp_open(&conn->tcp, fd) != 0) {
    close(fd);
    close_conn(conn, false);
    return;
  }
  if (uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0) {
    close_conn(conn, false);
    return;
  }
  if (is_refused)
    reply_refusal(conn, &too_many);
  else
    wait_idle(conn);
}

void conn_break(Conn *conn, const char *ended_by)
{
  if (conn->phase == CONN_CLOSING)
    return;
  over(conn, false, ended_by);
  close_conn(conn, false);
}

void conn_stop(Conn *conn)
{
  if (conn->phase == CONN_IDLE)
    close_conn(conn, false);
  else if (conn->phase == CONN_LINGER)
    timer_start(conn->server->loop, &conn->timer, STOP_LINGER_MS, on_timer);
}

void conn_cork(Conn *conn)
{
  if (conn->phase != CONN_CLOSING)
    cork_add(conn->server->loop, &conn->cork);
}

// --- output --------------------------------------------------------------------------------------

size_t conn_unsent_bytes(const Conn *conn)
{
  return conn->out.len + uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp);
}

void conn_send(Conn *conn, const void *bytes, size_t len)
{
  uv_buf_t bufs[2] = { uv_buf_init(conn->out.bytes, (unsigned)conn->out.len),
                       uv_buf_init((char *)bytes, (unsigned)len) };
  size_t total = conn->out.len + len, taken;
  int rc;
  if (total == 0 || conn->phase == CONN_CLOSING)
    return;
  if (conn->out.len == 0)
    rc = uv_try_write((uv_stream_t *)&conn->tcp, bufs + 1, 1);
  else
    rc = uv_try_write((uv_stream_t *)&conn->tcp, bufs, len ? 2 : 1);
  taken = rc > 0 ? (size_t)rc : 0;
  conn->sent_bytes += total;
  if (rc < 0 && rc != UV_EAGAIN) {
    conn->is_broken = true;
    conn_cork(conn);
  } else if (taken < total) {
    Write *rest = mem_alloc(sizeof *rest + total - taken);
    uv_buf_t buf = uv_buf_init(rest->bytes, (unsigned)(total - taken));
    size_t of_out = taken < conn->out.len ? conn->out.len - taken : 0;
    rest->conn = conn;
    if (of_out > 0)
      memcpy(rest->bytes, conn->out.bytes + taken, of_out);
    if (len > 0) {
      size_t skipped = taken > conn->out.len ? taken - conn->out.len : 0;
      memcpy(rest->bytes + of_out, (const char *)bytes + skipped, len - skipped);
    }
    if (uv_write(&rest->req, (uv_stream_t *)&conn->tcp, &buf, 1, on_written) != 0) {
      mem_free(rest);
      conn->is_broken = true;
      conn_cork(conn);
    }
  }
  conn->out.len = 0;
  if (conn->out.cap > KEPT_OUT_BYTES)
    buffer_free(&conn->out);
}

static void on_written(uv_write_t *req, int status)
{
  Write *write = (Write *)req;
  Conn *conn = write->conn;
  mem_free(write);
  if (conn->phase == CONN_CLOSING)
    return;
  if (status < 0)
    conn->is_broken = true;
  settle(conn);
}

// The end of the turn.
static void on_flush(Cork *cork)
{
  Conn *conn = (Conn *)((char *)cork - offsetof(Conn, cork));
  conn_send(conn, NULL, 0);
  settle(conn);
}

// Draws the conclusions from what was written, taken and heard.
static void settle(Conn *conn)
{
  size_t unsent;
  if (conn->is_broken) {
    conn_break(conn, "client");
    return;
  }
  unsent = conn_unsent_bytes(conn);
  watch_reader(conn, unsent);
  if (conn->phase != CONN_REPLY)
    return;
  if (conn->is_done) {
    if (unsent == 0)
      finish(conn);
    return;
  }
  if (conn->wants_drain && unsent <= conn->server->limits.unsent_bytes / 2) {
    conn->wants_drain = false;
    conn->server->handler.on_drain(conn->server->context, &conn->request);
  }
  if (!conn->is_eof)
    return;
  if (conn->had_last_turn) {
    conn_break(conn, "client");
    return;
  }
  conn->had_last_turn = true;
  conn_cork(conn);
}

// The reply has left.
static void finish(Conn *conn)
{
  const char *ended_by = conn->ended_by;
  if (!ended_by)
    ended_by = conn->is_aborted ? "server" : "reply";
  over(conn, !conn->is_aborted, ended_by);
  if (conn->is_aborted && (!conn->has_begun || conn->framing == FRAMING_CLOSE))
    close_conn(conn, conn->has_begun); // only a reset tells it from a complete one
  else if (conn->is_last || conn->ignores_input)
    linger(conn);
  else
    next_request(conn);
}

static void next_request(Conn *conn)
{
  request_parser_next(&conn->parser);
  conn->phase = CONN_IDLE;
  conn->has_begun = conn->is_done = conn->is_last = conn->wants_drain = false;
  conn->had_last_turn = false;
  if (conn->kept.len > 0)
    feed_kept(conn);
  if (conn->phase == CONN_IDLE) {
    if (conn->is_eof || conn->server->is_stopping)
      close_conn(conn, false);
    else
      wait_idle(conn);
  } else if (conn->is_eof && conn->phase == CONN_REPLY) {
    conn_cork(conn);
  } else if (conn->is_eof) {
    conn_break(conn, "client");
  }
}

// --- input ---------------------------------------------------------------------------------------

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
// through close_conn, so `conn` is there when it returns.
static size_t feed(Conn *conn, const char *bytes, size_t len)
{
  Loop *loop = conn->server->loop;
  size_t used;
  switch (request_parser_feed(&conn->parser, bytes, len, &used)) {
  case PARSE_MORE:
    if (conn->phase == CONN_IDLE) {
      conn->phase = CONN_HEAD;
      conn->since_ms = loop_now_ms(loop);
      timer_start(loop, &conn->timer, conn->server->limits.head_ms, on_timer);
    } else if (conn->phase == CONN_BODY) {
      conn->progress_ms = loop_now_ms(loop);
      if (conn->parser.expects_continue) {
        conn->parser.expects_continue = false;
        buffer_string(&conn->out, "HTTP/1.1 100 Continue\r\n\r\n");
        conn_cork(conn);
      }
    }
    break;
  case PARSE_COMPLETE:
    conn->phase = CONN_REPLY;
    conn->ignores_input |= !conn->parser.keeps_alive;
    if (!conn->has_begun && !conn->is_done)
      conn->server->handler.on_request(conn->server->context, &conn->request);
    break;
  case PARSE_STOPPED:
    conn->phase = CONN_REPLY;
    conn->ignores_input = true;
    break;
  case PARSE_REFUSED:
    reply_refusal(conn, &conn->parser.refusal);
    break;
  }
  return used;
}

static bool on_head(RequestParser *parser)
{
  Conn *conn = (Conn *)((char *)parser - offsetof(Conn, parser));
  HttpServer *server = conn->server;
  conn->phase = CONN_BODY;
  conn->is_seen = true;
  server_make_id(server, conn->request.id);
  server->handler.on_head(server->context, &conn->request);
  if (conn->has_begun || conn->is_done)
    return false;
  if (conn->request.has_body) {
    conn->since_ms = conn->progress_ms = loop_now_ms(server->loop);
    timer_start(server->loop, &conn->timer, server->limits.body_ms, on_timer);
  }
  return true;
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

static void feed_kept(Conn *conn)
{
  conn->kept_at += feed(conn, conn->kept.bytes + conn->kept_at, conn->kept.len - conn->kept_at);
  if (conn->phase == CONN_CLOSING)
    return;
  if (conn->kept_at == conn->kept.len || conn->ignores_input) {
    buffer_free(&conn->kept);
    conn->kept_at = 0;
  }
  if (conn->is_paused && conn->kept.len - conn->kept_at < KEPT_INPUT_BYTES / 2)
    resume_reading(conn);
}

static void resume_reading(Conn *conn)
{
  hangup_close(conn->hangup);
  conn->hangup = NULL;
  conn->is_paused = false;
  if (!conn->is_eof && uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0)
    conn->is_eof = true;
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

// --- time ----------------------------------------------------------------------------------------

static void wait_idle(Conn *conn)
{
  uint32_t idle_ms = conn->server->limits.idle_ms;
  conn->since_ms = loop_now_ms(conn->server->loop);
  conn->is_trimmed = false;
  timer_start(conn->server->loop, &conn->timer, idle_ms < TRIM_MS ? idle_ms : TRIM_MS, on_timer);
}

// Starts, feeds and ends the watch over a client that does not read.
static void watch_reader(Conn *conn, size_t unsent)
{
  uint64_t taken = conn->sent_bytes - (unsent - conn->out.len);
  if (unsent == 0) {
    conn->is_watched = false;
    return;
  }
  if (conn->is_watched && taken == conn->taken_bytes)
    return;
  conn->taken_bytes = taken;
  conn->progress_ms = loop_now_ms(conn->server->loop);
  if (conn->is_watched)
    return;
  conn->is_watched = true;
  timer_start(conn->server->loop, &conn->timer, conn->server->limits.stalled_ms / STALL_CHECKS + 1,
              on_timer);
}

static void on_idle_timer(Conn *conn, uint64_t now_ms)
{
  uint64_t until_ms = conn->since_ms + conn->server->limits.idle_ms;
  if (now_ms >= until_ms) {
    close_conn(conn, false);
    return;
  }
  if (!conn->is_trimmed) {
    request_parser_trim(&conn->parser);
    buffer_free(&conn->out);
    conn->is_trimmed = true;
  }
  timer_start(conn->server->loop, &conn->timer, until_ms - now_ms, on_timer);
}

// A body may take body_ms, and longer as long as it comes at some speed and does not pause.
static void on_body_timer(Conn *conn, uint64_t now_ms)
{
  uint32_t body_ms = conn->server->limits.body_ms;
  uint64_t earned_ms = (uint64_t)conn->request.body.len * 1000 / BODY_BYTES_PER_S;
  uint64_t until_ms = conn->since_ms + body_ms + earned_ms;
  if (until_ms > conn->progress_ms + body_ms)
    until_ms = conn->progress_ms + body_ms;
  if (now_ms >= until_ms)
    time_out(conn, "the request body took too long");
  else
    timer_start(conn->server->loop, &conn->timer, until_ms - now_ms, on_timer);
}

static void on_reply_timer(Conn *conn, uint64_t now_ms)
{
  uint32_t stalled_ms = conn->server->limits.stalled_ms;
  watch_reader(conn, conn_unsent_bytes(conn));
  if (!conn->is_watched)
    return;
  if (now_ms >= conn->progress_ms + stalled_ms) {
    over(conn, false, "timeout");
    close_conn(conn, true);
  } else {
    timer_start(conn->server->loop, &conn->timer, stalled_ms / STALL_CHECKS + 1, on_timer);
  }
}

static void on_timer(Timer *timer)
{
  Conn *conn = (Conn *)((char *)timer - offsetof(Conn, timer));
  uint64_t now_ms = loop_now_ms(conn->server->loop);
  switch ((ConnPhase)conn->phase) {
  case CONN_IDLE:
    on_idle_timer(conn, now_ms);
    break;
  case CONN_HEAD:
    time_out(conn, "the head of the request took too long");
    break;
  case CONN_BODY:
    on_body_timer(conn, now_ms);
    break;
  case CONN_REPLY:
    on_reply_timer(conn, now_ms);
    break;
  case CONN_LINGER:
    close_conn(conn, false);
    break;
  case CONN_CLOSING:
    break;
  }
}

static void time_out(Conn *conn, const char *message)
{
  Refusal refusal = { 408, "request_timeout", message };
  conn->ended_by = "timeout";
  reply_refusal(conn, &refusal);
}

// --- the end -------------------------------------------------------------------------------------

static void over(Conn *conn, bool is_complete, const char *ended_by)
{
  if (!conn->is_seen)
    return;
  conn->is_seen = false;
  conn->server->handler.on_over(conn->server->context, &conn->request, is_complete, ended_by);
}

// Closing a socket with unread input would reset it and could take the reply away from the client.
// So: our side first, then the client's.
static void linger(Conn *conn)
{
  uv_os_fd_t fd;
  if (conn->is_eof || uv_fileno((uv_handle_t *)&conn->tcp, &fd) != 0 ||
      shutdown(fd, SHUT_WR) != 0) {
    close_conn(conn, false);
    return;
  }
  conn->phase = CONN_LINGER;
  buffer_free(&conn->kept);
  buffer_free(&conn->out);
  request_parser_free(&conn->parser);
  if (conn->is_paused)
    resume_reading(conn);
  timer_start(conn->server->loop, &conn->timer,
              conn->server->is_stopping ? STOP_LINGER_MS : LINGER_MS, on_timer);
}

static void close_conn(Conn *conn, bool is_reset)
{
  if (conn->phase == CONN_CLOSING)
    return;
  conn->phase = CONN_CLOSING;
  cork_remove(&conn->cork);
  timer_stop(&conn->timer);
  hangup_close(conn->hangup);
  conn->hangup = NULL;
  if (!is_reset || uv_tcp_close_reset(&conn->tcp, on_closed) != 0)
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

static void on_closed(uv_handle_t *handle)
{
  Conn *conn = (Conn *)handle;
  request_parser_free(&conn->parser);
  buffer_free(&conn->out);
  buffer_free(&conn->kept);
  server_forget(conn);
  mem_free(conn);
}
