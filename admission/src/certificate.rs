//! The few fields of an X.509 certificate (RFC 5280) that the two ends of a webhook call look at: until when it is valid, for
//! which names, and for what use. webpki does not hand them out.

use std::net::IpAddr;

/// A certificate as far as host names, dates and error texts need it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// When it begins to be valid, in seconds since 1970 (UTC).
    pub not_before: i64,
    /// Until when it is valid, in seconds since 1970 (UTC).
    pub not_after: i64,
    /// The last commonName of the subject; empty if there is none.
    pub common_name: String,
    /// Whether the extension subjectAltName is there.
    pub has_san: bool,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// Its IP addresses.
    pub ip_addresses: Vec<IpAddr>,
    /// Object identifiers of extendedKeyUsage, as DER contents; none when the extension is absent.
    pub extended_key_usage: Option<Vec<Vec<u8>>>,
}

const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0];

impl Certificate {
    /// Reads a certificate in DER; `None` when it is malformed.
    #[must_use]
    pub fn parse(der: &[u8]) -> Option<Self> {
        let mut certificate = Self::default();
        let mut body = Der(Der(der).expect(0x30)?);
        let mut tbs = Der(body.expect(0x30)?);
        tbs.optional(0xa0);
        tbs.expect(0x02)?; // serial number
        tbs.expect(0x30)?; // signature algorithm
        tbs.expect(0x30)?; // issuer
        let mut validity = Der(tbs.expect(0x30)?);
        certificate.not_before = time(validity.next()?)?;
        certificate.not_after = time(validity.next()?)?;
        certificate.common_name = common_name(tbs.expect(0x30)?).unwrap_or_default();
        tbs.expect(0x30)?; // public key
        tbs.optional(0x81);
        tbs.optional(0x82);
        if let Some(extensions) = tbs.optional(0xa3) {
            let mut extensions = Der(Der(extensions).expect(0x30)?);
            while let Some((0x30, extension)) = extensions.next() {
                certificate.extension(extension)?;
            }
        }
        Some(certificate)
    }

    /// Whether the certificate may stand for a server.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.extended_key_usage
            .as_ref()
            .is_none_or(|usages| usages.iter().any(|usage| usage == SERVER_AUTH || usage == ANY_USAGE))
    }

    fn extension(&mut self, extension: &[u8]) -> Option<()> {
        let mut extension = Der(extension);
        let id = extension.expect(0x06)?;
        extension.optional(0x01);
        let value = extension.expect(0x04)?;
        if id == [0x55, 0x1d, 0x11] {
            self.has_san = true;
            let mut names = Der(Der(value).expect(0x30)?);
            while let Some((tag, name)) = names.next() {
                match tag {
                    0x82 => self.dns_names.push(String::from_utf8_lossy(name).into_owned()),
                    0x87 => {
                        let v4 = <[u8; 4]>::try_from(name).map(IpAddr::from).ok();
                        self.ip_addresses.extend(v4.or_else(|| <[u8; 16]>::try_from(name).map(IpAddr::from).ok()));
                    }
                    _ => {}
                }
            }
        } else if id == [0x55, 0x1d, 0x25] {
            let mut usages = Der(Der(value).expect(0x30)?);
            let list = self.extended_key_usage.insert(Vec::new());
            while let Some((0x06, usage)) = usages.next() {
                list.push(usage.to_vec());
            }
        }
        Some(())
    }
}

/// The last commonName of a subject.
fn common_name(subject: &[u8]) -> Option<String> {
    let mut found = None;
    let mut sets = Der(subject);
    while let Some((0x31, set)) = sets.next() {
        let mut set = Der(set);
        while let Some((0x30, pair)) = set.next() {
            let mut pair = Der(pair);
            if pair.expect(0x06)? == [0x55, 4, 3] {
                found = pair.next().map(|(_, text)| String::from_utf8_lossy(text).into_owned());
            }
        }
    }
    found
}

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// A UTCTime (`YYMMDDHHMMSSZ`, years 1950 to 2049) or a GeneralizedTime (`YYYYMMDDHHMMSSZ`).
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (year, text) = match (tag, text.len()) {
        (UTC_TIME, 12) => {
            let year: i64 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, text.get(2..)?)
        }
        (GENERALIZED_TIME, 14) => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let pair = |at: usize| text.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day, hour, minute, second) = (pair(0)?, pair(2)?, pair(4)?, pair(6)?, pair(8)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that the leap day
/// comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A run of DER elements.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next element: tag and contents.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first & 0x80 != 0 {
            let bytes = usize::from(first & 0x7f);
            if bytes == 0 || bytes > 4 || rest.len() < bytes {
                return None;
            }
            let (head, tail) = rest.split_at(bytes);
            length = head.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            rest = tail;
        }
        if rest.len() < length {
            return None;
        }
        let (contents, rest) = rest.split_at(length);
        self.0 = rest;
        Some((tag, contents))
    }

    fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, contents)| contents)
    }

    /// The next element if it has this tag.
    fn optional(&mut self, wanted: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&wanted) { self.next().map(|(_, contents)| contents) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_a_generated_certificate_are_read() {
        for (from, until) in [((1999, 12, 31), (2049, 12, 31)), ((2024, 2, 29), (2050, 1, 1))] {
            let mut parameters = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
            parameters.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
            parameters.not_after = rcgen::date_time_ymd(until.0, until.1, until.2);
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = parameters.self_signed(&key).unwrap();
            let seen = Certificate::parse(certificate.der()).unwrap();
            assert_eq!(seen.not_before, parameters.not_before.unix_timestamp());
            assert_eq!(seen.not_after, parameters.not_after.unix_timestamp());
        }
    }

    #[test]
    fn no_prefix_of_a_certificate_and_no_flipped_byte_ends_in_a_panic() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        let der = certificate.der().to_vec();
        for end in 0..der.len().min(200) {
            let _ = Certificate::parse(&der[..end]);
            let mut flipped = der.clone();
            flipped[end] ^= 0xff;
            let _ = Certificate::parse(&flipped);
        }
        assert_eq!(Certificate::parse(&der[..40]), None);
        assert_eq!(Certificate::parse(b""), None);
    }

    #[test]
    fn days_count_from_1970() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(days(1969, 12, 31), -1);
    }
}
