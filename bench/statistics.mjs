// Summaries of measured values.

const sorted = (values) => [...values].sort((a, b) => a - b);

export function median(values) {
  const list = sorted(values);
  const middle = list.length >> 1;
  return list.length % 2 === 1 ? list[middle] : (list[middle - 1] + list[middle]) / 2;
}

/** The smallest value that at least the share `p` of the values does not exceed. */
export function percentile(values, p) {
  const list = sorted(values);
  return list[Math.min(list.length - 1, Math.ceil(list.length * p) - 1)];
}

/**
 * The 90 % confidence interval of the median, from ranks alone, without an assumption about the distribution. With fewer than five
 * values there is no such interval, and this returns the smallest and the largest value.
 */
export function interval(values) {
  const list = sorted(values);
  const n = list.length;
  let ways = 1;
  let below = 0;
  let rank = 0;
  // `below` is the probability, times 2^n, that at most `k` of n values lie below the median.
  for (let k = 0; k < n / 2; k += 1) {
    below += ways;
    if (below / 2 ** n > 0.05) break;
    rank = k + 1;
    ways = (ways * (n - k)) / (k + 1);
  }
  const at = Math.max(rank - 1, 0);
  return [list[at], list[n - 1 - at]];
}

/** The median with its interval, and the number of values. */
export function summary(values) {
  const [low, high] = interval(values);
  return { median: median(values), low, high, rounds: values.length };
}

/** The summary of the ratios of two series of values, round by round. */
export function ratio(above, below) {
  return summary(above.map((value, round) => value / below[round]));
}
