// One host per data folder. The lock goes with its process, however that ends.
#ifndef MOONHOOK_PROCESS_DATA_LOCK_H
#define MOONHOOK_PROCESS_DATA_LOCK_H

#include <stdbool.h>

#include "../base/error.h"

// Takes the lock of a folder that is there. Returns its descriptor (closed on exec), or a negative
// code with err->text, which names the process that holds it. `*was_killed`: the one before us did
// not end well.
int data_lock_take(const char *data_dir, bool *was_killed, Err *err);
// Lets go of it; `is_clean`: we ended well. A negative `fd` is none.
void data_lock_drop(int fd, bool is_clean);

#endif
