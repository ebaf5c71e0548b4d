// Small blocks of memory for one Lua state: cut from chunks, kept in a list per size for the next
// of that size, given back all at once. They know no header, so a block costs what was asked for.
// Whoever gives one back says how large it is, as Lua's allocators do.
#ifndef MOONHOOK_SCRIPT_BLOCKS_H
#define MOONHOOK_SCRIPT_BLOCKS_H

#include <stddef.h>
#include <string.h>

enum {
  BLOCK_STEP = 8,        // sizes are rounded up to it; blocks lie at multiples of it
  MAX_BLOCK_BYTES = 512, // larger ones are malloc's
#ifdef __SANITIZE_ADDRESS__
  BLOCKS_MOST_BYTES = 0, // under a sanitizer every block is malloc's, so that it is watched
#else
  BLOCKS_MOST_BYTES = MAX_BLOCK_BYTES,
#endif
};

typedef struct BlockChunk BlockChunk;

// Zero-initialise.
typedef struct {
  void *free[MAX_BLOCK_BYTES / BLOCK_STEP + 1]; // by size; each holds the address of the next
  char *at, *end;                               // what is left of the newest chunk
  BlockChunk *chunks;
} Blocks;

// Which list holds blocks of this size: of how many steps they are.
static inline size_t blocks_list(size_t size)
{
  return (size + BLOCK_STEP - 1) / BLOCK_STEP;
}

// A new block from the list of its size; NULL: the list is empty, or the size has none.
static inline void *blocks_pop(Blocks *blocks, size_t size)
{
  size_t list = blocks_list(size);
  void *block = size <= BLOCKS_MOST_BYTES ? blocks->free[list] : NULL;
  if (block) {
    memcpy(&blocks->free[list], block, sizeof(void *));
    __builtin_prefetch(blocks->free[list], 1); // the next one; the collector left it long ago
  }
  return block;
}

// Gives a block of 1 to BLOCKS_MOST_BYTES bytes back.
static inline void blocks_push(Blocks *blocks, void *block, size_t size)
{
  size_t list = blocks_list(size);
  memcpy(block, &blocks->free[list], sizeof(void *));
  blocks->free[list] = block;
}

// As lua_Alloc: new_size 0 frees; NULL when there is no memory.
void *blocks_resize(Blocks *blocks, void *block, size_t old_size, size_t new_size);
void blocks_free(Blocks *blocks); // all small blocks; the large ones must have been freed

#endif
