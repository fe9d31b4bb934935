//! Numbers and times, as text and back. Written for speed where every row passes: the common forms are read digit by
//! digit, everything else by the standard library.

use std::{io::Write as _, str::FromStr as _};

use chrono::{DateTime, Datelike as _, NaiveDate, Timelike as _, Utc};
use rust_decimal::Decimal;

use crate::record::table::{Amount, Duration};

/// The powers of ten that are exact in an `f64` and can occur below 16 digits.
const POWERS_OF_TEN: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Digits with at most one point among them, at most `max_digits`: their value without the point, and the digits after it.
fn plain_digits(text: &[u8], max_digits: usize) -> Option<(u64, u32)> {
    if text.len() > max_digits + 1 {
        return None;
    }
    let mut value = 0_u64;
    let mut digits = 0;
    let mut point = None;
    for &byte in text {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + u64::from(byte - b'0');
                digits += 1;
            }
            b'.' if point.is_none() && digits > 0 => point = Some(digits),
            _ => return None,
        }
    }
    if digits == 0 || digits > max_digits {
        return None;
    }
    Some((value, point.map_or(0, |before| (digits - before) as u32)))
}

/// A finite number in any notation; the nearest `f64`.
pub(super) fn parse_f64(text: &str) -> Option<f64> {
    // With 15 digits at most both operands are exact, so that the quotient is rounded once: the same as a full parse.
    if let Some((value, decimals)) = plain_digits(text.as_bytes(), 15) {
        return POWERS_OF_TEN.get(decimals as usize).map(|power| value as f64 / power);
    }
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// A duration in milliseconds: finite and not negative.
pub(super) fn parse_ms(text: &str) -> Option<f64> {
    parse_f64(text).filter(|ms| *ms >= 0.0).map(f64::abs)
}

/// A duration as [`write_ms`] writes it, or an empty cell; `None` for what needs a closer look.
#[inline]
pub(super) fn parse_micros(cell: &[u8]) -> Option<Duration> {
    if cell.is_empty() {
        return Some(Duration::Unknown);
    }
    let (value, decimals) = few_digits(cell)?;
    let factor = match decimals {
        0 => 1_000,
        1 => 100,
        2 => 10,
        3 => 1,
        _ => return None,
    };
    let micros = u32::try_from(value * factor).ok().filter(|micros| *micros != u32::MAX)?;
    Some(Duration::Micros(micros))
}

/// A count of tokens as we write it, or an empty cell; `None` for what needs a closer look.
#[inline]
#[expect(clippy::option_option, reason = "the outer one: needs a closer look; the inner one: an empty cell")]
pub(super) fn parse_count(cell: &[u8]) -> Option<Option<u64>> {
    if cell.is_empty() {
        return Some(None);
    }
    few_digits(cell).filter(|(_, decimals)| *decimals == 0).map(|(value, _)| Some(value))
}

/// An amount as we write it, or an empty cell; `None` for what needs a closer look.
#[inline]
pub(super) fn parse_amount(cell: &[u8]) -> Option<Amount> {
    if cell.is_empty() {
        return Some(Amount::Unknown);
    }
    few_digits(cell).map(|(value, scale)| Amount::Scaled(value.cast_signed(), scale))
}

/// As [`plain_digits`], of at most 13 characters: a few steps a digit in the innermost loop of all.
#[inline]
fn few_digits(cell: &[u8]) -> Option<(u64, u32)> {
    if cell.len() > 13 {
        return None;
    }
    let mut value = 0_u64;
    let mut point = cell.len();
    for (at, byte) in cell.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value * 10 + u64::from(digit);
        } else if *byte == b'.' && point == cell.len() && at > 0 {
            point = at;
        } else {
            return None;
        }
    }
    Some((value, (cell.len() - point).saturating_sub(1) as u32))
}

/// A whole number, also as others write it: `128.0`.
pub(super) fn parse_u64(text: &str) -> Option<u64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some((value, 0)) = plain_digits(text.as_bytes(), 18) {
        return Some(value);
    }
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    parse_f64(text).filter(|number| (0.0..=EXACT).contains(number) && number.fract() == 0.0).map(|number| number as u64)
}

/// An amount of money, exact from its text in any notation, without trailing zeros.
pub(super) fn parse_decimal(text: &str) -> Option<Decimal> {
    if let Some((value, decimals)) = plain_digits(text.as_bytes(), 18) {
        let amount = Decimal::new(value.cast_signed(), decimals);
        return Some(if text.ends_with('0') { amount.normalize() } else { amount });
    }
    let text = text.trim();
    let is_scientific = text.contains(['e', 'E']);
    let parsed = if is_scientific { Decimal::from_scientific(text) } else { Decimal::from_str(text) };
    parsed.ok().map(|amount| amount.normalize())
}

/// Two or four digits.
fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))
}

