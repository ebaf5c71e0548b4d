// Linux: no new privileges, no core dumps, a seccomp filter, a Landlock ruleset (see confine.h).
// Written against the kernel's interface: what headers of the distribution may lack is spelled out.
#include "confine.h"

#include <errno.h>

#if defined(__linux__)

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The sanitizer's search for leaks traces its own process from a helper that it forks.
#if defined(__SANITIZE_ADDRESS__)
#define IS_TRACED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_TRACED 1
#endif
#endif
#if !defined(IS_TRACED)
#define IS_TRACED 0
#endif

// --- system calls --------------------------------------------------------------------------------

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#endif

#if defined(ARCHITECTURE)

// Refused with EPERM: other programs and processes, the system's settings, mounts, namespaces, and
// what large kernels have had most holes in.
static const int REFUSED[] = {
#ifdef SYS_fork
  SYS_fork,
  SYS_vfork,
#endif
  SYS_execve,
  SYS_execveat,
#if !IS_TRACED
  SYS_ptrace,
  SYS_kill,
  SYS_tkill,
#endif
  SYS_process_vm_readv,
  SYS_process_vm_writev,
  SYS_rt_sigqueueinfo,
  SYS_rt_tgsigqueueinfo,
#ifdef SYS_pidfd_open
  SYS_pidfd_open,
  SYS_pidfd_send_signal,
#endif
#ifdef SYS_pidfd_getfd
  SYS_pidfd_getfd,
#endif
  SYS_kcmp,
  SYS_unshare,
  SYS_setns,
  SYS_mount,
  SYS_umount2,
  SYS_pivot_root,
  SYS_chroot,
#ifdef SYS_fsopen
  SYS_open_tree,
  SYS_move_mount,
  SYS_fsopen,
  SYS_fsconfig,
  SYS_fsmount,
  SYS_fspick,
#endif
#ifdef SYS_mount_setattr
  SYS_mount_setattr,
#endif
  SYS_mknodat,
#ifdef SYS_mknod
  SYS_mknod,
#endif
  SYS_name_to_handle_at,
  SYS_open_by_handle_at,
  SYS_fanotify_init,
  SYS_bpf,
  SYS_perf_event_open,
  SYS_userfaultfd,
  SYS_add_key,
  SYS_request_key,
  SYS_keyctl,
  SYS_init_module,
  SYS_finit_module,
  SYS_delete_module,
  SYS_kexec_load,
  SYS_reboot,
  SYS_swapon,
  SYS_swapoff,
  SYS_sethostname,
  SYS_setdomainname,
  SYS_acct,
  SYS_quotactl,
  SYS_settimeofday,
  SYS_clock_settime,
  SYS_adjtimex,
  SYS_clock_adjtime,
  SYS_syslog,
  SYS_vhangup,
  SYS_setuid,
  SYS_setgid,
  SYS_setreuid,
  SYS_setregid,
  SYS_setresuid,
  SYS_setresgid,
  SYS_setfsuid,
  SYS_setfsgid,
  SYS_setgroups,
  SYS_capset,
  SYS_personality,
  SYS_migrate_pages,
  SYS_move_pages,
#ifdef SYS_iopl
  SYS_iopl,
  SYS_ioperm,
#endif
#ifdef SYS_modify_ldt
  SYS_modify_ldt,
#endif
#ifdef SYS_memfd_secret
  SYS_memfd_secret,
#endif
};

// Refused as if the kernel had none, so that libraries take the older way.
static const int UNKNOWN[] = {
#ifdef SYS_clone3
  SYS_clone3, // its flags cannot be looked at
#endif
#ifdef SYS_io_uring_setup
  SYS_io_uring_setup, // its operations would pass by the filter
  SYS_io_uring_enter,
  SYS_io_uring_register,
#endif
};

enum { MAX_LINES = 400, X32_BIT = 0x40000000 };

typedef struct {
  struct sock_filter lines[MAX_LINES];
  unsigned short count;
} Filter;

static void line(Filter *filter, unsigned short code, uint32_t value, uint8_t yes, uint8_t no)
{
  filter->lines[filter->count++] = (struct sock_filter){ code, yes, no, value };
}

static void answer(Filter *filter, uint32_t value)
{
  line(filter, BPF_RET | BPF_K, value, 0, 0);
}

static void refuse(Filter *filter, int error)
{
  answer(filter, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA));
}

