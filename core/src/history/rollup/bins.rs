//! Durations in bins whose width grows with the value: a percentile read from them is off by at most 1 %, and any number of
//! them add up to what one over all values would be.
//!
//! The bins are those of DDSketch (C. Masson, J. E. Rim and H. K. Lee, *DDSketch: a fast and fully-mergeable quantile sketch
//! with relative-error guarantees*, VLDB 2019) for a relative error of 0.01 over microseconds. Sparse, as 60 values of an hour
//! fill some 40 of them.

use std::sync::LazyLock;

/// Largest relative error of a value read from a bin.
pub const RELATIVE_ERROR: f64 = 0.01;

/// Upper bound of a bin divided by its lower bound.
const RATIO: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);

/// Bins below this one hold durations up to some days.
const USUAL_BINS: usize = 1536;

/// So many values of one bin.
pub(super) type Bin = (u16, u32);

/// The bin of `ms`; 0 is that of all durations below a microsecond.
pub fn bin_of(ms: f64) -> u16 {
    let micros = ms * 1_000.0;
    if micros < 1.0 {
        return 0;
    }
    1 + (micros.ln() / RATIO.ln()).ceil() as u16
}

/// The value that stands for all in `bin`, in milliseconds: at most 1 % from each.
pub fn value_of(bin: u16) -> f64 {
    // A chart asks for it tens of thousands of times.
    static VALUES: LazyLock<[f64; USUAL_BINS]> = LazyLock::new(|| std::array::from_fn(|bin| power_of(bin as u16)));
    VALUES.get(usize::from(bin)).copied().unwrap_or_else(|| power_of(bin))
}

fn power_of(bin: u16) -> f64 {
    if bin == 0 {
        return 0.0;
    }
    let micros = 2.0 * RATIO.powi(i32::from(bin) - 1) / (RATIO + 1.0);
    micros / 1_000.0
}

/// Counts one more value in `bin`; `bins` are in ascending order.
pub(super) fn count(bins: &mut Vec<Bin>, bin: u16) {
    match bins.binary_search_by_key(&bin, |(at, _)| *at) {
        Ok(at) => {
            if let Some((_, count)) = bins.get_mut(at) {
                *count += 1;
            }
        }
        Err(at) => bins.insert(at, (bin, 1)),
    }
}

/// Bins as they are held in memory: some bytes an hour. The distance from the bin before, twice, plus one where a count follows;
/// numbers by seven bits a byte, the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedBins<'a>(pub(super) &'a [u8]);

impl<'a> PackedBins<'a> {
    /// What was packed before.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Every bin with how many values are in it, smallest values first.
    pub fn bins(self) -> impl Iterator<Item = (u16, u32)> + 'a {
        Unpacked { rest: self.0, bin: 0 }
    }
}

#[derive(Debug)]
struct Unpacked<'a> {
    rest: &'a [u8],
    /// The one before.
    bin: u16,
}

impl Iterator for Unpacked<'_> {
    type Item = (u16, u32);

    #[inline]
    fn next(&mut self) -> Option<(u16, u32)> {
        // A chart of a month goes through a million. Nearly every number is a byte, and whether a count follows is as good as
        // random: no branch depends on it.
        if let [distance, count, ..] = *self.rest
            && (distance | count) < 0x80
        {
            let has_count = distance & 1;
            self.rest = self.rest.get(1 + usize::from(has_count)..).unwrap_or_default();
            self.bin = self.bin.wrapping_add(u16::from(distance >> 1));
            return Some((
                self.bin,
                1_u32.wrapping_add(u32::from(has_count).wrapping_mul(u32::from(count).wrapping_sub(1))),
            ));
        }
        let distance = self.number()?;
        let count = if distance & 1 == 1 { self.number()? } else { 1 };
        self.bin = self.bin.wrapping_add((distance >> 1) as u16);
        Some((self.bin, count as u32))
    }
}

impl Unpacked<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Some(number)
    }
}

/// Appends `bins`, in ascending order.
pub(super) fn pack(bins: impl Iterator<Item = Bin>, out: &mut Vec<u8>) {
    fn push(mut number: u64, out: &mut Vec<u8>) {
        while number >= 0x80 {
            out.push(0x80 | (number & 0x7f) as u8);
            number >>= 7;
        }
        out.push(number as u8);
    }
    let mut before = 0;
    for (bin, count) in bins {
        let distance = u64::from(bin - before) << 1;
        before = bin;
        if count == 1 {
            push(distance, out);
        } else {
            push(distance | 1, out);
            push(u64::from(count), out);
        }
    }
}

/// `412:2 1 1 3:4`: the first bin, then each one's distance from the one before; `:2` where it holds more than one value.
pub(super) fn write(bins: &[Bin], out: &mut String) {
    use std::fmt::Write as _;
    let mut before = 0;
    for (index, (bin, count)) in bins.iter().enumerate() {
        let space = if index == 0 { "" } else { " " };
        // Writing to memory does not fail.
        let _ = write!(out, "{space}{}", bin - before);
        if *count != 1 {
            let _ = write!(out, ":{count}");
        }
        before = *bin;
    }
}

/// Adds to `bins` what [`write`] wrote; `None` for anything else.
pub(super) fn read(text: &str, bins: &mut Vec<Bin>) -> Option<()> {
    let mut bin = 0_u16;
    for (index, word) in text.split_ascii_whitespace().enumerate() {
        let (distance, count) = match word.split_once(':') {
            Some((distance, count)) => (distance, count.parse().ok()?),
            None => (word, 1),
        };
        let distance: u16 = distance.parse().ok()?;
        if count == 0 || (index > 0 && distance == 0) {
            return None;
        }
        bin = bin.checked_add(distance)?;
        bins.push((bin, count));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_bins_value_is_within_one_per_cent_of_every_value_in_it() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..100_000 {
            let ms = 10_f64.powf(random.f64() * 15.0 - 3.0);
            let value = value_of(bin_of(ms));
            assert!((value - ms).abs() <= ms * RELATIVE_ERROR * 1.000_001, "{ms} is told as {value}");
        }
        assert_eq!((bin_of(0.0), bin_of(0.000_9)), (0, 0));
    }

    #[test]
    fn bins_read_back_as_written_and_nothing_else_is_read() {
        let mut bins = Vec::new();
        for bin in [412, 7, 412, 413, 0, 900, 413, 413] {
            count(&mut bins, bin);
        }
        let mut text = String::new();
        write(&bins, &mut text);
        assert_eq!(text, "0 7 405:2 1:3 487");
        let mut read_back = Vec::new();
        read(&text, &mut read_back).unwrap();
        assert_eq!(read_back, bins);
        let mut packed = Vec::new();
        pack(bins.iter().copied().chain([(40_000, 3_000_000_000), (40_001, 1), (65_535, 200)]), &mut packed);
        assert!(packed.len() < 30, "{} bytes", packed.len());
        let mut unpacked: Vec<Bin> = PackedBins::of(&packed).bins().collect();
        assert_eq!(unpacked.split_off(bins.len()), [(40_000, 3_000_000_000), (40_001, 1), (65_535, 200)]);
        assert_eq!(unpacked, bins);
        for wrong in ["1 0", "x", "1:0", "1:", "-1", "65000 65000", "1:2:3"] {
            assert_eq!(read(wrong, &mut Vec::new()), None, "{wrong}");
        }
    }
}
