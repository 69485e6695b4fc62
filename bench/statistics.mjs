// The few numbers that are made of the many.

const sorted = (values) => [...values].sort((a, b) => a - b);

export function median(values) {
  const list = sorted(values);
  const middle = list.length >> 1;
  return list.length % 2 === 1 ? list[middle] : (list[middle - 1] + list[middle]) / 2;
}

/** The value that the share `p` of them does not exceed. */
export function percentile(values, p) {
  const list = sorted(values);
  return list[Math.min(list.length - 1, Math.ceil(list.length * p) - 1)];
}

/**
 * The 90 % interval of the median, from ranks alone: nothing is assumed of how the values spread. With fewer than five
 * there is no such interval, and it is from the smallest to the largest.
 */
export function interval(values) {
  const list = sorted(values);
  const n = list.length;
  let ways = 1;
  let below = 0;
  let rank = 0;
  // `below` is the chance, times 2^n, that at most `rank` of n values lie below the median.
  for (let k = 0; k < n / 2; k += 1) {
    below += ways;
    if (below / 2 ** n > 0.05) break;
    rank = k + 1;
    ways = (ways * (n - k)) / (k + 1);
  }
  const at = Math.max(rank - 1, 0);
  return [list[at], list[n - 1 - at]];
}

/** A median with its interval, and how many values it is of. */
export function summary(values) {
  const [low, high] = interval(values);
  return { median: median(values), low, high, rounds: values.length };
}

/** The ratio of two rows of figures, round by round. */
export function ratio(above, below) {
  return summary(above.map((value, round) => value / below[round]));
}
