//! Columns of numbers, each as narrow as what it holds: 4 bytes a value where it fits, more only where it must.

use rust_decimal::Decimal;

/// Stands for "unknown" where values are narrow.
const UNKNOWN: u32 = u32::MAX;
/// Stands for "unknown" among amounts.
const UNKNOWN_AMOUNT: i64 = i64::MIN;

/// Times ten million, it fits an `i64` many times.
const SMALL_AMOUNT: u64 = 1_000_000_000;

/// Durations. Whole microseconds, as we write them, take 4 bytes.
#[derive(Debug, Clone, Default)]
pub(super) enum Durations {
    /// Nothing known so far, in so many rows.
    #[default]
    Empty,
    Micros(Vec<u32>),
    /// Others' files: finer than a microsecond, or longer than an hour.
    Exact(Vec<Option<f64>>),
}

/// A duration as it stands in a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Duration {
    /// The cell is empty.
    Unknown,
    /// Whole microseconds, less than [`u32::MAX`].
    Micros(u32),
    /// Milliseconds.
    Exact(f64),
}

impl Duration {
    /// The narrowest form of `ms`.
    pub(crate) fn of(ms: Option<f64>) -> Self {
        let Some(ms) = ms else { return Self::Unknown };
        let micros = (ms * 1_000.0).round();
        if (0.0..f64::from(UNKNOWN)).contains(&micros) && from_micros(micros as u32).to_bits() == ms.to_bits() {
            Self::Micros(micros as u32)
        } else {
            Self::Exact(ms)
        }
    }

    fn ms(self) -> Option<f64> {
        match self {
            Self::Unknown => None,
            Self::Micros(micros) => Some(from_micros(micros)),
            Self::Exact(ms) => Some(ms),
        }
    }
}

/// The same `f64` that reading the number's text gives: both are the nearest to the decimal.
fn from_micros(micros: u32) -> f64 {
    f64::from(micros) / 1_000.0
}

impl Durations {
    /// Adds the value of row `row`, the rows before being there; about `expected` will be there in the end.
    #[inline]
    pub(super) fn push(&mut self, row: usize, value: Duration, expected: usize) {
        match (&mut *self, value) {
            (Self::Empty, Duration::Unknown) => {}
            (Self::Micros(all), Duration::Unknown) => all.push(UNKNOWN),
            (Self::Micros(all), Duration::Micros(micros)) => all.push(micros),
            (Self::Exact(all), value) => all.push(value.ms()),
            (Self::Empty, Duration::Micros(micros)) => {
                let mut all = begun(row, UNKNOWN, expected);
                all.push(micros);
                *self = Self::Micros(all);
            }
            (Self::Empty | Self::Micros(_), Duration::Exact(ms)) => {
                let mut all: Vec<_> = (0..row).map(|before| self.get(before)).collect();
                all.push(Some(ms));
                *self = Self::Exact(all);
            }
        }
    }

    /// Milliseconds.
    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<f64> {
        match self {
            Self::Empty => None,
            Self::Micros(all) => all.get(row).filter(|micros| **micros != UNKNOWN).map(|micros| from_micros(*micros)),
            Self::Exact(all) => all.get(row).copied().flatten(),
        }
    }

    pub(super) fn shrink(&mut self) {
        match self {
            Self::Empty => {}
            Self::Micros(all) => all.shrink_to_fit(),
            Self::Exact(all) => all.shrink_to_fit(),
        }
    }

    pub(super) fn reorder(&mut self, order: &[u32]) {
        match self {
            Self::Empty => {}
            Self::Micros(all) => *all = gather(all, order),
            Self::Exact(all) => *all = gather(all, order),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Micros(all) => held_bytes(all),
            Self::Exact(all) => held_bytes(all),
        }
    }
}

/// Whole numbers, mostly below four billion.
#[derive(Debug, Clone, Default)]
pub(super) enum Wholes {
    #[default]
    Empty,
    Narrow(Vec<u32>),
    Wide(Vec<Option<u64>>),
}

