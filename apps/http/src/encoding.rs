//! Content codings (RFC 9110, section 12.5.3): whether a file may be sent compressed.

/// A quality in thousandths; a value that is none is the lowest.
fn quality(text: &[u8]) -> u16 {
    match text {
        [b'1'] | [b'1', b'.'] => 1000,
        [b'1', b'.', zeros @ ..] if zeros.len() <= 3 && zeros.iter().all(|&b| b == b'0') => 1000,
        [b'0'] => 0,
        [b'0', b'.', digits @ ..] if digits.len() <= 3 && digits.iter().all(u8::is_ascii_digit) => {
            let padded = digits.iter().chain(b"000").take(3);
            padded.fold(0, |value, digit| value * 10 + u16::from(digit - b'0'))
        }
        _ => 0,
    }
}

/// Whether the values of Accept-Encoding let gzip be used, and do not prefer a file as it is.
pub fn gzip_wanted<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for member in values.flat_map(|value| value.split(|&b| b == b',')) {
        let mut parts = member.split(|&b| b == b';').map(<[u8]>::trim_ascii);
        let Some(coding) = parts.next() else { continue };
        let weight = parts.find_map(|parameter| {
            let (name, value) = parameter.split_at_checked(2)?;
            name.eq_ignore_ascii_case(b"q=").then(|| quality(value))
        });
        let weight = Some(weight.unwrap_or(1000));
        if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
            gzip = weight;
        } else if coding.eq_ignore_ascii_case(b"identity") {
            identity = weight;
        } else if coding == b"*" {
            any = weight;
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_when_it_is_accepted_and_nothing_else_preferred() {
        for (value, wanted) in [
            ("gzip", true),
            ("x-gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip;q=0.001", true),
            ("*", true),
            ("GZip ; Q=0.3", true),
            ("br, gzip;q=0.5, identity;q=0.5", true),
            ("", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("gzip;q=0, *", false),
            ("gzip;q=0.5, identity;q=0.8", false),
            ("*;q=0", false),
            ("gzip;q=2", false),
            ("gzip;q=0.0001", false),
            ("gzipped", false),
        ] {
            assert_eq!(gzip_wanted([value.as_bytes()].into_iter()), wanted, "{value}");
        }
        assert!(!gzip_wanted(core::iter::empty()));
        assert!(gzip_wanted([&b"br"[..], b"gzip"].into_iter()));
    }
}
