// What the threads of a device are going to read after a parallel section, so that those that wait
// can fetch the beginning of their share into their caches.
#pragma once

#include <cstddef>
#include <cstdint>

namespace inferneo::device {

// The items of a later section and where their bytes lie, one after the other. Only a hint: nothing
// is wrong when other bytes are read, or when these are gone.
struct NextRead {
  const std::byte* data = nullptr;  // of item 0; null when nothing is known
  std::int64_t item_size = 0;       // bytes
  std::int64_t item_count = 0;
  std::int64_t grain = 1;
};

}  // namespace inferneo::device
