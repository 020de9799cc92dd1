//! The few fields of a certificate that Go's verification looks at and webpki does not hand out.

use std::net::IpAddr;

/// A certificate as far as host names and error texts need it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// Seconds since 1970.
    pub(crate) not_before: i64,
    /// Seconds since 1970.
    pub(crate) not_after: i64,
    pub(crate) common_name: String,
    pub(crate) has_san: bool,
    pub(crate) dns_names: Vec<String>,
    pub(crate) ip_addresses: Vec<IpAddr>,
    /// Object identifiers of extendedKeyUsage, as DER contents; none when the extension is absent.
    pub(crate) extended_key_usage: Option<Vec<Vec<u8>>>,
}

const SERVER_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 1];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0];

impl Certificate {
    /// Reads a DER certificate; none when it is malformed.
    pub(crate) fn parse(der: &[u8]) -> Option<Self> {
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
    pub(crate) fn serves(&self) -> bool {
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

/// UTCTime or GeneralizedTime as seconds since 1970.
fn time((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let full = match tag {
        0x17 => {
            let year: u8 = text.get(..2)?.parse().ok()?;
            format!("{}{text}", if year < 50 { "20" } else { "19" })
        }
        0x18 => text.to_owned(),
        _ => return None,
    };
    let number = |from: usize, to: usize| -> Option<i8> { full.get(from..to)?.parse().ok() };
    let year: i16 = full.get(..4)?.parse().ok()?;
    let seconds = if full.len() > 12 { number(12, 14)? } else { 0 };
    let date =
        jiff::civil::DateTime::new(year, number(4, 6)?, number(6, 8)?, number(8, 10)?, number(10, 12)?, seconds, 0);
    Some(jiff::tz::Offset::UTC.to_timestamp(date.ok()?).ok()?.as_second())
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
