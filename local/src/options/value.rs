//! Parsers of the values of options.

use std::net::SocketAddr;
use std::time::Duration;

/// A length of time: a number and its unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const FORM: &str = "expected a number and its unit, such as 500ms, 30s, 5m, 1h or 7d";
    let (number, unit) = split(text).ok_or(FORM)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(FORM.to_owned()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(|| "too long".to_owned())
}

/// The length of a lease. A shorter one than a second could not be renewed in time.
pub(crate) fn lease(text: &str) -> Result<Duration, String> {
    let length = duration(text)?;
    if length < Duration::from_secs(1) { Err("expected at least 1s".to_owned()) } else { Ok(length) }
}

pub(crate) fn size(text: &str) -> Result<u64, String> {
    const FORM: &str = "expected a number of bytes, such as 16MiB, 16MB, 1GiB or 16777216";
    let (number, unit) = split(text).ok_or(FORM)?;
    let bytes: u64 = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return Err(FORM.to_owned()),
    };
    number.checked_mul(bytes).ok_or_else(|| "too many bytes".to_owned())
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected ADDRESS:PORT, such as 127.0.0.1:8080".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3_600)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        for text in
            ["", "30", "s", "-1s", "1.5h", "1y", "s30", "99999999999999999999s", "18446744073709551615d"]
        {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_lease_has_a_second_at_least() {
        assert_eq!(lease("1s"), Ok(Duration::from_secs(1)));
        assert!(lease("999ms").is_err());
    }

    #[test]
    fn a_size_may_have_a_unit() {
        assert_eq!(size("16777216"), Ok(16 << 20));
        assert_eq!(size("16MiB"), Ok(16 << 20));
        assert_eq!(size("16 MiB"), Ok(16 << 20));
        assert_eq!(size("5MB"), Ok(5_000_000));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        for text in ["", "MiB", "-1", "1.5MB", "16mib", "1TB", "99999999999999GiB"] {
            assert!(size(text).is_err(), "{text:?}");
        }
    }
}
