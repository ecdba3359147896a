//! The day's and the week's rhythm: one factor for each hour of day, working days and weekends apart.
//!
//! Two weeks give two samples for an hour of the week, too few for a histogram of their own. So the rhythm is a factor on
//! the level, learned from logarithms (one huge upload must not make its hour look busy), pooled over the peer group, and
//! pulled towards 1 while little is known.

use super::place::{Channel, Day, HOURS};

/// Sums of logarithms by hour of day (24-47: weekends), and how many.
#[derive(Debug, Clone, Copy)]
pub struct Season {
    sums: [[f64; 2 * HOURS]; 4],
    counts: [u32; 2 * HOURS],
}

/// Bytes added before the logarithm: below this an hour is quiet, whatever the number.
const GROUND: f64 = 100_000.0;

/// How many samples' weight the factor 1 has.
const PRIOR: f64 = 8.0;

/// The factor's bounds: rhythm alone must not explain, or invent, more than this.
const BOUNDS: (f64, f64) = (0.25, 4.0);

impl Default for Season {
    fn default() -> Self {
        Season {
            sums: [[0.0; 2 * HOURS]; 4],
            counts: [0; 2 * HOURS],
        }
    }
}

/// The slot of an hour of a day.
pub fn slot(day: Day, hour: usize) -> usize {
    // 1970-01-01 was a Thursday.
    let weekend = (day + 3) % 7 >= 5;
    hour % HOURS + if weekend { HOURS } else { 0 }
}

impl Season {
    /// Adds one hour of an interface whose mean logarithms are `level`.
    pub fn record(&mut self, slot: usize, bytes: &[u64; 4]) {
        for (sums, &b) in self.sums.iter_mut().zip(bytes) {
            sums[slot] += logarithm(b);
        }
        self.counts[slot] += 1;
    }

    /// Adds another interface's hours, each relative to that interface's own level.
    pub fn pool(&mut self, other: &Season) {
        for channel in 0..4 {
            let level = other.level(channel);
            for slot in 0..2 * HOURS {
                self.sums[channel][slot] += other.sums[channel][slot] - level * f64::from(other.counts[slot]);
            }
        }
        for (mine, more) in self.counts.iter_mut().zip(other.counts) {
            *mine += more;
        }
    }

    /// Mean logarithm over all hours.
    fn level(&self, channel: usize) -> f64 {
        let n: u32 = self.counts.iter().sum();
        if n == 0 {
            0.0
        } else {
            self.sums[channel].iter().sum::<f64>() / f64::from(n)
        }
    }

    /// How busy a slot is, relative to the mean hour, of a pooled season.
    pub fn factor(&self, channel: Channel, slot: usize) -> f64 {
        let n = f64::from(self.counts[slot]);
        (self.sums[channel as usize][slot] / (n + PRIOR))
            .exp()
            .clamp(BOUNDS.0, BOUNDS.1)
    }
}

fn logarithm(bytes: u64) -> f64 {
    (bytes as f64 + GROUND).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_hour_shows_and_one_upload_does_not_make_one() {
        let mut own = Season::default();
        for day in 20_000..20_014 {
            for hour in 0..HOURS {
                let bytes = if (9..17).contains(&hour) {
                    400_000_000
                } else {
                    100_000_000
                };
                let spike = if day == 20_003 && hour == 2 {
                    9_000_000_000
                } else {
                    bytes
                };
                own.record(slot(day, hour), &[spike, 0, 0, 0]);
            }
        }
        let mut pooled = Season::default();
        pooled.pool(&own);
        let at = |hour| pooled.factor(Channel::External, slot(20_003, hour));
        assert!(at(12) > 1.3 && at(4) < 0.9, "{} {}", at(12), at(4));
        assert!(at(2) < 1.2, "{}", at(2));
    }
}
