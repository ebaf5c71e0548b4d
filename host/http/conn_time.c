// A connection's patience. It has one timer; its phase says what the timer is for, and a timer that
// was set for an earlier phase finds nothing to do.
#include "conn.h"

enum {
  TRIM_MS = 1000,         // an idle connection gives its memory back after this
  BODY_BYTES_PER_S = 500, // a body slower than this on the whole is too slow
  STALL_CHECKS = 16,      // per stalled_ms
};

static void on_idle_timer(Conn *conn, uint64_t now_ms);
static void on_body_timer(Conn *conn, uint64_t now_ms);
static void on_reply_timer(Conn *conn, uint64_t now_ms);
static void time_out(Conn *conn, const char *message);

void conn_wait_idle(Conn *conn)
{
  uint32_t idle_ms = conn->server->limits.idle_ms;
  conn->since_ms = loop_now_ms(conn->server->loop);
  conn->is_trimmed = false;
  timer_start(conn->server->loop, &conn->timer, idle_ms < TRIM_MS ? idle_ms : TRIM_MS,
              conn_on_timer);
}

// Starts, feeds and ends the watch over a client that does not read.
void conn_watch_reader(Conn *conn, size_t unsent)
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
              conn_on_timer);
}

void conn_on_timer(Timer *timer)
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
  case CONN_PASSING:
    conn_pass_again(conn);
    break;
  case CONN_LINGER:
    conn_close(conn, false);
    break;
  case CONN_CLOSING:
    break;
  }
}

static void on_idle_timer(Conn *conn, uint64_t now_ms)
{
  uint64_t until_ms = conn->since_ms + conn->server->limits.idle_ms;
  if (now_ms >= until_ms) {
    conn_close(conn, false);
    return;
  }
  if (!conn->is_trimmed) {
    request_trim(&conn->request);
    buffer_free(&conn->out);
    conn->is_trimmed = true;
  }
  timer_start(conn->server->loop, &conn->timer, until_ms - now_ms, conn_on_timer);
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
    timer_start(conn->server->loop, &conn->timer, until_ms - now_ms, conn_on_timer);
}

static void on_reply_timer(Conn *conn, uint64_t now_ms)
{
  uint32_t stalled_ms = conn->server->limits.stalled_ms;
  conn_watch_reader(conn, conn_unsent_bytes(conn));
  if (!conn->is_watched)
    return;
  if (now_ms >= conn->progress_ms + stalled_ms) {
    conn_over(conn, false, "timeout");
    conn_close(conn, true);
  } else {
    timer_start(conn->server->loop, &conn->timer, stalled_ms / STALL_CHECKS + 1, conn_on_timer);
  }
}

static void time_out(Conn *conn, const char *message)
{
  Refusal refusal = { 408, "request_timeout", message };
  conn->ended_by = "timeout";
  reply_refusal(conn, &refusal);
}
