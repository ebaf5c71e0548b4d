// See bind_tool.h.
#include "bind_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "../base/clock.h"
#include "../base/memory.h"
#include "../base/yaml.h"
#include "../reverse/address.h"
#include "../reverse/client.h"
#include "names.h"

enum { MAX_NAMES = 4096, MAX_LINE = 4096 };

static int push_failure(lua_State *L, const char *text)
{
  lua_pushnil(L);
  lua_pushstring(L, text);
  return 2;
}

static int push_errno(lua_State *L, int number)
{
  return push_failure(L, strerror(number));
}

// --- calls ---------------------------------------------------------------------------------------

typedef struct {
  Loop *loop;
  Client *client;
  bool is_closed;
} Caller;

static void on_ready(Stream *stream)
{
  loop_stop(stream->owner);
}

static void on_closed(void *context)
{
  Caller *caller = context;
  caller->is_closed = true;
  loop_stop(caller->loop);
}

// Waits for the whole answer. STREAM_END, or STREAM_ERROR with the stream's error.
static StreamStatus read_answer(Loop *loop, Stream *stream, int *status, Buffer *body)
{
  StreamStatus at;
  Span piece;
  while ((at = stream->class->head(stream, status)) == STREAM_WAIT)
    loop_run(loop);
  while (at != STREAM_ERROR && (at = stream->class->read(stream, &piece)) != STREAM_END) {
    if (at == STREAM_PIECE)
      buffer_append(body, piece.at, piece.len);
    else if (at == STREAM_WAIT)
      loop_run(loop);
  }
  return at;
}

static int call(Caller *caller, const ClientCall *what, Buffer *body,
                char message[STREAM_MESSAGE_BYTES])
{
  Stream *stream = client_open(caller->client, what);
  int status = 0;
  stream->owner = caller->loop;
  stream->on_ready = on_ready;
  if (read_answer(caller->loop, stream, &status, body) == STREAM_ERROR) {
    status = -1;
    snprintf(message, STREAM_MESSAGE_BYTES, "%s", stream->error.message);
  }
  stream->class->close(stream);
  return status;
}

static void read_headers(lua_State *L, int index, HeaderList *headers)
{
  int i, count = (int)lua_objlen(L, index);
  for (i = 1; i < count; i += 2) {
    Span name, value;
    lua_rawgeti(L, index, i);
    lua_rawgeti(L, index, i + 1);
    name.at = lua_tolstring(L, -2, &name.len);
    value.at = lua_tolstring(L, -1, &value.len);
    if (name.at && value.at)
      header_list_add(headers, name, value);
    lua_pop(L, 2);
  }
}

static int l_call(lua_State *L)
{
  ClientConfig config = { 0 };
  HeaderList headers = { 0 };
  Caller caller = { 0 };
  ClientCall what = { .headers = &headers, .decoder = BODY_WHOLE, .times = client_times_default() };
  Buffer body = { 0 };
  char message[STREAM_MESSAGE_BYTES] = "";
  Err err;
  int status = -1;
  what.method = luaL_checkstring(L, 1);
  what.url = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  what.body = luaL_optlstring(L, 4, "", &what.body_len);
  what.times.total_ms = (uint32_t)luaL_checkinteger(L, 5);
  caller.loop = loop_new(&err);
  caller.client = caller.loop ? client_new(caller.loop, &config, &err) : NULL;
  if (caller.client) {
    read_headers(L, 3, &headers);
    status = call(&caller, &what, &body, message);
    client_close(caller.client, on_closed, &caller);
    while (!caller.is_closed)
      loop_run(caller.loop);
  } else {
    snprintf(message, sizeof message, "%.300s", err.text);
  }
  if (caller.loop)
    loop_free(caller.loop);
  header_list_free(&headers);
  if (status < 0) {
    buffer_free(&body);
    return push_failure(L, message);
  }
  lua_pushinteger(L, status);
  lua_pushlstring(L, body.bytes ? body.bytes : "", body.len);
  buffer_free(&body);
  return 2;
}

// --- the terminal --------------------------------------------------------------------------------

static int l_is_terminal(lua_State *L)
{
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

static int l_read_hidden(lua_State *L)
{
  struct termios shown, hidden;
  bool is_terminal = tcgetattr(STDIN_FILENO, &shown) == 0;
  char line[MAX_LINE];
  const char *got;
  if (is_terminal) {
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSADRAIN, &hidden);
  }
  got = fgets(line, sizeof line, stdin);
  if (is_terminal) {
    tcsetattr(STDIN_FILENO, TCSADRAIN, &shown);
    fputc('\n', stderr);
  }
  if (!got)
    return 0;
  lua_pushlstring(L, line, strcspn(line, "\r\n"));
  explicit_bzero(line, sizeof line);
  return 1;
}

// --- files ---------------------------------------------------------------------------------------

static int l_stat(lua_State *L)
{
  struct stat status;
  if (stat(luaL_checkstring(L, 1), &status) != 0)
    return push_errno(L, errno);
  lua_createtable(L, 0, 4);
  lua_pushnumber(L, (lua_Number)status.st_mtime * 1000);
  lua_setfield(L, -2, "changed_ms");
  lua_pushstring(L, S_ISREG(status.st_mode)   ? "file"
                    : S_ISDIR(status.st_mode) ? "folder"
                                              : "other");
  lua_setfield(L, -2, "type");
  lua_pushinteger(L, status.st_mode & 07777);
  lua_setfield(L, -2, "mode");
  lua_pushboolean(L, status.st_uid == geteuid());
  lua_setfield(L, -2, "is_mine");
  return 1;
}

