// Preloaded into a host by specs: a worker that somebody has taken over. When it is asked for the
// address of "break.out.test" it tries what an attacker would, and writes what came of it to the
// file BREAK_OUT_RESULTS: "NAME=0", or the error's number.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

typedef int Ask(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static FILE *results;

static void tell(const char *name, long rc)
{
  fprintf(results, "%s=%d\n", name, rc < 0 ? errno : 0);
}

static void try_open(const char *name, const char *path, int flags)
{
  int fd = path ? open(path, flags, 0600) : -1;
  tell(name, fd);
  if (fd >= 0)
    close(fd);
}

static void try_all(void)
{
  char *const arguments[] = { "true", NULL };
  char path[64];
  tell("no_exec", execve("/bin/true-is-not-here", arguments, NULL)); // ENOENT if it were allowed
  tell("no_fork", syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
  tell("no_ptrace", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
  tell("no_kill", kill(getppid(), 0));
  tell("no_packets", socket(AF_PACKET, SOCK_RAW, 0));
  tell("no_mount", syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL));
  tell("yes_socket", socket(AF_INET, SOCK_STREAM, 0));
  snprintf(path, sizeof path, "/proc/%d/environ", getppid());
  try_open("no_environ_of_master", path, O_RDONLY);
  try_open("no_outside", getenv("BREAK_OUT_FILE"), O_RDONLY);
  try_open("no_outside_write", getenv("BREAK_OUT_FILE"), O_WRONLY);
  try_open("no_outside_new", "/tmp/moonhook-broke-out", O_WRONLY | O_CREAT);
  try_open("no_etc_write", "/etc/moonhook-broke-out", O_WRONLY | O_CREAT);
  try_open("yes_resolver", "/etc/hosts", O_RDONLY);
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
  Ask *ask;
  *(void **)&ask = dlsym(RTLD_NEXT, "getaddrinfo");
  if (name && strcmp(name, "break.out.test") == 0) {
    const char *path = getenv("BREAK_OUT_RESULTS");
    results = path ? fopen(path, "w") : NULL;
    if (results) {
      try_all();
      fclose(results);
    }
    name = "127.0.0.1";
  }
  return ask(name, service, hints, found);
}
