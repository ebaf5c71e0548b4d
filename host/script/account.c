// See account.h.
#include "account.h"

#include <stdint.h>
#include <stdlib.h>

#include "../base/fast_paths.h"

enum { SMALL_BYTES = 1024 };

static void watch(Account *account)
{
  account->watch = account->is_tight ? account->cap : account->tight;
}

void account_set_cap(Account *account, size_t cap)
{
  account->cap = cap;
  account->tight = cap / 4;
  account->watch = SIZE_MAX;
}

// An allocation passes what is watched. False: it is refused.
static bool look(Account *account, size_t bytes, size_t size)
{
  if (bytes > account->cap) {
    if (!account->is_over) {
      account->is_over = true;
      account->notice(account);
    }
    return size <= SMALL_BYTES && bytes - account->cap <= account->cap / 8;
  }
  account->wants_tight = true;
  account->watch = account->cap;
  account->notice(account);
  return true;
}

static void *resize(Account *account, void *block, size_t old_size, size_t new_size)
{
  if (fast_paths_are_on())
    return blocks_resize(&account->blocks, block, old_size, new_size);
  if (new_size > 0)
    return realloc(block, new_size);
  free(block);
  return NULL;
}

// Apart, so that the short ways below save no registers.
__attribute__((noinline)) static void *allocate(void *data, void *block, size_t old_size,
                                                size_t new_size)
{
  Account *account = data;
  size_t bytes = account->bytes + new_size - old_size;
  void *moved;
  if (bytes > account->watch && new_size > old_size && !look(account, bytes, new_size))
    return NULL;
  moved = resize(account, block, old_size, new_size);
  if (moved || new_size == 0)
    account->bytes = bytes;
  return moved;
}

// Nearly all calls are for a new small block or give one back: these are done here, in a dozen
// instructions each, the rest by `allocate`.
static void *allocate_quickly(void *data, void *block, size_t old_size, size_t new_size)
{
  Account *account = data;
  if (new_size == 0 && old_size > 0 && old_size <= BLOCKS_MOST_BYTES) {
    account->bytes -= old_size;
    blocks_push(&account->blocks, block, old_size);
    return NULL;
  }
  if (!block && account->bytes + new_size <= account->watch) {
    block = blocks_pop(&account->blocks, new_size);
    if (block) {
      account->bytes += new_size;
      return block;
    }
  }
  return allocate(account, block, old_size, new_size);
}

lua_Alloc account_allocator(void)
{
  return fast_paths_are_on() ? allocate_quickly : allocate;
}

bool account_has_room(const Account *account, size_t bytes)
{
  return bytes <= account->cap && account->bytes <= account->cap - bytes;
}

void account_arm(Account *account)
{
  account->is_armed = true;
  watch(account);
}

void account_lift(Account *account)
{
  account->is_armed = false;
  account->watch = SIZE_MAX;
}