/// A date's and a time's seconds since 1970.
fn seconds(year: &[u8], month: &[u8], day: &[u8], time: [&[u8]; 3]) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(digits(year)?.cast_signed(), digits(month)?, digits(day)?)?;
    let [hour, minute, second] = [digits(time[0])?, digits(time[1])?, digits(time[2])?];
    // A leap second counts as the first of the next minute.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = i64::from(date.num_days_from_ce()) - 719_163;
    Some(days * 86_400 + i64::from(hour * 3_600 + minute * 60 + second))
}

/// An ISO 8601 time with or without fraction and zone (none is UTC), cut to milliseconds.
pub(super) fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T' | b't' | b' ',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
        ref rest @ ..,
    ] = text.trim().as_bytes()
    else {
        return None;
    };
    let seconds = seconds(&[y1, y2, y3, y4], &[m1, m2], &[d1, d2], [&[h1, h2], &[n1, n2], &[s1, s2]])?;
    let (millis, zone) = match rest {
        [b'.' | b',', fraction @ ..] => {
            let len = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, zone) = fraction.split_at_checked(len)?;
            if fraction.is_empty() {
                return None;
            }
            let at = |index: usize| fraction.get(index).map_or(0, |byte| i64::from(byte - b'0'));
            (at(0) * 100 + at(1) * 10 + at(2), zone)
        }
        zone => (0, zone),
    };
    let offset = match zone {
        [] | b"Z" | b"z" => 0,
        &[sign @ (b'+' | b'-'), h1, h2, ref minutes @ ..] => {
            let minutes = match minutes {
                [] => 0,
                &[b':', m1, m2] | &[m1, m2] => digits(&[m1, m2])?,
                _ => return None,
            };
            let offset = i64::from(digits(&[h1, h2])? * 3_600 + minutes * 60);
            if sign == b'+' { offset } else { -offset }
        }
        _ => return None,
    };
    DateTime::from_timestamp_millis((seconds - offset) * 1_000 + millis)
}

/// As [`parse_time`], in milliseconds since 1970, of a time as [`write_time`] writes it. `minute` is the row's before, as it
/// stands and as milliseconds: nearly every row is of the same one.
#[inline]
pub(super) fn parse_time_after(cell: &[u8], minute: &mut ([u8; 17], i64)) -> Option<i64> {
    let (start, rest) = cell.split_first_chunk::<17>()?;
    let &[s1 @ b'0'..=b'5', s2 @ b'0'..=b'9', b'.', m1, m2, m3, b'Z'] = rest else { return None };
    let millis = i64::from(digits(&[s1, s2])?) * 1_000 + i64::from(digits(&[m1, m2, m3])?);
    if *start != minute.0 {
        let time = parse_time(std::str::from_utf8(cell).ok()?)?.timestamp_millis();
        *minute = (*start, time - millis);
    }
    Some(minute.1 + millis)
}

/// `20261124T165400Z`.
pub(super) fn parse_cycle_time(text: &str) -> Option<DateTime<Utc>> {
    let &[y1, y2, y3, y4, m1, m2, d1, d2, b'T', h1, h2, n1, n2, s1, s2, b'Z'] = text.trim().as_bytes() else {
        return None;
    };
    let seconds = seconds(&[y1, y2, y3, y4], &[m1, m2], &[d1, d2], [&[h1, h2], &[n1, n2], &[s1, s2]])?;
    DateTime::from_timestamp(seconds, 0)
}

/// Writes `ms` rounded to a microsecond, as a plain decimal without trailing zeros; nothing for what is no duration.
pub(super) fn write_ms(ms: f64, out: &mut Vec<u8>) {
    /// Below this (30 years), a product with 1,000 is off by far less than half a microsecond.
    const EXACT_MS: f64 = 1.0e12;
    if !ms.is_finite() || ms < 0.0 {
        return;
    }
    if ms >= EXACT_MS {
        put(out, format_args!("{ms}"));
        return;
    }
    let micros = (ms * 1_000.0).round() as u64;
    put(out, format_args!("{}", micros / 1_000));
    let mut fraction = micros % 1_000;
    if fraction == 0 {
        return;
    }
    let mut width = 3;
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        width -= 1;
    }
    put(out, format_args!(".{fraction:0width$}"));
}

/// Writes an amount of money as a plain decimal without trailing zeros.
pub(super) fn write_decimal(amount: Decimal, out: &mut Vec<u8>) {
    if amount.is_zero() {
        out.push(b'0');
    } else {
        put(out, format_args!("{}", amount.normalize()));
    }
}

/// Writes RFC 3339 in UTC with milliseconds. Years outside 0..=9999, which RFC 3339 has no form for, are brought to its ends.
pub(super) fn write_time(time: DateTime<Utc>, out: &mut Vec<u8>) {
    const FIRST_MS: i64 = -62_167_219_200_000;
    const LAST_MS: i64 = 253_402_300_799_999;
    let millis = time.timestamp_millis().clamp(FIRST_MS, LAST_MS);
    let time = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    put(
        out,
        format_args!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            time.year(),
            time.month(),
            time.day(),
            time.hour(),
            time.minute(),
            time.second(),
            millis.rem_euclid(1_000)
        ),
    );
}

/// Writing to memory does not fail.
pub(super) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// `true` or `false`, in any case.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}
