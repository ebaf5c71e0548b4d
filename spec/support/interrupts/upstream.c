// See upstream.h.
#include "upstream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_CLIENTS = 200, MAX_HEAD = 2048, WHOLE_BYTES = 300 * 1000 };

typedef struct {
  char head[MAX_HEAD + 1];
  size_t head_len;
  const char *text;
  size_t left; // of text, from `at` on, again and again
  size_t at;
  bool is_asked, is_endless, is_last;
} Client;

static const char sse[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
static const char event[] =
    "data: {\"choices\":[{\"delta\":{\"content\":\"some words of an answer\"}}]}\n\n";
static char whole[WHOLE_BYTES + 200];

static struct pollfd fds[MAX_CLIENTS + 1]; // the first listens
static Client clients[MAX_CLIENTS + 1];
static nfds_t count = 1;

static void drop(nfds_t i)
{
  close(fds[i].fd);
  count--;
  fds[i] = fds[count];
  clients[i] = clients[count];
}

static void answer(Client *client)
{
  const char *path = strchr(client->head, '/');
  client->is_asked = true;
  client->at = 0;
  if (path && strncmp(path, "/whole", 6) == 0) {
    client->text = whole;
    client->left = strlen(whole);
  } else if (path && strncmp(path, "/never", 6) == 0) {
    client->left = 0;
  } else {
    client->text = sse;
    client->left = sizeof sse - 1;
    client->is_endless = path && strncmp(path, "/sse", 4) == 0;
    client->is_last = !client->is_endless;
  }
}

// False: it left.
static bool take(Client *client, int fd)
{
  char bytes[16384], *end;
  ssize_t len = recv(fd, bytes, sizeof bytes, 0);
  size_t take;
  if (len <= 0)
    return false;
  if (client->is_asked) // the body of what was asked
    return true;
  take = (size_t)len < MAX_HEAD - client->head_len ? (size_t)len : MAX_HEAD - client->head_len;
  memcpy(client->head + client->head_len, bytes, take);
  client->head_len += take;
  client->head[client->head_len] = '\0';
  end = strstr(client->head, "\r\n\r\n");
  if (end)
    answer(client);
  return true;
}

static bool give(Client *client, int fd)
{
  ssize_t len = send(fd, client->text + client->at, client->left, MSG_NOSIGNAL);
  if (len < 0)
    return false;
  client->at += (size_t)len;
  client->left -= (size_t)len;
  if (client->left > 0)
    return true;
  client->at = 0;
  if (client->is_endless) {
    client->text = event;
    client->left = sizeof event - 1;
  } else if (client->is_last) {
    client->text = event;
    client->left = sizeof event / 2;
    client->is_last = false;
  }
  return client->text != whole; // closed behind it
}

static void serve(void)
{
  for (;;) {
    nfds_t i;
    for (i = 1; i < count; i++)
      fds[i].events = (short)(POLLIN | (clients[i].left > 0 ? POLLOUT : 0));
    fds[0].events = count <= MAX_CLIENTS ? POLLIN : 0;
    if (poll(fds, count, -1) < 0)
      continue;
    for (i = count - 1; i > 0; i--) {
      bool stays = !(fds[i].revents & (POLLERR | POLLNVAL));
      if (stays && fds[i].revents & (POLLIN | POLLHUP))
        stays = take(&clients[i], fds[i].fd);
      if (stays && fds[i].revents & POLLOUT && clients[i].left > 0)
        stays = give(&clients[i], fds[i].fd);
      if (!stays)
        drop(i);
    }
    if (fds[0].revents & POLLIN) {
      int fd = accept4(fds[0].fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        fds[count] = (struct pollfd){ .fd = fd };
        memset(&clients[count++], 0, sizeof *clients);
      }
    }
  }
}

pid_t upstream_start(int *port)
{
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  pid_t pid;
  size_t head;
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 128) != 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) != 0)
    return -1;
  *port = ntohs(address.sin_port);
  pid = fork();
  if (pid != 0) {
    close(fd);
    return pid;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  head = (size_t)snprintf(whole, sizeof whole,
                          "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                          "Content-Length: %d\r\nConnection: close\r\n\r\n",
                          WHOLE_BYTES);
  memset(whole + head, 'w', WHOLE_BYTES);
  fds[0].fd = fd;
  serve();
  return 0;
}

void upstream_stop(pid_t pid)
{
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
}