impl Wholes {
    /// Adds the value of row `row`, the rows before being there; about `expected` will be there in the end.
    #[inline]
    pub(super) fn push(&mut self, row: usize, value: Option<u64>, expected: usize) {
        let narrow = match value {
            None => Some(UNKNOWN),
            Some(value) => u32::try_from(value).ok().filter(|value| *value != UNKNOWN),
        };
        match (&mut *self, narrow) {
            (Self::Empty, Some(UNKNOWN)) => {}
            (Self::Narrow(all), Some(value)) => all.push(value),
            (Self::Wide(all), _) => all.push(value),
            (Self::Empty, Some(narrow)) => {
                let mut all = begun(row, UNKNOWN, expected);
                all.push(narrow);
                *self = Self::Narrow(all);
            }
            (Self::Empty | Self::Narrow(_), None) => {
                let mut all: Vec<_> = (0..row).map(|before| self.get(before)).collect();
                all.push(value);
                *self = Self::Wide(all);
            }
        }
    }

    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<u64> {
        match self {
            Self::Empty => None,
            Self::Narrow(all) => all.get(row).filter(|value| **value != UNKNOWN).map(|value| u64::from(*value)),
            Self::Wide(all) => all.get(row).copied().flatten(),
        }
    }

    pub(super) fn shrink(&mut self) {
        match self {
            Self::Empty => {}
            Self::Narrow(all) => all.shrink_to_fit(),
            Self::Wide(all) => all.shrink_to_fit(),
        }
    }

    pub(super) fn reorder(&mut self, order: &[u32]) {
        match self {
            Self::Empty => {}
            Self::Narrow(all) => *all = gather(all, order),
            Self::Wide(all) => *all = gather(all, order),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Narrow(all) => held_bytes(all),
            Self::Wide(all) => held_bytes(all),
        }
    }
}

/// Amounts of money, exact: whole multiples of one power of ten.
#[derive(Debug, Clone, Default)]
pub(super) enum Amounts {
    #[default]
    Empty,
    Scaled {
        /// Digits after the point.
        scale: u32,
        all: Vec<i64>,
    },
    /// More digits than a scaled amount has room for.
    Exact(Vec<Option<Decimal>>),
}

/// An amount as it stands in a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Amount {
    /// The cell is empty.
    Unknown,
    /// So many of the last of so many digits after the point.
    Scaled(i64, u32),
    /// In any form.
    Exact(Decimal),
}

impl Amount {
    fn value(self) -> Option<Decimal> {
        match self {
            Self::Unknown => None,
            Self::Scaled(amount, scale) => Some(Decimal::new(amount, scale).normalize()),
            Self::Exact(value) => Some(value),
        }
    }
}

impl Amounts {
    /// Adds the value of row `row`, the rows before being there.
    #[inline]
    pub(super) fn push(&mut self, row: usize, value: Amount) {
        match (&mut *self, value) {
            (Self::Empty, Amount::Unknown) => {}
            (Self::Scaled { all, .. }, Amount::Unknown) => all.push(UNKNOWN_AMOUNT),
            (Self::Scaled { scale, all }, Amount::Scaled(amount, its)) if *scale == its => all.push(amount),
            // Amounts end where their last digit that is not 0 does, so their lengths differ all the time.
            (Self::Scaled { scale, all }, Amount::Scaled(amount, its))
                if its < *scale && amount.unsigned_abs() < SMALL_AMOUNT && *scale - its < 8 =>
            {
                all.push(amount * 10_i64.pow(*scale - its));
            }
            (Self::Exact(all), value) => all.push(value.value()),
            (Self::Empty | Self::Scaled { .. }, value) => self.push_other(row, value),
        }
    }

    /// A value with another number of digits than those before.
    fn push_other(&mut self, row: usize, value: Amount) {
        let Some(value) = value.value() else { return };
        if let Self::Empty = self {
            *self = Self::Scaled { scale: value.scale(), all: vec![UNKNOWN_AMOUNT; row] };
        }
        let Self::Scaled { scale, all } = self else { return };
        if value.scale() > *scale && !raise(all, value.scale() - *scale) {
            return self.push_exact(row, value);
        }
        *scale = (*scale).max(value.scale());
        match scaled(value, *scale) {
            Some(amount) => all.push(amount),
            None => self.push_exact(row, value),
        }
    }

    fn push_exact(&mut self, row: usize, value: Decimal) {
        let mut all: Vec<_> = (0..row).map(|before| self.get(before)).collect();
        all.push(Some(value));
        *self = Self::Exact(all);
    }

    /// Without trailing zeros.
    pub(super) fn get(&self, row: usize) -> Option<Decimal> {
        match self {
            Self::Empty => None,
            Self::Scaled { scale, all } => {
                let amount = all.get(row).filter(|amount| **amount != UNKNOWN_AMOUNT)?;
                Some(Decimal::new(*amount, *scale).normalize())
            }
            Self::Exact(all) => all.get(row).copied().flatten(),
        }
    }

