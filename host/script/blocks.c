// See blocks.h.
#include "blocks.h"

#include <stdbool.h>
#include <stdlib.h>

enum { CHUNK_BYTES = 16 * 1024 - 64 }; // with malloc's own bytes not above a multiple of a page

struct BlockChunk {
  BlockChunk *next;
  char bytes[];
};

// Takes a block from the newest chunk.
static void *cut(Blocks *blocks, size_t size)
{
  void *block;
  size = blocks_list(size) * BLOCK_STEP;
  if ((size_t)(blocks->end - blocks->at) < size) {
    BlockChunk *chunk = malloc(CHUNK_BYTES);
    if (!chunk)
      return NULL;
    if (blocks->at < blocks->end) // the rest is one block
      blocks_push(blocks, blocks->at, (size_t)(blocks->end - blocks->at));
    chunk->next = blocks->chunks;
    blocks->chunks = chunk;
    blocks->at = chunk->bytes;
    blocks->end = (char *)chunk + CHUNK_BYTES;
  }
  block = blocks->at;
  blocks->at += size;
  return block;
}

static void *take(Blocks *blocks, size_t size)
{
  void *block = blocks_pop(blocks, size);
  if (block)
    return block;
  return size > BLOCKS_MOST_BYTES ? malloc(size) : cut(blocks, size);
}

static void give(Blocks *blocks, void *block, size_t size)
{
  if (size > BLOCKS_MOST_BYTES)
    free(block);
  else if (size > 0)
    blocks_push(blocks, block, size);
}

static bool are_of_one_list(size_t a, size_t b)
{
  return a <= BLOCKS_MOST_BYTES && b <= BLOCKS_MOST_BYTES && blocks_list(a) == blocks_list(b);
}

static void *move(Blocks *blocks, void *block, size_t old_size, size_t new_size)
{
  void *moved;
  if (old_size > BLOCKS_MOST_BYTES && new_size > BLOCKS_MOST_BYTES)
    return realloc(block, new_size);
  if (are_of_one_list(old_size, new_size))
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
