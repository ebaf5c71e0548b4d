// See passing.h. A message is a fixed note and two descriptors: the client's socket, and a file
// without a name that holds the input, however long that is.
#include "passing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/memory.h"

enum { FDS = 2, MOST_AT_ONCE = 16 };

typedef struct {
  uint64_t started_us, input_bytes;
  uint16_t remote_port;
  char remote_addr[46];
} Note;

struct Passing {
  uv_poll_t poll; // first member
  int out_fd, in_fd;
  bool listens;
  void (*on_passed)(void *context, PassedConn *passed);
  void *context;
};

// Room for what is in front of the control message's descriptors.
typedef union {
  struct cmsghdr header; // for its alignment
  char bytes[CMSG_SPACE(FDS * sizeof(int))];
} Control;

static void on_readable(uv_poll_t *poll, int status, int events);

Passing *passing_new(Loop *loop, int out_fd, int in_fd,
                     void (*on_passed)(void *context, PassedConn *passed), void *context)
{
  Passing *passing = mem_zero(1, sizeof *passing);
  passing->out_fd = out_fd;
  passing->in_fd = in_fd;
  passing->on_passed = on_passed;
  passing->context = context;
  if (uv_poll_init(loop_uv(loop), &passing->poll, in_fd) == 0)
    return passing;
  mem_free(passing);
  return NULL;
}

static void on_closed(uv_handle_t *handle)
{
  mem_free(handle);
}

void passing_close(Passing *passing)
{
  if (passing)
    uv_close((uv_handle_t *)&passing->poll, on_closed);
}

// --- sending -------------------------------------------------------------------------------------

static int nameless_file(void)
{
#if defined(__linux__)
  return memfd_create("moonhook-passed", MFD_CLOEXEC);
#else
  FILE *file = tmpfile();
  int fd = file ? fcntl(fileno(file), F_DUPFD_CLOEXEC, 0) : -1;
  if (file)
    fclose(file);
  return fd;
#endif
}

// The input in a file; -1: there is no room for it now.
static int put_input(const Buffer *input)
{
  int fd = nameless_file();
  size_t at = 0;
  while (fd >= 0 && at < input->len) {
    ssize_t written = pwrite(fd, input->bytes + at, input->len - at, (off_t)at);
    if (written <= 0) {
      close(fd);
      return -1;
    }
    at += (size_t)written;
  }
  return fd;
}

int passing_send(const Passing *passing, const PassedConn *passed)
{
  Note note = { .started_us = passed->started_us,
                .input_bytes = passed->input.len,
                .remote_port = passed->remote_port };
  struct iovec part = { &note, sizeof note };
  Control control = { .bytes = { 0 } };
  struct msghdr message = { .msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes };
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  int fds[FDS] = { passed->fd, put_input(&passed->input) };
  ssize_t sent;
  if (fds[1] < 0)
    return UV_ENOMEM;
  memcpy(note.remote_addr, passed->remote_addr, sizeof note.remote_addr);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fds);
  memcpy(CMSG_DATA(header), fds, sizeof fds);
  do
    sent = sendmsg(passing->out_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  close(fds[1]);
  return sent == sizeof note ? 0 : UV_EAGAIN;
}

void passing_write_head(const Request *request, Buffer *out)
{
  uint32_t i;
  buffer_append(out, request->method.at, request->method.len);
  buffer_char(out, ' ');
  buffer_append(out, request->target.at, request->target.len);
  buffer_printf(out, " HTTP/1.%d\r\n", request->version_minor);
  for (i = 0; i < request->headers.count; i++) {
    Span name = header_list_name(&request->headers, i);
    Span value = header_list_value(&request->headers, i);
    buffer_append(out, name.at, name.len);
    buffer_append(out, ": ", 2);
    buffer_append(out, value.at, value.len);
    buffer_append(out, "\r\n", 2);
  }
  buffer_append(out, "\r\n", 2);
}

// --- receiving -----------------------------------------------------------------------------------

static bool get_input(int fd, size_t len, Buffer *input)
{
  buffer_reserve(input, len);
  while (input->len < len) {
    ssize_t got = pread(fd, input->bytes + input->len, len - input->len, (off_t)input->len);
    if (got <= 0)
      return false;
    input->len += (size_t)got;
  }
  return true;
}

// The descriptors that came, -1 for those that did not.
static void get_fds(struct msghdr *message, int fds[FDS])
{
  struct cmsghdr *header = CMSG_FIRSTHDR(message);
  int i;
  for (i = 0; i < FDS; i++)
    fds[i] = -1;
  if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
      header->cmsg_len > CMSG_LEN(0))
    memcpy(fds, CMSG_DATA(header), header->cmsg_len - CMSG_LEN(0));
}

static ssize_t receive(const Passing *passing, Note *note, int fds[FDS])
{
  struct iovec part = { note, sizeof *note };
  Control control = { .bytes = { 0 } };
  struct msghdr message = { .msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof control.bytes };
  ssize_t len;
  do
    len = recvmsg(passing->in_fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (len < 0 && errno == EINTR);
  if (len >= 0)
    get_fds(&message, fds);
  return len;
}

// Descriptors that find no place here would be lost, and the clients with them.
static bool has_room(const Passing *passing)
{
  int fds[FDS], i;
  bool is_free = true;
  for (i = 0; i < FDS; i++) {
    fds[i] = fcntl(passing->in_fd, F_DUPFD_CLOEXEC, 0);
    is_free = is_free && fds[i] >= 0;
  }
  for (i = 0; i < FDS; i++) {
    if (fds[i] >= 0)
      close(fds[i]);
  }
  return is_free;
}

// False: there is none, or no room for it.
static bool take_one(Passing *passing)
{
  PassedConn passed = { .fd = -1 };
  Note note;
  int fds[FDS];
  ssize_t len;
  if (!has_room(passing) || (len = receive(passing, &note, fds)) < 0)
    return false;
  if (len == sizeof note && fds[0] >= 0 && fds[1] >= 0 &&
      get_input(fds[1], note.input_bytes, &passed.input)) {
    passed.fd = fds[0];
    passed.started_us = note.started_us;
    passed.remote_port = note.remote_port;
    memcpy(passed.remote_addr, note.remote_addr, sizeof passed.remote_addr - 1);
    passing->on_passed(passing->context, &passed);
  } else {
    log_write(LOG_ERROR, "a connection from another process is lost", NULL);
    buffer_free(&passed.input);
    if (fds[0] >= 0)
      close(fds[0]);
  }
  if (fds[1] >= 0)
    close(fds[1]);
  return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
  Passing *passing = (Passing *)poll;
  int i;
  (void)status;
  (void)events;
  for (i = 0; i < MOST_AT_ONCE && take_one(passing); i++)
    ;
  if (i == 0)
    passing_listen(passing, false);
}

void passing_take(Passing *passing)
{
  while (take_one(passing))
    ;
}

void passing_listen(Passing *passing, bool is_on)
{
  if (is_on == passing->listens)
    return;
  passing->listens = is_on;
  if (is_on)
    uv_poll_start(&passing->poll, UV_READABLE, on_readable);
  else
    uv_poll_stop(&passing->poll);
}