    pub(super) fn shrink(&mut self) {
        match self {
            Self::Empty => {}
            Self::Scaled { all, .. } => all.shrink_to_fit(),
            Self::Exact(all) => all.shrink_to_fit(),
        }
    }

    pub(super) fn reorder(&mut self, order: &[u32]) {
        match self {
            Self::Empty => {}
            Self::Scaled { all, .. } => *all = gather(all, order),
            Self::Exact(all) => *all = gather(all, order),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Scaled { all, .. } => held_bytes(all),
            Self::Exact(all) => held_bytes(all),
        }
    }
}

/// Multiplies every amount by ten to the `digits`; changes nothing and says so where one would not fit.
fn raise(all: &mut [i64], digits: u32) -> bool {
    let Some(factor) = 10_i64.checked_pow(digits) else { return false };
    let fits = |amount: &i64| *amount == UNKNOWN_AMOUNT || amount.checked_mul(factor).is_some();
    let does_fit = all.iter().all(fits);
    if does_fit {
        for amount in all.iter_mut().filter(|amount| **amount != UNKNOWN_AMOUNT) {
            *amount *= factor;
        }
    }
    does_fit
}

fn scaled(value: Decimal, scale: u32) -> Option<i64> {
    let mantissa = i64::try_from(value.mantissa()).ok()?;
    let factor = 10_i64.checked_pow(scale.checked_sub(value.scale())?)?;
    mantissa.checked_mul(factor).filter(|amount| *amount != UNKNOWN_AMOUNT)
}

/// So many `unknown`, with room for `expected` values.
fn begun<T: Copy>(row: usize, unknown: T, expected: usize) -> Vec<T> {
    let mut all = Vec::with_capacity(expected.max(row + 1));
    all.resize(row, unknown);
    all
}

/// What `all` takes, its room for more included.
pub(super) fn held_bytes<T>(all: &Vec<T>) -> usize {
    all.capacity() * size_of::<T>()
}

/// `all` in the order of `order`, which names each of its places once.
pub(super) fn gather<T: Copy>(all: &[T], order: &[u32]) -> Vec<T> {
    // Collected alone it would take up to twice its room, as nothing tells how many there will be.
    let mut gathered = Vec::with_capacity(order.len());
    gathered.extend(order.iter().filter_map(|at| all.get(*at as usize).copied()));
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_gathered_takes_no_more_room_than_it_needs() {
        let all: Vec<u32> = (0..5_000).collect();
        let order: Vec<u32> = (0..5_000).rev().collect();
        let gathered = gather(&all, &order);
        assert_eq!((gathered.len(), gathered.first(), held_bytes(&gathered)), (5_000, Some(&4_999), 20_000));
    }

    #[test]
    fn durations_come_out_as_they_went_in_however_odd() {
        let values = [
            None,
            Some(0.0),
            Some(1_234.567),
            Some(0.1 + 0.2),
            None,
            Some(4_294_967.294),
            Some(4_294_967.295),
            Some(1e12),
            Some(0.001),
        ];
        let mut column = Durations::default();
        for (row, value) in values.iter().enumerate() {
            column.push(row, Duration::of(*value), 0);
        }
        for (row, value) in values.iter().enumerate() {
            assert_eq!(column.get(row).map(f64::to_bits), value.map(f64::to_bits), "row {row}");
        }
    }

    #[test]
    fn wholes_and_amounts_come_out_as_they_went_in() {
        let wholes = [None, Some(7), Some(u64::from(u32::MAX)), None, Some(u64::MAX), Some(0)];
        let mut column = Wholes::default();
        for (row, value) in wholes.iter().enumerate() {
            column.push(row, *value, 0);
        }
        assert_eq!((0..wholes.len()).map(|row| column.get(row)).collect::<Vec<_>>(), wholes);

        let amount = |text: &str| Some(text.parse::<Decimal>().unwrap_or_default());
        let amounts = [
            None,
            amount("1.5"),
            amount("0.0003192"),
            amount("12"),
            amount("-3"),
            None,
            amount("9223372036854.775807"),
            amount("0.0000000000000000000000000001"),
        ];
        let mut column = Amounts::default();
        for (row, value) in amounts.iter().enumerate() {
            column.push(row, value.map_or(Amount::Unknown, Amount::Exact));
        }
        assert_eq!((0..amounts.len()).map(|row| column.get(row)).collect::<Vec<_>>(), amounts);
    }
}
