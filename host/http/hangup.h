// Notices that a client hung up while its socket is not read: the end of its input would hide
// behind the bytes that wait in the kernel. Watches a duplicate of the socket for nothing but that.
#ifndef MOONHOOK_HTTP_HANGUP_H
#define MOONHOOK_HTTP_HANGUP_H

#include <uv.h>

typedef struct Hangup Hangup;

// NULL when there is no descriptor left for it: then a client's leaving is noticed only later.
Hangup *hangup_watch(uv_loop_t *loop, int fd, void (*on_hangup)(void *context), void *context);
void hangup_close(Hangup *hangup); // frees it; NULL is fine

#endif
