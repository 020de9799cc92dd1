//! IP ranges, as `netip.ParsePrefix` takes and refuses them.

use std::net::IpAddr;

use apimachinery::go::quote;

/// Why a text is no range such as `10.0.0.0/8`; `None` if it is one. Bits of the host may be set.
pub(crate) fn prefix(text: &str) -> Option<String> {
    let why = refused(text)?;
    Some(format!("netip.ParsePrefix({}): {why}", quote(text)))
}

fn refused(text: &str) -> Option<String> {
    let Some((address, bits)) = text.rsplit_once('/') else { return Some("no '/'".to_owned()) };
    if address.contains('%') && address.contains(':') {
        return Some("IPv6 zones cannot be present in a prefix".to_owned());
    }
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return Some(format!("ParseAddr({}): {}", quote(address), no_address(address))),
    };
    let leading = bits.len() > 1 && !bits.starts_with(|c: char| ('1'..='9').contains(&c));
    match bits.parse::<i64>() {
        Ok(n) if !leading && (0..=most).contains(&n) => None,
        Ok(_) if !leading => Some("prefix length out of range".to_owned()),
        _ => Some(format!("bad bits after slash: {}", quote(bits))),
    }
}

/// Why a text is no address.
fn no_address(text: &str) -> String {
    let first = text.chars().find(|c| matches!(c, '.' | ':' | '%'));
    match first {
        Some('.') => no_v4(text),
        Some(':') => no_v6(text),
        Some(_) => "missing IPv6 address".to_owned(),
        None => "unable to parse IP".to_owned(),
    }
}

fn no_v4(text: &str) -> String {
    let (mut value, mut digits, mut dots, mut zero) = (0u32, 0, 0, false);
    for (at, c) in text.char_indices() {
        let here = || text.get(at..).unwrap_or_default();
        match c {
            '0'..='9' if digits == 1 && zero => return "IPv4 field has octet with leading zero".to_owned(),
            '0'..='9' => {
                value = value * 10 + u32::from(c).saturating_sub(u32::from('0'));
                zero = c == '0' && digits == 0;
                digits += 1;
                if value > 255 {
                    return "IPv4 field has value >255".to_owned();
                }
            }
            '.' if digits == 0 || at + 1 == text.len() => {
                return format!("IPv4 field must have at least one digit (at {})", quote(here()));
            }
            '.' if dots == 3 => return "IPv4 address too long".to_owned(),
            '.' => (value, digits, dots) = (0, 0, dots + 1),
            _ => return format!("unexpected character (at {})", quote(here())),
        }
    }
    "IPv4 address too short".to_owned()
}

/// The commonest reasons.
fn no_v6(text: &str) -> String {
    if let Some(at) = text.find(|c: char| !(c.is_ascii_hexdigit() || c == ':' || c == '.')) {
        let at = text.get(at..).unwrap_or_default();
        return format!("each colon-separated field must have at least one digit (at {})", quote(at));
    }
    if text.split(':').any(|field| field.len() > 4) {
        return "each group must have 4 or less digits".to_owned();
    }
    if text.ends_with(':') && !text.ends_with("::") {
        return "colon must be followed by more characters (at \":\")".to_owned();
    }
    if text.matches("::").count() > 1 {
        return "multiple :: in address".to_owned();
    }
    if text.matches(':').count() > 7 { "trailing garbage after address" } else { "address string too short" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_refused_in_netips_words() {
        for (text, why) in [
            ("10.0.0.0/8", None),
            ("10.1.2.3/0", None),
            ("fd00::/8", None),
            ("*", Some("no '/'")),
            ("", Some("no '/'")),
            ("10.0.0.0/33", Some("prefix length out of range")),
            ("10.0.0.0/08", Some("bad bits after slash: \"08\"")),
            ("10.0.0.0/", Some("bad bits after slash: \"\"")),
            ("10.0.0.0/x", Some("bad bits after slash: \"x\"")),
            ("10.0.0/8", Some("ParseAddr(\"10.0.0\"): IPv4 address too short")),
            ("10.0.0.256/8", Some("ParseAddr(\"10.0.0.256\"): IPv4 field has value >255")),
            ("10.0.0.01/8", Some("ParseAddr(\"10.0.0.01\"): IPv4 field has octet with leading zero")),
            (" 10.0.0.0/8", Some("ParseAddr(\" 10.0.0.0\"): unexpected character (at \" 10.0.0.0\")")),
            ("nonsense/8", Some("ParseAddr(\"nonsense\"): unable to parse IP")),
            ("1:2/8", Some("ParseAddr(\"1:2\"): address string too short")),
            ("fe80::1%eth0/64", Some("IPv6 zones cannot be present in a prefix")),
        ] {
            let why = why.map(|why| format!("netip.ParsePrefix({text:?}): {why}"));
            assert_eq!(prefix(text), why, "{text:?}");
        }
    }
}
