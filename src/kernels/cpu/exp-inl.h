// exp of every lane. Needs: Vec, set, fma, sub, min, max, round_nearest, scale_by_power_of_two.
// Bound: within 2 units in the last place of the true value where that is a normal number; 0 and
// infinity beyond the range; exactly 1 at 0; NaN stays NaN.
// Method: x = n ln2 + r with |r| <= ln2 / 2, and a polynomial of degree 6 in r, fitted for the
// smallest relative error (3e-9), with the terms 1 and r exact.
static inline Vec exp_lanes(Vec x) {
  // Beyond these the result is infinity or 0 whatever x is. The limit comes first because min and
  // max return their second operand when one is NaN.
  x = max(set(-110.0f), min(set(90.0f), x));
  const Vec n = round_nearest(mul(x, set(1.44269504f)));
  // ln2 in two parts, the first with few enough bits that n times it is exact.
  Vec r = fma(n, set(-0.693359375f), x);
  r = fma(n, set(2.12194440e-4f), r);
  Vec p = fma(r, set(1.3814599e-3f), set(8.3687166e-3f));
  p = fma(r, p, set(4.1668389e-2f));
  p = fma(r, p, set(0.16666521f));
  p = fma(r, p, set(0.49999994f));
  p = fma(mul(r, r), p, add(r, set(1.0f)));
  return scale_by_power_of_two(p, n);
}

// 2^x of every lane, with the properties of exp_lanes. The polynomial of degree 6 has a relative
// error of 2e-9 with the term 1 exact.
static inline Vec exp2_lanes(Vec x) {
  x = max(set(-160.0f), min(set(130.0f), x));
  const Vec n = round_nearest(x);
  const Vec r = sub(x, n);
  Vec p = fma(r, set(1.5353362e-4f), set(1.3398875e-3f));
  p = fma(r, p, set(9.6184369e-3f));
  p = fma(r, p, set(5.5503324e-2f));
  p = fma(r, p, set(0.24022648f));
  p = fma(r, p, set(0.69314718f));
  p = fma(r, p, set(1.0f));
  return scale_by_power_of_two(p, n);
}
