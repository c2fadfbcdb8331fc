//! Decimal digits, written by plain arithmetic: no text is allocated only to be copied.

/// Writes a whole number. Most are small, and are then copied in one piece of known length.
pub fn write(line: &mut Vec<u8>, number: u64) {
    match number {
        0..10 => line.push(b'0' + number as u8),
        10..100 => line.extend_from_slice(&padded::<2>(number)),
        100..1_000 => line.extend_from_slice(&padded::<3>(number)),
        1_000..10_000 => line.extend_from_slice(&padded::<4>(number)),
        _ => {
            write(line, number / 10_000);
            line.extend_from_slice(&padded::<4>(number % 10_000));
        }
    }
}

/// Writes a number of which `PLACES` digits, at most 19, stand behind the point: at least `least` of
/// them are shown, and beyond these no zeros that say nothing.
pub fn write_decimal<const PLACES: usize>(line: &mut Vec<u8>, number: u64, least: usize) {
    let power = const { 10_u64.pow(PLACES as u32) };
    write(line, number / power);
    let fraction = number % power;
    if fraction == 0 && least == 0 {
        return;
    }
    let digits = padded::<PLACES>(fraction);
    let last = digits.iter().rposition(|digit| *digit != b'0');
    let count = last.map_or(0, |last| last + 1).max(least);
    line.push(b'.');
    line.extend_from_slice(digits.get(..count).unwrap_or(&digits));
}

/// The last `COUNT` digits of a number, with zeros before them where it has fewer.
#[inline]
pub fn padded<const COUNT: usize>(mut number: u64) -> [u8; COUNT] {
    let mut digits = [b'0'; COUNT];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal<const PLACES: usize>(number: u64, least: usize) -> String {
        let mut line = Vec::new();
        write_decimal::<PLACES>(&mut line, number, least);
        String::from_utf8(line).unwrap()
    }

    /// The same by the standard library, with all places and with those that say something.
    fn by_library<const PLACES: usize>(number: u64) -> (String, String) {
        let power = 10_u64.pow(PLACES as u32);
        let whole = format!("{}.{:0PLACES$}", number / power, number % power);
        let short = whole.trim_end_matches('0').trim_end_matches('.').to_owned();
        (whole, short)
    }

    #[test]
    fn decimals_have_no_more_digits_than_they_need() {
        assert_eq!(decimal::<9>(0, 0), "0");
        assert_eq!(decimal::<3>(0, 1), "0.0");
        assert_eq!(decimal::<9>(1, 0), "0.000000001");
        assert_eq!(decimal::<3>(12_000, 1), "12.0");
        assert_eq!(decimal::<3>(12_340, 1), "12.34");
        assert_eq!(decimal::<3>(12_340, 3), "12.340");
        assert_eq!(decimal::<3>(12_340, 9), "12.340");
        assert_eq!(decimal::<9>(u64::MAX, 0), "18446744073.709551615");
        assert_eq!(decimal::<19>(u64::MAX, 0), "1.8446744073709551615");
    }

    proptest! {
        #[test]
        fn digits_are_those_of_the_standard_library(number: u64, shift in 0..64_u32, scale in 0..20_u32) {
            // Small numbers as often as large ones, and some with zeros at their ends.
            let scale = 10_u64.pow(scale);
            for number in [number >> shift, (number >> shift) / scale * scale] {
                let mut line = Vec::new();
                write(&mut line, number);
                prop_assert_eq!(line, number.to_string().into_bytes());
                let (whole, short) = by_library::<9>(number);
                prop_assert_eq!(decimal::<9>(number, 9), whole);
                prop_assert_eq!(decimal::<9>(number, 0), short);
                let (whole, short) = by_library::<15>(number);
                prop_assert_eq!(decimal::<15>(number, 15), whole);
                prop_assert_eq!(decimal::<15>(number, 0), short);
            }
        }

        #[test]
        fn padding_is_that_of_the_standard_library(number in 0..10_000_u64) {
            prop_assert_eq!(padded::<4>(number).to_vec(), format!("{number:04}").into_bytes());
        }
    }
}