static void load(Filter *filter, size_t offset)
{
  line(filter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void load_argument(Filter *filter, size_t index) // its low half; these are little-endian
{
  load(filter, offsetof(struct seccomp_data, args) + index * sizeof(uint64_t));
}

static void refuse_all(Filter *filter, const int *numbers, size_t count, int error)
{
  size_t i;
  for (i = 0; i < count; i++) {
    line(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)numbers[i], 0, 1);
    refuse(filter, error);
  }
}

// Calls that are fine with some arguments. Each part is skipped whole for other calls.
static void add_part(Filter *filter, int number, void (*part)(Filter *filter, bool has_network),
                     bool has_network)
{
  unsigned short jump = filter->count;
  line(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 0);
  part(filter, has_network);
  answer(filter, SECCOMP_RET_ALLOW);
  filter->lines[jump].jf = (uint8_t)(filter->count - jump - 1);
}

static void check_clone(Filter *filter, bool has_network) // threads only
{
  (void)has_network;
  load_argument(filter, 0);
  line(filter, BPF_JMP | BPF_JSET | BPF_K, IS_TRACED ? CLONE_VM : CLONE_THREAD, 1, 0);
  refuse(filter, EPERM);
}

static void check_tgkill(Filter *filter, bool has_network) // its own threads only
{
  (void)has_network;
  load_argument(filter, 0);
  line(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 1, 0);
  refuse(filter, EPERM);
}

static void check_ioctl(Filter *filter, bool has_network) // no typing into its terminal
{
  (void)has_network;
  load_argument(filter, 1);
  line(filter, BPF_JMP | BPF_JEQ | BPF_K, TIOCSTI, 1, 0);
  line(filter, BPF_JMP | BPF_JEQ | BPF_K, TIOCLINUX, 0, 1);
  refuse(filter, EPERM);
}

static void check_socket(Filter *filter, bool has_network)
{
  static const int families[] = { AF_INET, AF_INET6, AF_UNIX, AF_NETLINK };
  size_t i, count = has_network ? sizeof families / sizeof *families : 0;
  load_argument(filter, 0);
  for (i = 0; i < count; i++)
    line(filter, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)families[i], (uint8_t)(count - i), 0);
  refuse(filter, EPERM);
}

// Begins a filter: no other architecture's calls, then the call's number.
static void begin(Filter *filter)
{
  load(filter, offsetof(struct seccomp_data, arch));
  line(filter, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
  refuse(filter, EPERM);
  load(filter, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
  line(filter, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
  refuse(filter, EPERM);
#endif
}

static bool install(Filter *filter)
{
  struct sock_fprog program = { .filter = filter->lines, .len = filter->count };
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

void confine_rings(void)
{
  Filter filter = { .count = 0 };
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return;
  begin(&filter);
  refuse_all(&filter, UNKNOWN, sizeof UNKNOWN / sizeof *UNKNOWN, ENOSYS);
  answer(&filter, SECCOMP_RET_ALLOW);
  install(&filter);
}

static bool filter_calls(bool has_network)
{
  Filter filter = { .count = 0 };
  begin(&filter);
  refuse_all(&filter, REFUSED, sizeof REFUSED / sizeof *REFUSED, EPERM);
  refuse_all(&filter, UNKNOWN, sizeof UNKNOWN / sizeof *UNKNOWN, ENOSYS);
  add_part(&filter, SYS_clone, check_clone, has_network);
  add_part(&filter, SYS_tgkill, check_tgkill, has_network);
  add_part(&filter, SYS_ioctl, check_ioctl, has_network);
  add_part(&filter, SYS_socket, check_socket, has_network);
  answer(&filter, SECCOMP_RET_ALLOW);
  return install(&filter);
}

#else

void confine_rings(void)
{
}

static bool filter_calls(bool has_network)
{
  (void)has_network;
  return false; // an architecture whose numbers nobody has looked at
}

#endif

// --- files ---------------------------------------------------------------------------------------

#if defined(SYS_landlock_create_ruleset)

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

enum { FIRST_RIGHTS = 13 }; // that version 1 has

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE                                                                                      \
  (READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |                         \
   LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |     \
   LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE)
#define OF_FILES                                                                                   \
  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)

static int allow(int ruleset, const char *path, uint64_t rights)
{
  struct landlock_path_beneath_attr rule = { .allowed_access = rights };
  struct stat status;
  int rc = -1;
  rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
  if (rule.parent_fd < 0)
    return -1;
  if (fstat(rule.parent_fd, &status) == 0) {
    if (!S_ISDIR(status.st_mode))
      rule.allowed_access &= OF_FILES;
    rc = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  }
  close(rule.parent_fd);
  return rc;
}

int confine_landlock(void)
{
  long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? -errno : (int)version;
}

static bool filter_files(const ConfineRoom *room)
{
  int version = confine_landlock();
  struct landlock_ruleset_attr attr = { .handled_access_fs = (1ULL << FIRST_RIGHTS) - 1 };
  char **path;
  int ruleset;
  bool is_done;
  if (version < 1)
    return false;
  if (version >= 2)
    attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
  if (version >= 3)
    attr.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
  ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0);
  if (ruleset < 0)
    return false;
  for (path = room->reads; *path; path++)
    allow(ruleset, *path, READ & attr.handled_access_fs);
  allow(ruleset, "/dev/null", (READ | LANDLOCK_ACCESS_FS_WRITE_FILE) & attr.handled_access_fs);
  is_done = !room->writes || allow(ruleset, room->writes, WRITE & attr.handled_access_fs) == 0;
  is_done = is_done && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  close(ruleset);
  return is_done;
}

#else

int confine_landlock(void)
{
  return -ENOSYS;
}

static bool filter_files(const ConfineRoom *room)
{
  (void)room;
  return false;
}

#endif

ConfineResult confine_process(const ConfineRoom *room)
{
  const struct rlimit none = { 0, 0 };
  ConfineResult result = { false, false };
  setrlimit(RLIMIT_CORE, &none);
  if (!IS_TRACED)
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return result;
  result.has_files = filter_files(room);
  result.has_calls = filter_calls(room->has_network);
  return result;
}

#else

void confine_rings(void)
{
}

int confine_landlock(void)
{
  return -ENOSYS;
}

ConfineResult confine_process(const ConfineRoom *room)
{
  (void)room;
  return (ConfineResult){ false, false };
}

#endif
