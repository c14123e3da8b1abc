//! Latencies in log-linear buckets: one increment per answer, under one percent of error, fixed memory.

use std::time::Duration;

/// Buckets per power of two. 128 keeps the width of a bucket under 0.8 % of the value.
const STEPS: u64 = 128;
const STEP_BITS: u32 = STEPS.trailing_zeros();
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) * STEPS as usize;

/// Counts of latencies in nanoseconds.
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: 0 }
    }

    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
        self.max = 0;
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The latency that `share` (0 to 1) of all answers did not exceed, in microseconds.
    pub(crate) fn micros_at(&self, share: f64) -> f64 {
        let wanted = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return middle(index).min(self.max) as f64 / 1e3;
            }
        }
        0.0
    }

    pub(crate) fn max_micros(&self) -> f64 {
        self.max as f64 / 1e3
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - STEP_BITS;
    // The leading one is dropped by the subtraction; the row it selected is put back by the multiplication.
    ((u64::from(shift) + 1) * STEPS + (nanos >> shift) - STEPS) as usize
}

fn middle(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    ((bucket % STEPS + STEPS) << shift) + ((1 << shift) >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lands_within_one_percent() {
        for power in 0..63 {
            for nanos in [1_u64 << power, (1 << power) + (1 << power) / 3] {
                let found = middle(bucket(nanos));
                assert!(found.abs_diff(nanos) as f64 <= nanos as f64 * 0.01, "{nanos} read back as {found}");
            }
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn shares_are_read_in_order() {
        let mut histogram = Histogram::new();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        assert!((histogram.micros_at(0.5) - 500.0).abs() < 5.0);
        assert!((histogram.micros_at(0.99) - 990.0).abs() < 10.0);
        assert!((histogram.max_micros() - 1000.0).abs() < f64::EPSILON);
        assert_eq!(histogram.total(), 1000);
    }
}
