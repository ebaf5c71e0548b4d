// A connection that goes on in another process. That happens at a request's head and before
// anything was answered, so that the other begins where the client's bytes do: with the same head,
// and what was read behind it. While the other process has no room it is tried again, from the head
// on: the handler may have changed its mind.
#include "conn.h"
#include "passing.h"

enum {
  AGAIN_MS = 5,
  GIVE_UP_MS = 3000, // more than a process that died needs to be back
};

static void send_away(Conn *conn);

bool request_pass_on(Request *request)
{
  Conn *conn = (Conn *)((char *)request - offsetof(Conn, request));
  if (!conn->server->passing || conn->phase != CONN_BODY)
    return false;
  conn->is_passed_on = true;
  return true;
}

void conn_pass(Conn *conn, const char *rest, size_t len)
{
  Buffer input = { 0 };
  passing_write_head(&conn->request, &input);
  buffer_append(&input, rest, len);
  buffer_free(&conn->kept); // `rest` may have been in it
  conn->kept = input;
  conn->kept_at = 0;
  conn->is_passed_on = false;
  send_away(conn);
}

static void send_away(Conn *conn)
{
  HttpServer *server = conn->server;
  PassedConn passed = { .remote_port = conn->request.remote_port,
                        .started_us = conn->request.started_us,
                        .input = conn->kept };
  uv_os_fd_t fd;
  memcpy(passed.remote_addr, conn->request.remote_addr, sizeof passed.remote_addr);
  if (uv_fileno((uv_handle_t *)&conn->tcp, &fd) == 0) {
    passed.fd = fd;
    if (passing_send(server->passing, &passed) == 0) {
      (*server->passed_on)++;
      conn->is_seen = false; // it is the other's to tell
      conn_close(conn, false);
      return;
    }
  }
  uv_read_stop((uv_stream_t *)&conn->tcp);
  conn->phase = CONN_PASSING;
  if (conn->passing_ms == 0)
    conn->passing_ms = loop_now_ms(server->loop);
  timer_start(server->loop, &conn->timer, AGAIN_MS, conn_on_timer);
}

void conn_pass_again(Conn *conn)
{
  static const Refusal no_room = { 503, "overloaded", "no process has room for this, try again" };
  uint64_t started_us = conn->request.started_us;
  bool is_over = loop_now_ms(conn->server->loop) - conn->passing_ms >= GIVE_UP_MS;
  if (is_over) {
    conn->passing_ms = 0;
    reply_refusal(conn, &no_room);
    return;
  }
  conn->is_seen = false;
  request_renew(&conn->request, &conn->server->budget);
  conn->request.started_us = started_us;
  conn->phase = CONN_IDLE;
  conn_feed_kept(conn);
  if (conn->phase == CONN_PASSING || conn->phase == CONN_CLOSING)
    return;
  conn->passing_ms = 0;
  if (!conn->is_paused)
    conn_resume_reading(conn);
  if (conn->is_eof && conn->phase == CONN_REPLY)
    conn_cork(conn);
  else if (conn->is_eof)
    conn_break(conn, "client");
}

void conn_on_passed(void *context, PassedConn *passed)
{
  HttpServer *server = context;
  Conn *conn = conn_new(server, passed->fd, passed->remote_addr, passed->remote_port,
                        server->conn_count >= server->limits.max_connections);
  if (server->gauge)
    *server->gauge = server->conn_count;
  if (conn->phase != CONN_IDLE) {
    buffer_free(&passed->input);
    return;
  }
  conn->kept = passed->input;
  conn->request.started_us = passed->started_us;
  conn_feed_kept(conn);
}
