/* The training step of the starter models as a shared library; native.py is its caller.
 *
 * A model's parameters are one float32 array in the order of torch's named_parameters, owned by
 * the caller and read and written in place. Functions that return int return 0, or -1 where
 * starter_step_error() says what is wrong. Thread: one at a time.
 */
#ifndef STARTER_STEP_H_
#define STARTER_STEP_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes as in config.json; `tokens` a step and `length` of a row are upper limits. */
struct starter_step_shape {
  int32_t vocab, hidden, inner, layers, heads, kv_heads, head_dim;
  float rope_theta, norm_eps;
  int32_t threads, tokens, length, backward;
};

struct starter_step;

const char* starter_step_error(void);

/* Null on error. `weights`: `count` values that outlive the model. backward 0: forward only. */
struct starter_step* starter_step_create(const struct starter_step_shape* shape,
                                         float* weights,
                                         int64_t count);
void starter_step_destroy(struct starter_step* step);

/* To be called after the caller has changed the weights. */
void starter_step_weights_changed(struct starter_step* step);

/* Gradient of sum(loss * weight) / sum(weight) over rows * length tokens. With a teacher the loss
 * is the cross entropy with its probabilities, else with the targets. report: that loss, the sum
 * of the losses of the tokens of weight 1, and their number. */
int starter_step_gradient(struct starter_step* step,
                          struct starter_step* teacher,
                          const int32_t* ids,
                          const int32_t* targets,
                          const float* weights,
                          int32_t rows,
                          int32_t length,
                          double report[3]);

/* Copies the gradient of the last call. */
void starter_step_read_gradient(const struct starter_step* step, float* out);

/* Replaces the gradient of the last call, as if gradient() had found this one. */
void starter_step_write_gradient(struct starter_step* step, const float* values);

/* Applies the gradient as step number `number` (from 1). first, second: the optimizers' state,
 * as many values as parameters, zero at the start. */
void starter_step_update(
    struct starter_step* step, float* first, float* second, int64_t number, float scale);

/* Logits of the last token of one row: vocab values. length: any up to the limit. */
int starter_step_logits(struct starter_step* step, const int32_t* ids, int32_t length, float* out);

#ifdef __cplusplus
}
#endif

#endif
