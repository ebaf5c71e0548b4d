// One client's connection: its start, its output and its end. Its input is in conn_input.c, its
// time limits in conn_time.c; what the bytes mean is told by request.c, what a reply looks like by
// reply.c.
//
// Nothing here is freed or finished inside a reply_* call of the handler: those only collect output
// and set flags, and the end of the turn (on_flush) draws the conclusions.
#include "conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/fast_paths.h"
#include "../base/log.h"
#include "../base/memory.h"
#include "hangup.h"

enum {
  KEPT_OUT_BYTES = 2 * 1024, // output memory that is kept between turns
  LINGER_MS = 3000,          // for the client to read a last reply and close
  STOP_LINGER_MS = 500,      // the same while the server stops
};

// A copy of bytes that the socket did not take at once.
typedef struct {
  uv_write_t req; // first member: on_written casts back, then frees the block
  Conn *conn;
  char bytes[];
} Write;

static void on_written(uv_write_t *req, int status);
static void on_flush(Cork *cork);
static void on_closed(uv_handle_t *handle);
static void settle(Conn *conn);
static void finish(Conn *conn);
static void next_request(Conn *conn);
static void linger(Conn *conn);

Conn *conn_new(HttpServer *server, int fd, const char *remote_addr, uint16_t remote_port,
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
  uv_tcp_init(loop_uv(server->loop), &conn->tcp);
  if (uv_tcp_open(&conn->tcp, fd) != 0) {
    close(fd);
    conn_close(conn, false);
  } else if (conn_start_reading(conn) != 0) {
    conn_close(conn, false);
  } else if (is_refused) {
    reply_refusal(conn, &too_many);
  } else {
    conn_wait_idle(conn);
  }
  return conn;
}

void conn_break(Conn *conn, const char *ended_by)
{
  if (conn->phase == CONN_CLOSING)
    return;
  conn_over(conn, false, ended_by);
  conn_close(conn, false);
}

// A request is in the kernel already: it was sent before we said anything.
static bool has_input(const Conn *conn)
{
  uv_os_fd_t fd;
  char byte;
  return uv_fileno((const uv_handle_t *)&conn->tcp, &fd) == 0 &&
         recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void conn_stop(Conn *conn)
{
  if (conn->phase == CONN_IDLE && !has_input(conn))
    conn_close(conn, false);
  else if (conn->phase == CONN_LINGER)
    timer_start(conn->server->loop, &conn->timer, STOP_LINGER_MS, conn_on_timer);
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

// As uv_try_write, by a call that costs the kernel less than the write() there.
static int try_send(Conn *conn, const void *bytes, size_t len)
{
  uv_os_fd_t fd;
  ssize_t sent;
  if (uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp) > 0)
    return UV_EAGAIN;
  if (uv_fileno((const uv_handle_t *)&conn->tcp, &fd) != 0)
    return UV_EBADF;
  sent = send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0)
    return (int)sent;
  return errno == EINTR || errno == EWOULDBLOCK ? UV_EAGAIN : -errno;
}

void conn_send(Conn *conn, const void *bytes, size_t len)
{
  uv_buf_t bufs[2] = { uv_buf_init(conn->out.bytes, (unsigned)conn->out.len),
                       uv_buf_init((char *)bytes, (unsigned)len) };
  size_t total = conn->out.len + len, taken;
  int rc;
  if (total == 0 || conn->phase == CONN_CLOSING)
    return;
  if (!fast_paths_are_on())
    rc = UV_EAGAIN;
  else if (conn->out.len == 0)
    rc = try_send(conn, bytes, len);
  else if (len == 0)
    rc = try_send(conn, conn->out.bytes, conn->out.len);
  else
    rc = uv_try_write((uv_stream_t *)&conn->tcp, bufs, 2);
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
  // The next request comes at once, the next event of a stream after a while.
  if (conn->out.cap > KEPT_OUT_BYTES || !conn->is_done)
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

static void tell_unsent(Conn *conn, size_t bytes)
{
  conn->told_bytes = bytes;
  if (conn->is_seen && conn->server->handler.on_unsent)
    conn->server->handler.on_unsent(conn->server->context, &conn->request, bytes);
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
  conn_watch_reader(conn, unsent);
  if (unsent != conn->told_bytes)
    tell_unsent(conn, unsent);
  if (conn->phase != CONN_REPLY)
    return;
  if (conn->is_done) {
    if (unsent == 0)
      finish(conn);
    return;
  }
  if (conn->wants_drain && unsent <= conn->drain_bytes) {
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
  conn_over(conn, !conn->is_aborted, ended_by);
  if (conn->is_aborted && (!conn->has_begun || conn->framing == FRAMING_CLOSE))
    conn_close(conn, conn->has_begun); // only a reset tells it from a complete one
  else if (conn->is_last || conn->ignores_input)
    linger(conn);
  else
    next_request(conn);
}

static void next_request(Conn *conn)
{
  request_renew(&conn->request, &conn->server->budget);
  conn->phase = CONN_IDLE;
  conn->has_begun = conn->is_done = conn->is_last = conn->wants_drain = false;
  conn->had_last_turn = false;
  if (conn->kept.len > 0)
    conn_feed_kept(conn);
  if (conn->phase == CONN_IDLE) {
    if (conn->is_eof || conn->server->is_stopping)
      conn_close(conn, false);
    else
      conn_wait_idle(conn);
  } else if (conn->is_eof && conn->phase == CONN_REPLY) {
    conn_cork(conn);
  } else if (conn->is_eof) {
    conn_break(conn, "client");
  }
}

// --- the end -------------------------------------------------------------------------------------

void conn_over(Conn *conn, bool is_complete, const char *ended_by)
{
  if (!conn->is_seen)
    return;
  conn->is_seen = false;
  conn->told_bytes = 0;
  conn->server->handler.on_over(conn->server->context, &conn->request, is_complete, ended_by);
}

// Closing a socket with unread input would reset it and could take the reply away from the client.
// So: our side first, then the client's.
static void linger(Conn *conn)
{
  uv_os_fd_t fd;
  if (conn->is_eof || uv_fileno((uv_handle_t *)&conn->tcp, &fd) != 0 ||
      shutdown(fd, SHUT_WR) != 0) {
    conn_close(conn, false);
    return;
  }
  conn->phase = CONN_LINGER;
  buffer_free(&conn->kept);
  buffer_free(&conn->out);
  conn_drop_parser(conn);
  request_free(&conn->request, &conn->server->budget);
  if (conn->is_paused)
    conn_resume_reading(conn);
  timer_start(conn->server->loop, &conn->timer,
              conn->server->is_stopping ? STOP_LINGER_MS : LINGER_MS, conn_on_timer);
}

void conn_close(Conn *conn, bool is_reset)
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
  conn_drop_parser(conn);
  request_free(&conn->request, &conn->server->budget);
  buffer_free(&conn->out);
  buffer_free(&conn->kept);
  server_forget(conn);
  mem_free(conn);
}
