// Small blocks of memory for one Lua state: cut from chunks, kept in a list per size for the next
// of that size, given back all at once. They know no header, so a block costs what was asked for.
// Whoever gives one back says how large it is, as Lua's allocators do.
#ifndef MOONHOOK_SCRIPT_BLOCKS_H
#define MOONHOOK_SCRIPT_BLOCKS_H

#include <stddef.h>

enum {
  BLOCK_STEP = 8,        // sizes are rounded up to it; blocks lie at multiples of it
  MAX_BLOCK_BYTES = 512, // larger ones are malloc's
};

typedef struct BlockChunk BlockChunk;

// Zero-initialise.
typedef struct {
  void *free[MAX_BLOCK_BYTES / BLOCK_STEP + 1]; // by size; each holds the address of the next
  char *at, *end;                               // what is left of the newest chunk
  BlockChunk *chunks;
} Blocks;

// As lua_Alloc: new_size 0 frees; NULL when there is no memory.
void *blocks_resize(Blocks *blocks, void *block, size_t old_size, size_t new_size);
void blocks_free(Blocks *blocks); // all small blocks; the large ones must have been freed

#endif