static int l_may_write(lua_State *L)
{
  Buffer path = { 0 };
  int fd, number;
  buffer_printf(&path, "%s/.moonhook-XXXXXX", luaL_checkstring(L, 1));
  fd = mkstemp(path.bytes);
  number = errno;
  if (fd >= 0) {
    if (write(fd, "x", 1) != 1 || fsync(fd) != 0) {
      number = errno;
      unlink(path.bytes);
      close(fd);
      fd = -1;
    } else {
      unlink(path.bytes);
      close(fd);
    }
  }
  buffer_free(&path);
  if (fd < 0)
    return push_errno(L, number);
  lua_pushboolean(L, true);
  return 1;
}

// --- sockets -------------------------------------------------------------------------------------

// host, port at 1 and 2. False: no address.
static bool check_address(lua_State *L, Address *address, socklen_t *len)
{
  AddressBlock block;
  int port = (int)luaL_checkinteger(L, 2);
  if (address_block_parse(luaL_checkstring(L, 1), &block) < 0)
    return false;
  *address = block.first;
  if (address->any.sa_family == AF_INET6)
    address->v6.sin6_port = htons((uint16_t)port);
  else
    address->v4.sin_port = htons((uint16_t)port);
  *len = address->any.sa_family == AF_INET6 ? sizeof address->v6 : sizeof address->v4;
  return true;
}

// 0, or an errno.
static int connect_within(int fd, const Address *address, socklen_t len, int timeout_ms)
{
  struct pollfd wait = { .fd = fd, .events = POLLOUT };
  int number = 0;
  socklen_t size = sizeof number;
  if (connect(fd, &address->any, len) == 0)
    return 0;
  if (errno != EINPROGRESS)
    return errno;
  if (poll(&wait, 1, timeout_ms) <= 0)
    return ETIMEDOUT;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &number, &size);
  return number;
}

static int l_connect(lua_State *L)
{
  int timeout_ms = (int)luaL_checkinteger(L, 3), fd, number;
  Address address;
  socklen_t len;
  if (!check_address(L, &address, &len))
    return push_failure(L, "not an address");
  fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return push_errno(L, errno);
  number = connect_within(fd, &address, len, timeout_ms);
  close(fd);
  if (number != 0)
    return push_errno(L, number);
  lua_pushboolean(L, true);
  return 1;
}

static int l_listen(lua_State *L)
{
  int fd, on = 1, number = 0;
  Address address;
  socklen_t len;
  if (!check_address(L, &address, &len))
    return push_failure(L, "not an address");
  fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return push_errno(L, errno);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, &address.any, len) != 0 || listen(fd, 1) != 0)
    number = errno;
  close(fd);
  if (number != 0)
    return push_errno(L, number);
  lua_pushboolean(L, true);
  return 1;
}

// --- the rest ------------------------------------------------------------------------------------

static void push_limit(lua_State *L, rlim_t limit)
{
  lua_pushnumber(L, limit == RLIM_INFINITY ? -1 : (lua_Number)limit);
}

static int l_open_files(lua_State *L)
{
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return push_errno(L, errno);
  push_limit(L, limit.rlim_cur);
  push_limit(L, limit.rlim_max);
  return 2;
}

static int l_wall_ms(lua_State *L)
{
  lua_pushnumber(L, (lua_Number)host_clock.wall_ms());
  return 1;
}

// The names stay on the stack while they are looked at.
static int l_nearest(lua_State *L)
{
  const char *word = luaL_checkstring(L, 1), *found;
  const char **names;
  int i, count;
  luaL_checktype(L, 2, LUA_TTABLE);
  count = (int)lua_objlen(L, 2);
  if (count > MAX_NAMES)
    count = MAX_NAMES;
  luaL_checkstack(L, count, "too many names");
  names = mem_zero((size_t)count + 1, sizeof *names);
  for (i = 0; i < count; i++) {
    lua_rawgeti(L, 2, i + 1);
    names[i] = lua_tostring(L, -1) ? lua_tostring(L, -1) : "";
  }
  found = yaml_nearest(word, names);
  mem_free(names);
  lua_pushstring(L, found);
  return 1;
}

static int l_hint(lua_State *L)
{
  lua_pushstring(L, names_hint(luaL_checkstring(L, 1)));
  return 1;
}

int luaopen_host_tool(lua_State *L)
{
  static const luaL_Reg functions[] = {
    { "call", l_call },
    { "is_terminal", l_is_terminal },
    { "read_hidden", l_read_hidden },
    { "stat", l_stat },
    { "may_write", l_may_write },
    { "connect", l_connect },
    { "listen", l_listen },
    { "open_files", l_open_files },
    { "wall_ms", l_wall_ms },
    { "nearest", l_nearest },
    { "hint", l_hint },
    { NULL, NULL },
  };
  const luaL_Reg *function;
  lua_newtable(L);
  for (function = functions; function->name; function++) {
    lua_pushcfunction(L, function->func);
    lua_setfield(L, -2, function->name);
  }
  return 1;
}
