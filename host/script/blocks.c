// See blocks.h.
#include "blocks.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../base/fast_paths.h"

enum { CHUNK_BYTES = 16 * 1024 - 64 }; // with malloc's own bytes not above a multiple of a page

struct BlockChunk {
  BlockChunk *next;
  char bytes[];
};

static inline size_t most_bytes(void)
{
#ifdef __SANITIZE_ADDRESS__
  return 0; // every block is malloc's, so that it is watched
#else
  return fast_paths_are_on() ? MAX_BLOCK_BYTES : 0;
#endif
}

static size_t list_of(size_t size)
{
  return (size + BLOCK_STEP - 1) / BLOCK_STEP;
}

static void put(Blocks *blocks, void *block, size_t list)
{
  memcpy(block, &blocks->free[list], sizeof(void *));
  blocks->free[list] = block;
}

static void *cut(Blocks *blocks, size_t list)
{
  size_t size = list * BLOCK_STEP;
  void *block;
  if ((size_t)(blocks->end - blocks->at) < size) {
    BlockChunk *chunk = malloc(CHUNK_BYTES);
    if (!chunk)
      return NULL;
    if (blocks->at < blocks->end) // the rest is one block
      put(blocks, blocks->at, (size_t)(blocks->end - blocks->at) / BLOCK_STEP);
    chunk->next = blocks->chunks;
    blocks->chunks = chunk;
    blocks->at = chunk->bytes;
    blocks->end = (char *)chunk + CHUNK_BYTES;
  }
  block = blocks->at;
  blocks->at += size;
  return block;
}

static inline void *take(Blocks *blocks, size_t size)
{
  size_t list = list_of(size);
  void *block;
  if (size > most_bytes())
    return malloc(size);
  block = blocks->free[list];
  if (!block)
    return cut(blocks, list);
  memcpy(&blocks->free[list], block, sizeof(void *));
  return block;
}

static inline void give(Blocks *blocks, void *block, size_t size)
{
  if (size > most_bytes())
    free(block);
  else if (size > 0)
    put(blocks, block, list_of(size));
}

static void *move(Blocks *blocks, void *block, size_t old_size, size_t new_size)
{
  size_t most = most_bytes();
  void *moved;
  if (old_size > most && new_size > most)
    return realloc(block, new_size);
  if (old_size <= most && new_size <= most && list_of(old_size) == list_of(new_size))
    return block;
  moved = take(blocks, new_size);
  if (!moved)
    return NULL;
  memcpy(moved, block, old_size < new_size ? old_size : new_size);
  give(blocks, block, old_size);
  return moved;
}

void *blocks_resize(Blocks *blocks, void *block, size_t old_size, size_t new_size)
{
  if (!block)
    return take(blocks, new_size);
  if (new_size > 0)
    return move(blocks, block, old_size, new_size);
  give(blocks, block, old_size);
  return NULL;
}

void blocks_free(Blocks *blocks)
{
  while (blocks->chunks) {
    BlockChunk *chunk = blocks->chunks;
    blocks->chunks = chunk->next;
    free(chunk);
  }
  *blocks = (Blocks){ 0 };
}
