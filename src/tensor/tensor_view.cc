#include "tensor/tensor_view.h"

#include "base/str.h"

namespace inferneo::tensor {

std::string Shape::to_string() const {
  std::string text = "[";
  for (std::size_t i = 0; i < rank_; ++i) {
    if (i > 0) text += ", ";
    append_piece(text, dims_[i]);
  }
  return text + "]";
}

}  // namespace inferneo::tensor
