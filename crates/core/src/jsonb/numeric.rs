//! How long the numbers are that `jsonb` can hold, and those that it holds.

/// About how many characters a number has when it is written out, by the words behind its header of four bytes (`numeric.c`): those before
/// its point, in fours, and those behind it.
pub fn numeric_digits(words: &[u16]) -> usize {
    const SHORT: u16 = 0x8000;
    let (scale, weight) = match words {
        [header, ..] if header & SHORT != 0 => {
            let sign = if header & 0x40 == 0 { 0 } else { !0x3F };
            ((header >> 7) & 0x3F, i16::from_ne_bytes(((header & 0x3F) | sign).to_ne_bytes()))
        }
        [header, weight, ..] => (header & 0x3FFF, i16::from_ne_bytes(weight.to_ne_bytes())),
        _ => return 0,
    };
    usize::try_from(weight).map_or(1, |weight| 4 * (weight + 1)) + usize::from(scale)
}

/// At most 131072 digits before the decimal point and 16383 after it; before Postgres 15, an exponent of at most 1000.
pub(super) fn fits_numeric(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Some(exponent) = exponent.parse::<i64>().ok().filter(|exponent| (-1000..=1000).contains(exponent)) else {
        return false;
    };
    let digits = |text: &str| i64::try_from(text.trim_start_matches('-').len()).unwrap_or(i64::MAX);
    digits(whole).saturating_add(exponent) <= 131_072 && digits(fraction).saturating_sub(exponent) <= 16_383
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Postgres 15 has them: of `select numeric_send(n)`, without the digits, in the form that is stored.
    #[test]
    fn digits_are_counted_by_the_header() {
        for (words, wanted) in [
            (&[0x8000][..], 4),                  // 0
            (&[0x8000, 7][..], 4),               // 7
            (&[0xA000, 7][..], 4),               // -7: the sign is a bit of its own
            (&[0x8001, 1, 2345][..], 8),         // 12345
            (&[0x8100 | 0x7F, 1234][..], 1 + 2), // 0.12, weight -1
            (&[0x0000, 32767, 1000][..], 131_072),
            (&[16_383, 0xFFFF, 1][..], 1 + 16_383),
            (&[][..], 0),
        ] {
            assert_eq!(numeric_digits(words), wanted, "{words:x?}");
        }
    }
}
